"""Whatever is wrong with the environment, the host starts; and Celery is found in whatever order it comes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# OpenTelemetry specification, "Environment Variable Specification": what takes a number, a word or a list.
VARIABLES = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_TRACES_SAMPLER",
]
HOST = """
from sloburn import init_telemetry
with init_telemetry(service_name="host", endpoint="http://127.0.0.1:9", shutdown_timeout=0.1) as telemetry:
    telemetry.tracer.start_span("work").end()
    telemetry.meter.create_counter("done").add(1)
    telemetry.flush(0.01)
print("alive")
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a host in a process of its own, in an environment without any other setting."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SLOBURN_"))}
    call = [sys.executable, "-c", code]
    return subprocess.run(call, env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_typing_error_does_not_end_the_host(variable: str) -> None:
    """A variable that makes no sense costs telemetry at the worst, and is named; the host goes on."""
    done = run(HOST, **{variable: "many"})
    assert (done.returncode, "alive" in done.stdout) == (0, True), done.stderr
    assert variable in done.stdout + done.stderr or "many" in done.stdout + done.stderr


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
