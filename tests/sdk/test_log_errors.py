"""Exceptions in logs: their ids, their frames, groups of them, and messages that cannot be made."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from sloburn.sdk.log_context import log_context
from sloburn.sdk.log_errors import error_frames, remember_ids, remembered_ids, stacktrace
from sloburn.sdk.log_events import EventFinisher, Sinks
from tests.sdk.collector import Collector
from tests.sdk.processes import free_port, get, started, stop, succeed, wait_until
from tests.sdk.test_logs_stream import events

_WEB = """
import logging
from fastapi import FastAPI
from sloburn import init_telemetry
app = FastAPI()
@app.get("/boom")
def boom(): raise ValueError("kaput")
@app.get("/items")
def items(): logging.getLogger("shop").info("listing"); return []
"""


@pytest.mark.parametrize("first", ["server", "telemetry"])
def test_uvicorn_writes_only_json(tmp_path: Path, first: str) -> None:
    """Under uvicorn all of standard output is JSON, its own access and error lines too, whoever is configured first."""
    port = free_port()
    start = "init_telemetry(logs=False, traces=False, metrics=False)\n"
    command: tuple[str, ...]
    if first == "server":
        (tmp_path / "web.py").write_text(_WEB + start)
        command = ("-m", "uvicorn", "--app-dir", str(tmp_path), "web:app", "--port", str(port))
    else:
        run = f"import uvicorn\nuvicorn.run(app, port={port})\n"
        (tmp_path / "web.py").write_text(_WEB + start + run)
        command = (str(tmp_path / "web.py"),)
    with started(*command) as process:
        wait_until(lambda: get(f"http://127.0.0.1:{port}/items?token=abc"), process)
        assert get(f"http://127.0.0.1:{port}/boom") == 500
        done = stop(process)
    seen = events(done.stdout)
    access = next(event for event in seen if event["logger"] == "uvicorn.access")
    assert (access["http.request.method"], access["url.path"], access["http.response.status_code"]) == (
        "GET", "/items?token=[redacted]", 200,
    )  # fmt: skip
    (failed,) = [event for event in seen if event.get("exception.type") == "ValueError"]
    assert (failed["logger"], failed["exception.message"]) == ("uvicorn.error", "kaput")
    assert [event["event"] for event in seen].count("listing") == 1


@pytest.mark.parametrize("look", ["", "logging.basicConfig(level=20)\n"], ids=["ours", "host"])
def test_server_logs_an_exception_with_the_ids_of_its_request(tmp_path: Path, look: str) -> None:
    """uvicorn's line about an exception that nobody caught has request id and trace ids, printed and exported."""
    port = free_port()
    (tmp_path / "web.py").write_text(_WEB.replace("\nfrom", f"\n{look}from", 1) + "init_telemetry()\n")
    command = ("-m", "uvicorn", "--app-dir", str(tmp_path), "web:app", "--port", str(port))
    with Collector() as collector:
        with started(*command, extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}) as process:
            wait_until(lambda: get(f"http://127.0.0.1:{port}/items") == 200, process)
            assert get(f"http://127.0.0.1:{port}/boom") == 500
            done = stop(process)
        span = collector.span("GET /boom")
        (sent,) = [record for record in collector.arrivals.logs if "Exception in ASGI" in str(record.body)]
    assert (sent.trace_id, sent.span_id) == (span.trace_id, span.span_id)
    assert len(sent.attributes["request_id"]) == 32
    if not look:
        (line,) = [line for line in events(done.stdout) if "Exception in ASGI" in str(line["event"])]
        assert [line[key] for key in ("trace_id", "span_id", "request_id")] == [
            span.trace_id, span.span_id, sent.attributes["request_id"],
        ]  # fmt: skip


def test_ids_of_an_exception_yield_to_those_of_the_present() -> None:
    """An exception carries its request's ids, can still be pickled, and yields to the ids of what goes on by then."""
    error = ValueError("kaput")
    remember_ids(error, {"trace_id": "1" * 32, "span_id": "2" * 16, "request_id": "r-1"})
    assert remembered_ids(pickle.loads(pickle.dumps(error))) == remembered_ids(error)
    finisher = EventFinisher(Sinks(service_name="shop"))
    line = json.loads(finisher.finish({"event": "failed", "level": "error", "logger": "a", "exc_info": error}))
    assert (line["trace_id"], line["request_id"]) == ("1" * 32, "r-1")
    with log_context(request_id="r-2"):
        line = json.loads(finisher.finish({"event": "failed", "level": "error", "logger": "a", "exc_info": error}))
    assert (line.get("trace_id"), line["request_id"]) == (None, "r-2")


@pytest.mark.parametrize("argument", ["'x'", "Hostile()"])
def test_message_that_cannot_be_made_harms_nobody(argument: str) -> None:
    """A log call whose arguments do not fit returns, as it does without telemetry; the next one is written."""
    done = succeed(
        f"""
import logging, sys
logging.basicConfig(stream=sys.stdout, level="INFO", format="host %(message)s")
from sloburn import init_telemetry
init_telemetry(logs=False, traces=False, metrics=False)
class Hostile:
    def __str__(self): raise RuntimeError("hostile")
    __index__ = __str__
logging.getLogger("bad").info("fmt %d", {argument})
logging.getLogger("bad").info("next")
"""
    )
    assert done.stdout.splitlines()[-1] == "host next"
    assert "--- Logging error ---" in done.stderr


def _dive(depth: int) -> None:
    if depth:
        _dive(depth - 1)
    raise ValueError("bottom")


def test_frames_are_bounded() -> None:
    """A deep stack shows its first and last frames and says how many are left out; causes are shown, too."""
    try:
        try:
            _dive(200)
        except ValueError as error:
            raise RuntimeError("top") from error
    except RuntimeError as caught:
        found = error_frames(caught, str)
        text = stacktrace(caught, str)
    assert [frame["function"] for frame in found["exception.frames"]] == ["test_frames_are_bounded"]  # type: ignore[attr-defined]
    causes: Any = found["exception.causes"]
    (cause,) = causes
    assert (cause["exception.type"], cause["exception.message"]) == ("ValueError", "bottom")
    assert (len(cause["exception.frames"]), cause["exception.frames_left_out"]) == (50, 152)
    assert cause["exception.frames"][-1]["function"] == "_dive"
    assert text.endswith("RuntimeError: top\n")


def test_group_of_exceptions_shows_its_parts() -> None:
    """The parts of an exception group are among its causes."""
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    causes = error_frames(group, str)["exception.causes"]
    assert [cause["exception.type"] for cause in causes] == ["ValueError", "KeyError"]  # type: ignore[attr-defined]
