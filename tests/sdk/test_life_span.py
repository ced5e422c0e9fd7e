"""A life span that fails, when the service starts or when it ends: what it has left behind arrives all the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import GUNICORN, PATIENCE_SECONDS, free_port, get, started, stop, wait_until

_SERVICE = """
import os
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sloburn import count, get_logger, init_telemetry
telemetry = init_telemetry(service_name="life")
log = get_logger("life")
def act(moment):
    with telemetry.tracer.start_as_current_span(moment):
        count(moment)
        log.info(moment)
        if moment == os.environ["FAILS_AT"]: raise RuntimeError("no database, password=hunter2")
@asynccontextmanager
async def lifespan(app):
    act("start")
    yield
    act("stop")
app = FastAPI(lifespan=lifespan)
@app.get("/")
def read(): return 1
"""
_SERVERS = {
    "uvicorn": ("uvicorn", "life:app", "--port"),
    "gunicorn": (*GUNICORN, "life:app", "-k", "uvicorn_worker.UvicornWorker", "-b"),
}


def ended(process: subprocess.Popen[str], port: int, moment: str) -> str:
    """Let a service run until it fails; return what it printed."""
    if moment == "start":
        return process.communicate(timeout=PATIENCE_SECONDS)[0]
    wait_until(lambda: get(f"http://127.0.0.1:{port}/") == 200, process)
    return stop(process).stdout


@pytest.mark.parametrize(
    ("server", "moment"), [("uvicorn", "start"), ("uvicorn", "stop"), ("gunicorn", "start"), ("gunicorn", "stop")]
)
def test_life_span_that_fails(tmp_path: Path, server: str, moment: str) -> None:
    """The span with its exception, the count and the logs up to the failure arrive once, the server's own word too."""
    (tmp_path / "life.py").write_text(_SERVICE)
    port = free_port()
    with Collector() as collector:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        extra |= {"FAILS_AT": moment, "PYTHONPATH": str(tmp_path)}
        place = f"127.0.0.1:{port}" if server == "gunicorn" else str(port)
        with started("-m", *_SERVERS[server], place, extra=extra) as process:
            output = ended(process, port, moment)
        span = collector.span(moment)
        bodies = [str(record.body) for record in collector.arrivals.logs]
    assert (span.status, [event["exception.type"] for _, event in span.events]) == (2, ["RuntimeError"])
    assert (collector.total(moment), bodies.count(moment)) == (1, 1)
    assert sum("no database, password=[redacted]" in body for body in bodies) == 1
    assert "hunter2" not in output + str(collector.arrivals)
