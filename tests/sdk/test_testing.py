"""The shipped test kit: everything is captured, the same in every run, and asserted in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sdk.processes import environment, run, succeed

_APP = """
import logging
from celery import Celery
from fastapi import FastAPI, HTTPException
from sloburn import count, get_logger, init_telemetry, track
INIT
app = FastAPI()
tasks = Celery("tasks", broker="memory://")
tasks.conf.task_always_eager = True

@tasks.task
def mail(to):
    logging.getLogger("mail").warning("mailed %s", to)

@track("payment")
def pay(amount):
    if amount > 100:
        raise ValueError("too much")

@app.post("/orders/{amount}")
def order(amount: int):
    count("orders", country="de")
    get_logger("shop").info("order placed", amount=amount)
    pay(amount)
    mail.delay("you")
    return {}
"""

_TESTS = '''
import warnings
import pytest
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient
from shop import app

client = TestClient(app, raise_server_exceptions=False)

TREE = """\\
POST /orders/{amount} [server]
  process shop.mail [consumer]
"""

@pytest.mark.parametrize("again", range(2))
def test_order(captured_telemetry, again):
    client.post("/orders/5")
    seen = captured_telemetry
    span = seen.assert_span(
        "POST /orders/{amount}", {"http.response.status_code": 200}, status="unset", kind="server", parent=""
    )
    assert (span.trace_id, span.span_id, span.started) == ("0" * 31 + "1", "0" * 15 + "1", 1)
    assert seen.tree() == TREE
    seen.assert_metric("orders", 1, {"country": "de"})
    seen.assert_metric("payment", 1, {"outcome": "success"})
    seen.assert_metric("payment.duration", 1)
    seen.assert_metric("http.server.request.duration", 1, {"http.route": "/orders/{amount}"})
    log = seen.assert_log("order placed", {"amount": 5, "level": "info", "logger": "shop"})
    assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)
    assert seen.log("mailed you", {"level": "warning"}).span_id == "0" * 15 + "2"

def test_failure(captured_telemetry):
    assert client.post("/orders/500").status_code == 500
    span = captured_telemetry.assert_span("POST /orders/{amount}", {"http.response.status_code": 500}, status="error")
    assert [name for name, _ in span.events] == ["exception"]
    captured_telemetry.assert_metric("payment", 1, {"outcome": "failure", "error.type": "ValueError"})

def test_messages(captured_telemetry):
    client.post("/orders/5")
    with pytest.raises(AssertionError, match=r"0 times span 'GET /x', not once; there is:\\s+'POST /orders"):
        captured_telemetry.assert_span("GET /x")
    with pytest.raises(AssertionError, match="status is 'unset', not 'error'"):
        captured_telemetry.assert_span("POST /orders/{amount}", status="error")
    with pytest.raises(AssertionError, match=r"metric 'orders' {} is 1.0, not 2; there is:"):
        captured_telemetry.assert_metric("orders", 2)
    with pytest.raises(AssertionError, match="is not there"):
        captured_telemetry.assert_metric("nothing", 0)
    with pytest.raises(AssertionError, match="0 times log 'order placed' with {'amount': 6}"):
        captured_telemetry.assert_log("order placed", {"amount": 6})

def test_clear(captured_telemetry):
    client.post("/orders/5")
    captured_telemetry.clear()
    assert (captured_telemetry.spans, captured_telemetry.logs) == ([], [])
    client.post("/orders/5")
    captured_telemetry.assert_metric("orders", 1)

def test_without_the_fixture():
    client.post("/orders/5")
'''


@pytest.mark.parametrize(
    "init",
    ["", 'init_telemetry(service_name="shop", endpoint="http://127.0.0.1:9", sample_ratio=0, shutdown_timeout=0.1)'],
)
def test_fixture(tmp_path: Path, init: str) -> None:
    """FastAPI's test client and eager Celery tasks are captured, whether the application starts telemetry or not."""
    (tmp_path / "shop.py").write_text(_APP.replace("INIT", init))
    (tmp_path / "test_shop.py").write_text(_TESTS)
    command = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = run(f"import sys, pytest; sys.path.insert(0, {str(tmp_path)!r}); sys.exit(pytest.main({command!r}))")
    assert done.status == 0, done.output
    assert "6 passed" in done.stdout


def test_without_pytest() -> None:
    """The context manager works in any test framework; ids are random again after it."""
    succeed(
        """
from sloburn.testing import capture_telemetry
from sloburn import count, init_telemetry
for _ in range(2):
    with capture_telemetry() as seen:
        telemetry = init_telemetry(service_name="started by the code under test")
        with telemetry.tracer.start_as_current_span("outer"), telemetry.tracer.start_as_current_span("inner"):
            count("c", 2)
        seen.assert_metric("c", 2)
        assert seen.tree() == "outer [internal]\\n  inner [internal]\\n", seen.tree()
        assert [span.started for span in seen.spans] == [1, 2]
        assert "called again" not in str(seen.logs)
assert telemetry.tracer.start_span("after").get_span_context().trace_id > 1000
assert seen.spans[0].trace_id.endswith("01") and len(seen.spans) == 2
"""
    )


def test_switched_off() -> None:
    """Telemetry that is switched off cannot be captured, which is said."""
    done = run(
        "from sloburn.testing import capture_telemetry\nwith capture_telemetry(): pass",
        extra={"OTEL_SDK_DISABLED": "true"},
    )
    assert done.status == 1
    assert "nothing can be captured: telemetry is switched off, perhaps by OTEL_SDK_DISABLED" in done.stderr


def test_plugin_is_light() -> None:
    """The plugin, which pytest loads in every run, loads neither OpenTelemetry nor anything else that is heavy."""
    done = succeed(
        "import sys, sloburn.testing.plugin; "
        "print([name for name in ('opentelemetry', 'structlog', 'sloburn.sdk', 'fastapi') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]"
    assert "OTEL_SDK_DISABLED" not in environment()
