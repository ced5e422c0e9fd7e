"""A Celery application on Redis with tasks that end in every way there is."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

from celery import Celery, Task, chain, chord, group
from celery.exceptions import Ignore, Reject
from kombu.transport import TRANSPORT_ALIASES
from opentelemetry import baggage, context

from sloburn import get_logger, init_telemetry

telemetry = init_telemetry(service_name="flow")
log = get_logger("flow")
broker = os.environ["FLOW_BROKER"]
TRANSPORT_ALIASES["filesystem"] = "whole:Transport"
app = Celery("flow", broker=broker, backend=broker if broker.startswith("redis") else None)
folder = os.environ.get("FLOW_FOLDER", "")
app.conf.update(
    broker_transport_options={
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": folder,
        "polling_interval": 0.05,
    }
    if folder and broker.startswith("file")
    else {},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    beat_schedule={
        "often": {"task": "tick", "schedule": 0.5},
        "broken": {"task": "tick", "schedule": 0.5, "args": (object(),)},
    },
)


@app.task(name="add")  # type: ignore[untyped-decorator]
def add(left: int, right: int) -> int:
    """Add two numbers."""
    log.info("adding", process=os.getpid())
    return left + right


@app.task(name="total")  # type: ignore[untyped-decorator]
def total(numbers: list[int]) -> int:
    """Add many numbers."""
    return sum(numbers)


@app.task(name="fail")  # type: ignore[untyped-decorator]
def fail() -> None:
    """Fail."""
    raise ValueError("password=hunter2")


@app.task(name="again", bind=True, max_retries=2)  # type: ignore[untyped-decorator]
def again(self: Task) -> str:
    """Succeed at the third attempt."""
    if self.request.retries == 2:
        return "done"
    raise self.retry(countdown=0, exc=KeyError("busy"))


@app.task(name="reject")  # type: ignore[untyped-decorator]
def reject() -> None:
    """Reject the message."""
    raise Reject("no", requeue=False)


@app.task(name="ignore")  # type: ignore[untyped-decorator]
def ignore() -> None:
    """Leave no result."""
    raise Ignore


@app.task(name="die")  # type: ignore[untyped-decorator]
def die() -> None:
    """Take the process along, as the kernel does when memory is out."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="hang", time_limit=1)  # type: ignore[untyped-decorator]
def hang() -> None:
    """Run into the hard time limit."""
    time.sleep(60)


@app.task(name="nap")  # type: ignore[untyped-decorator]
def nap(seconds: float) -> None:
    """Keep a worker busy."""
    time.sleep(seconds)


@app.task(name="tick")  # type: ignore[untyped-decorator]
def tick(*_: object) -> None:
    """Do what is scheduled."""


def publish_all() -> None:
    """Publish everything from one request, with its correlation id as baggage."""
    with telemetry.tracer.start_as_current_span("request"):
        token = context.attach(baggage.set_baggage("request.id", "r-1"))
        chain(add.s(1, 1), add.s(1), add.s(1)).apply_async()
        group(add.s(number, number) for number in range(4)).apply_async()
        chord([add.s(1, 2), add.s(3, 4)], total.s()).apply_async()
        add.apply_async((1, 1), countdown=1)
        add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(seconds=5))
        for task in (fail, again, reject, ignore):
            task.delay()
        app.send_task("nobody.knows")
        context.detach(token)
    telemetry.shutdown()


def publish_deadly() -> None:
    """Publish what costs a worker's child its life: one by one, as a killed process takes along what it holds."""
    with telemetry.tracer.start_as_current_span("deadly"):
        die.delay()
        hang.delay()
    telemetry.shutdown()
