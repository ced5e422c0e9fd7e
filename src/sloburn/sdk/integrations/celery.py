"""Celery: one trace from the publisher through the queue to the task, retries included.

The publisher's span wraps `Celery.send_task` instead of hanging on the pair of publish signals, because Celery sends no
signal when publishing fails: contrib's span stays current for the rest of the request and is never exported. Everything
else hangs on public signals. https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from dataclasses import dataclass
from typing import Any

from celery import Celery, signals
from opentelemetry import context, propagate, trace
from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from sloburn.sdk.integrations.asgi import type_name
from sloburn.sdk.logs import LogSetup

logger = logging.getLogger("sloburn")

# Tasks run from milliseconds to hours; 0.3 s stands here for the same reason as with HTTP.
DURATION_BOUNDARIES_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
_OUTCOMES = {"SUCCESS": "success", "FAILURE": "failure", "RETRY": "retry", "REJECTED": "rejected", "IGNORED": "ignored"}
_PREFIX = {"messaging.system": "celery"}

# Celery is not typed: tasks, requests and the arguments of its signals are of any type.
Task = Any


@dataclass(slots=True, kw_only=True)
class RunningTask:
    """A task between its two signals.

    Args:
        span: The consumer's span.
        token: Takes the span off the context again.
        started: Seconds on a clock that never goes back.
        error: Why it failed or is retried, if so.
    """

    span: Span
    token: Token[context.Context]
    started: float
    error: BaseException | None = None


class CeleryObserver:
    """Follows tasks from publisher to worker.

    Args:
        tracer: Starts the spans.
        meter: Where the histogram is created.
    """

    def __init__(self, *, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._running: dict[str, RunningTask] = {}
        self._duration = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="Duration of task runs.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES_SECONDS,
        )

    def publish(
        self, send: Callable[..., object], name: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> object:
        """Publish a task under a producer span, which ends whether publishing works or not."""
        if _is_contrib_active():
            return send(name, *arguments, **options)
        attributes = {**_PREFIX, **_operation("publish", "send"), "celery.task.name": str(name)}
        with self._tracer.start_as_current_span(
            f"publish {name}", kind=SpanKind.PRODUCER, attributes=attributes, set_status_on_exception=False
        ) as span:
            try:
                return send(name, *arguments, **options)
            except Exception as error:
                span.set_attribute("error.type", type_name(error))
                span.set_status(StatusCode.ERROR, f"the task was not published: {error}")
                raise

    def before_publish(self, headers: dict[str, Any] | None = None, routing_key: str = "", **_: object) -> None:
        """Put the trace context into the message."""
        if headers is None or _is_contrib_active():
            return
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute("messaging.message.id", str(headers.get("id", "")))
            span.set_attribute("messaging.destination.name", routing_key or "")
        propagate.inject(headers)

    def begin(self, task_id: str = "", task: Task = None, **_: object) -> None:
        """Start the consumer's span as a child of the publisher's."""
        if _is_contrib_active():
            return
        request = task.request
        parent = propagate.extract(_carrier(request))
        span = self._tracer.start_span(
            f"process {task.name}", context=parent, kind=SpanKind.CONSUMER, attributes=_task_attributes(task, task_id)
        )
        token = context.attach(trace.set_span_in_context(span, parent))
        self._running[task_id] = RunningTask(span=span, token=token, started=time.perf_counter())

    def fail(self, task_id: str = "", exception: BaseException | None = None, **_: object) -> None:
        """Remember why a task failed."""
        running = self._running.get(task_id)
        if running is not None:
            running.error = exception

    def retry(self, request: Task = None, reason: object = None, **_: object) -> None:
        """Remember why a task is retried."""
        running = self._running.get(request.id)
        if running is not None:
            running.error = reason if isinstance(reason, BaseException) else None
            running.span.set_attribute("celery.retry.reason", str(reason)[:500])

    def end(self, task_id: str = "", task: Task = None, state: str = "", **_: object) -> None:
        """End the consumer's span and record how long the task ran, and how it ended."""
        running = self._running.pop(task_id, None)
        if running is None:
            return
        outcome = _OUTCOMES.get(state, "unknown")
        seconds = time.perf_counter() - running.started
        _finish_span(running, outcome)
        self._duration.record(seconds, _labels(task, running, outcome))
        running.span.end()
        context.detach(running.token)

    def after_fork(self) -> None:
        """Forget the parent's tasks in a forked child."""
        self._running.clear()


def install(observer: CeleryObserver, *, flush: Callable[[], object], logs: LogSetup | None) -> None:
    """Connect to Celery's signals and wrap its publishing.

    Args:
        observer: Follows the tasks.
        flush: Sends what waits; may block for a bounded time.
        logs: Keeps our log handler when the worker sets up logging; None when logs are not ours.
    """
    _keep_logs(logs)
    _connect(signals.worker_process_shutdown, lambda **_: flush())
    _connect(signals.worker_shutdown, lambda **_: flush())
    _wrap_send_task(observer)
    _connect(signals.before_task_publish, observer.before_publish)
    _connect(signals.task_prerun, observer.begin)
    _connect(signals.task_postrun, observer.end)
    _connect(signals.task_failure, observer.fail)
    _connect(signals.task_retry, observer.retry)


def _keep_logs(logs: LogSetup | None) -> None:
    """Keep the worker from replacing our handler: a stream of ours it leaves alone, with another's we come after."""
    if logs is not None and logs.is_owner:
        _connect(signals.setup_logging, lambda loglevel=None, **_: logs.set_level(loglevel))
    elif logs is not None:
        _connect(signals.after_setup_logger, lambda **_: logs.attach())


def _is_contrib_active() -> bool:
    """Tell whether the host has applied contrib's instrumentation, which it may do at any time: then we step aside."""
    contrib = sys.modules.get("opentelemetry.instrumentation.celery")
    return contrib is not None and bool(contrib.CeleryInstrumentor().is_instrumented_by_opentelemetry)


def _connect(signal: Any, receiver: Callable[..., object]) -> None:  # noqa: ANN401 - Celery is not typed
    signal.connect(_guard(receiver), weak=False)


def _guard(receiver: Callable[..., object]) -> Callable[..., None]:
    """Keep what goes wrong here out of Celery, which logs a traceback for each receiver that raises."""

    def guarded(**arguments: Any) -> None:  # noqa: ANN401 - Celery is not typed
        try:
            receiver(**{key: value for key, value in arguments.items() if key != "signal"})
        except Exception as error:
            logger.warning("a Celery task is not fully observed: %s: %s", type(error).__name__, error)

    return guarded


def _wrap_send_task(observer: CeleryObserver) -> None:
    original = Celery.send_task

    @functools.wraps(original)
    def send_task(self: Celery, name: str, *arguments: Any, **options: Any) -> object:  # noqa: ANN401 - see above
        return observer.publish(functools.partial(original, self), name, arguments, options)

    Celery.send_task = send_task


def _operation(name: str, kind: str) -> dict[str, str]:
    return {"messaging.operation.name": name, "messaging.operation.type": kind}


def _queue(task: Task) -> str:
    information = task.request.delivery_info or {}
    return str(information.get("routing_key") or "")


def _task_attributes(task: Task, task_id: str) -> dict[str, str | int]:
    return {
        **_PREFIX,
        **_operation("process", "process"),
        "messaging.destination.name": _queue(task),
        "messaging.message.id": task_id,
        "celery.task.name": str(task.name),
        "celery.task.retries": int(task.request.retries or 0),
    }


def _finish_span(running: RunningTask, outcome: str) -> None:
    span, error = running.span, running.error
    span.set_attribute("celery.task.outcome", outcome)
    if error is not None:
        span.record_exception(error)
    if outcome == "failure":
        span.set_attribute("error.type", type_name(error) if error else "unknown")
        span.set_status(StatusCode.ERROR, str(error) if error else None)


def _labels(task: Task, running: RunningTask, outcome: str) -> dict[str, str]:
    labels = {
        **_PREFIX,
        "messaging.operation.name": "process",
        "messaging.destination.name": _queue(task),
        "celery.task.name": str(task.name),
        "outcome": outcome,
    }
    return labels | ({"error.type": type_name(running.error)} if running.error and outcome == "failure" else {})


def _carrier(request: Task) -> Mapping[str, str]:
    """Return the trace context that the publisher put into the message."""
    headers = request.headers if isinstance(request.headers, dict) else {}
    found = {name: headers.get(name, getattr(request, name, None)) for name in propagate.get_global_textmap().fields}
    return {name: value for name, value in found.items() if isinstance(value, str)}
