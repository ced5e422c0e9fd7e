"""A Celery application on a file broker, which needs no server."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery, Task, signals
from kombu.transport import TRANSPORT_ALIASES

from sloburn import get_audit_logger, get_logger, init_telemetry

telemetry = init_telemetry(service_name="work")
log = get_logger("work")

folder = Path(os.environ["WORK_FOLDER"])
for name in ("messages", "control", "ended"):
    (folder / name).mkdir(parents=True, exist_ok=True)

TRANSPORT_ALIASES["filesystem"] = "whole:Transport"
app = Celery("work", broker=os.environ.get("WORK_BROKER", "filesystem://localhost"))
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    },
    broker_connection_retry_on_startup=True,
    task_publish_retry=False,
)
runs = telemetry.meter.create_counter("runs")


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def leave_a_mark(task_id: str, task: Task, **_: object) -> None:
    """Tell whoever waits for it that a run has ended."""
    (folder / "ended" / f"{task_id}-{task.request.retries}").touch()


@app.task(name="add")  # type: ignore[untyped-decorator]
def add(left: int, right: int) -> int:
    """Add two numbers."""
    log.info("adding", process=os.getpid())
    get_audit_logger().record("add", actor="worker", target=str(left))
    runs.add(1)
    return left + right


@app.task(name="hold")  # type: ignore[untyped-decorator]
def hold() -> None:
    """Be at work until someone says that it is enough."""
    log.info("holding")
    while not (folder / "enough").exists():
        time.sleep(0.02)


@app.task(name="fail")  # type: ignore[untyped-decorator]
def fail() -> None:
    """Fail."""
    raise ValueError("no")


@app.task(name="again", bind=True, max_retries=1)  # type: ignore[untyped-decorator]
def again(self: Task) -> str:
    """Succeed at the second attempt."""
    if self.request.retries:
        return "done"
    raise self.retry(countdown=0, exc=KeyError("busy"))
