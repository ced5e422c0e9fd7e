"""The metrics of tasks: how many ended how, how long they ran, how long they waited, how often they were retried."""

from __future__ import annotations

import time

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from sloburn.sdk.integrations.celery_messages import Message
from sloburn.sdk.log_errors import type_name

# Tasks run from milliseconds to hours; 0.3 s stands here for the same reason as with HTTP.
DURATION_BOUNDARIES_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
SYSTEM = {"messaging.system": "celery"}

Labels = dict[str, str]


class TaskMetrics:
    """What is counted and measured of tasks.

    Args:
        meter: Where the instruments are created.
    """

    def __init__(self, meter: Meter) -> None:
        self._tasks = meter.create_counter(
            "celery.tasks",
            unit="{task}",
            description="Task attempts that ended, by outcome: success, failure, retry, revoked, rejected, ignored.",
        )
        self._duration = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="Duration of task runs.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES_SECONDS,
        )
        self._queued = meter.create_histogram(
            "celery.task.queue.duration",
            unit="s",
            description="Time between publishing, or a later ETA, and the start of the run.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES_SECONDS,
        )
        self._retries = meter.create_counter(
            "celery.task.retries", unit="{retry}", description="Retries that were asked for."
        )
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", unit="{message}", description="Tasks that were published, or not."
        )
        self._check_ins = meter.create_counter(
            "celery.beat.check_ins", unit="{run}", description="Runs of scheduled tasks that ended, by entry."
        )
        self._last_success = meter.create_gauge(
            "celery.beat.last_success", unit="s", description="When a scheduled task last succeeded, since the epoch."
        )

    def sent(self, name: str, error: BaseException | None) -> None:
        """Count a task that was published, or could not be."""
        labels = {**SYSTEM, "messaging.operation.name": "publish", "celery.task.name": name}
        self._sent.add(1, labels | ({"error.type": type_name(error)} if error is not None else {}))

    def started(self, message: Message, queue_seconds: float | None, within: Context) -> None:
        """Measure how long a task waited, in whose context its span is."""
        if queue_seconds is not None:
            self._queued.record(queue_seconds, _labels(message), within)

    def ended(self, message: Message, outcome: str, error_type: str = "", seconds: float | None = None) -> None:
        """Count a task that ended, and measure how long it ran.

        Args:
            message: The task.
            outcome: How it ended.
            error_type: Why, if it failed.
            seconds: How long it ran; None when it never did.
        """
        labels = _labels(message) | {"outcome": outcome} | ({"error.type": error_type} if error_type else {})
        self._tasks.add(1, labels)
        if seconds is not None:
            self._duration.record(seconds, labels | {"messaging.operation.name": "process"})
        if outcome == "retry":
            self._retries.add(1, _labels(message))
        elif message.beat_entry:
            self._check_in(message.beat_entry, outcome)

    def _check_in(self, entry: str, outcome: str) -> None:
        self._check_ins.add(1, {"celery.beat.entry": entry, "outcome": outcome})
        if outcome == "success":
            self._last_success.set(time.time(), {"celery.beat.entry": entry})


def _labels(message: Message) -> Labels:
    return {**SYSTEM, "messaging.destination.name": message.queue, "celery.task.name": message.task_name}
