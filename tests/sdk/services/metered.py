"""A service whose workers are counted together: under uvicorn, gunicorn and Celery alike."""

from __future__ import annotations

import os

from fastapi import FastAPI

from sloburn import count, init_telemetry, mount_metrics

init_telemetry(service_name="metered")
app = FastAPI()


@app.get("/work")
def work() -> int:
    """Count one and say who did."""
    count("work.done")
    return os.getpid()


@app.get("/{rest:path}")
def everything(rest: str) -> str:
    """Take every path."""
    return rest


mount_metrics(app)
