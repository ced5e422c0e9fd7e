"""Whatever is wrong with the installation, the host starts; and Celery is found in whatever order it comes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a host in a process of its own, in an environment without any other setting."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SLOBURN_"))}
    call = [sys.executable, "-c", code]
    return subprocess.run(call, env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=False)


def test_opentelemetry_that_cannot_be_imported() -> None:
    """A broken installation costs telemetry, in one line; the host goes on with a handle that does nothing."""
    done = run(
        """
import sys
from sloburn import init_telemetry
sys.modules["opentelemetry.sdk.trace"] = None
with init_telemetry(service_name="host") as telemetry:
    telemetry.tracer.start_span("work").end()
    telemetry.meter.create_counter("done").add(1)
    assert telemetry.flush(0.01)
print("alive")
"""
    )
    assert (done.returncode, "alive" in done.stdout) == (0, True), done.stderr
    assert done.stderr.count("telemetry could not be started: ") == 1


@pytest.mark.parametrize(
    "line",
    [
        "from celery import Celery",
        "import celery; celery.Celery",
        "from celery import shared_task",
        "import celery.app.base",
        "from celery import signals",
    ],
)
def test_celery_may_come_after_init(line: str) -> None:
    """Publishing is wrapped in whatever way Celery is imported after `init_telemetry()`."""
    code = f"""
from sloburn import init_telemetry
init_telemetry(service_name="host", endpoint="http://127.0.0.1:9", shutdown_timeout=0.1)
{line}
from celery.app.base import Celery
print("wrapped", hasattr(Celery.send_task, "__wrapped__"))
"""
    done = run(code)
    assert "wrapped True" in done.stdout, done.stdout + done.stderr
    assert "not instrumented" not in done.stdout + done.stderr
