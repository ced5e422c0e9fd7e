"""Celery: one trace from the publisher through the queue to the task, retries included.

The publisher's span wraps `Celery.send_task` instead of hanging on the pair of publish signals, because Celery sends no
signal when publishing fails: contrib's span stays current for the rest of the request and is never exported. Everything
else hangs on public signals. https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/

Who reports a task: the process that runs it, as long as it lives. A child that is killed (time limit, revoke with
terminate, out of memory) cannot, and what never started has none: those are reported by the worker's parent process.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
import weakref
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
from typing import Any

import celery.signals as signals
from celery.app.base import Celery
from opentelemetry import context, trace
from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from sloburn.sdk.integrations.celery_beat import BeatWatch
from sloburn.sdk.integrations.celery_messages import Message, Task, message_of, request_id_of, stamp
from sloburn.sdk.integrations.celery_metrics import SYSTEM, TaskMetrics
from sloburn.sdk.integrations.celery_worker import WorkerWatch
from sloburn.sdk.integrations.span_failure import record_error, set_failed
from sloburn.sdk.log_context import log_context
from sloburn.sdk.log_errors import message_of as error_message
from sloburn.sdk.log_errors import type_name
from sloburn.sdk.logs import LogSetup

logger = logging.getLogger("sloburn")

_OUTCOMES = {"SUCCESS": "success", "FAILURE": "failure", "RETRY": "retry", "REJECTED": "rejected", "IGNORED": "ignored"}
# Rides on the request, which Celery makes anew for every run and keeps apart by thread and greenlet.
_RUNNING = "sloburn_running"
_LONGEST_REASON = 500


@dataclass(slots=True, kw_only=True)
class RunningTask:
    """A task between its two signals.

    Args:
        message: What was published.
        span: The consumer's span.
        token: Takes the span off the context again.
        fields: Are in the task's log lines.
        started: Seconds on a clock that never goes back.
        error: Why it failed or is retried, if so.
    """

    message: Message
    span: Span
    token: Token[context.Context]
    fields: log_context
    started: float
    error: BaseException | None = None


class CeleryObserver:
    """Follows tasks from publisher to worker.

    Args:
        tracer: Starts the spans.
        meter: Where the instruments are created.
        interval_seconds: How often queues are looked at.
    """

    def __init__(self, *, tracer: Tracer, meter: Meter, interval_seconds: float = 5.0) -> None:
        self._tracer = tracer
        self._metrics = TaskMetrics(meter)
        self.worker = WorkerWatch(meter, interval_seconds=interval_seconds)
        self.beat = BeatWatch(meter)
        self._received: weakref.WeakValueDictionary[str, Task] = weakref.WeakValueDictionary()
        self._is_pool_child = False

    def publish(
        self, send: Callable[..., object], name: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> object:
        """Publish a task under a producer span, which ends whether publishing works or not."""
        if _is_contrib_active():
            return send(name, *arguments, **options)
        attributes = {**SYSTEM, **_operation("publish", "send"), "celery.task.name": str(name), **request_id_of()}
        with self._tracer.start_as_current_span(
            f"publish {name}",
            kind=SpanKind.PRODUCER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = send(name, *arguments, **options)
            except Exception as error:
                record_error(span, error)
                span.set_attribute("error.type", type_name(error))
                span.set_status(StatusCode.ERROR, f"the task was not published: {error_message(error)}")
                self._metrics.sent(str(name), error)
                raise
            self._metrics.sent(str(name), None)
            return result

    def before_publish(self, headers: dict[str, Any] | None = None, routing_key: str = "", **_: object) -> None:
        """Put the trace context into the message."""
        if headers is None or _is_contrib_active():
            return
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute("messaging.message.id", str(headers.get("id", "")))
            span.set_attribute("messaging.destination.name", routing_key or "")
        stamp(headers)

    def receive(self, request: Task = None, **_: object) -> None:
        """Keep what a message said, in the worker's parent process, for the case that its child dies."""
        self._received[request.id] = request

    def begin(self, task_id: str = "", task: Task = None, **_: object) -> None:
        """Start the consumer's span as a child of the publisher's."""
        if _is_contrib_active():
            return
        now = time.time_ns()
        message = message_of(vars(task.request), task_name=str(task.name), task_id=task_id)
        queue_seconds = None if message.is_eager else message.queue_seconds(now)
        parent = message.parent()
        span = self._start(message, parent, now)
        if queue_seconds is not None:
            span.set_attribute("celery.task.queue_seconds", queue_seconds)
        within = trace.set_span_in_context(span, parent)
        self._metrics.started(message, queue_seconds, within)
        fields = log_context(task_name=message.task_name, task_id=task_id).__enter__()
        # Last: what fails before it leaves nothing behind that `end` would have to take off.
        token = context.attach(within)
        running = RunningTask(message=message, span=span, token=token, fields=fields, started=time.perf_counter())
        setattr(task.request, _RUNNING, running)

    def fail(self, sender: Task = None, task_id: str = "", exception: BaseException | None = None, **_: object) -> None:
        """Remember why a task failed; in the worker's parent process report it, as its own process is gone."""
        running = _running(sender.request)
        if running is not None:
            running.error = exception
            return
        # Taken away, because a time limit is signalled twice.
        received = self._received.pop(task_id, None)
        # A rejection has already been reported by the process that rejected.
        if received is None or type(exception).__name__ == "Reject" or _is_contrib_active():
            return
        self._report(received.request_dict, received, "failure", exception)

    def retry(self, request: Task = None, reason: object = None, **_: object) -> None:
        """Remember why a task is retried."""
        running = _running(request)
        if running is not None:
            cause = getattr(reason, "exc", None)
            running.error = cause if isinstance(cause, BaseException) else None
            running.span.set_attribute("celery.retry.reason", str(reason)[:_LONGEST_REASON])

    def end(
        self, task_id: str = "", task: Task = None, state: str | None = None, retval: object = None, **_: object
    ) -> None:
        """End the consumer's span and record how long the task ran, and how it ended."""
        running = _running(task.request)
        if running is None or running.message.task_id != task_id:
            return
        delattr(task.request, _RUNNING)
        if state == "REJECTED" and isinstance(retval, BaseException):
            running.error = retval
        # Without a state SystemExit or the like goes through: a pool's child was told to end, and its parent, which
        # knows why, reports the task.
        try:
            if state is not None or not self._is_pool_child:
                if running.error is None and state is None:
                    running.error = sys.exc_info()[1]
                self._finish(running, "failure" if state is None else _OUTCOMES.get(state, "unknown"))
        finally:
            running.fields.__exit__(None, None, None)
            context.detach(running.token)

    def _finish(self, running: RunningTask, outcome: str) -> None:
        seconds = time.perf_counter() - running.started
        try:
            error_type = _finish_span(running.span, outcome, running.error)
            self._metrics.ended(running.message, outcome, error_type, seconds)
        finally:
            running.span.end()

    def revoke(self, request: Task = None, terminated: bool = False, expired: bool = False, **_: object) -> None:
        """Report a task that was called off: it never ran, or its process was killed."""
        if not _is_contrib_active():
            reason = "terminated" if terminated else "expired" if expired else "revoked"
            received = self._received.pop(request.id, None) if terminated else None
            self._report(dict(vars(request)), received, "revoked", None, {"celery.task.revoke_reason": reason})

    def reject(self, message: Task = None, exc: BaseException | None = None, name: str = "", **_: object) -> None:
        """Report a message that no task could be made of: its name is unknown here, or it cannot be read."""
        if not _is_contrib_active():
            delivery = {"delivery_info": getattr(message, "delivery_info", None) or {}}
            # A name that nobody has registered is anybody's text: as a label it would be unbounded.
            headers = {**(getattr(message, "headers", None) or {}), **delivery, "task": "unknown"}
            asked = {"celery.task.unknown_name": str(name)[:_LONGEST_REASON]} if name else None
            self._report(headers, None, "rejected", exc, asked)

    def _report(
        self,
        headers: dict[str, Any],
        received: Task,
        outcome: str,
        error: BaseException | None,
        attributes: dict[str, str] | None = None,
    ) -> None:
        """Leave span and metrics of a task whose process cannot."""
        name = str(getattr(getattr(received, "task", None), "name", "") or headers.get("task") or "unknown")
        message = message_of(headers, task_name=name)
        started = getattr(received, "time_start", None)
        span = self._start(message, message.parent(), int(started * 1e9) if started else None)
        span.set_attributes(attributes or {})
        error_type = _finish_span(span, outcome, error)
        span.end()
        self._metrics.ended(message, outcome, error_type, max(0.0, time.time() - started) if started else None)

    def _start(self, message: Message, parent: context.Context, unix_nano: int | None) -> Span:
        return self._tracer.start_span(
            f"process {message.task_name}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes={**_task_attributes(message), **request_id_of(parent)},
            start_time=unix_nano,
        )

    def enter_pool_child(self, **_: object) -> None:
        """Know that this process is a child of a worker, whose parent sees it die."""
        self._is_pool_child = True

    def after_fork(self) -> None:
        """Forget the parent's tasks in a forked child."""
        self._received = weakref.WeakValueDictionary()
        self.worker.after_fork()
        self.beat.after_fork()


def install(
    observer: CeleryObserver,
    *,
    flush: Callable[[], object],
    flush_in_child: Callable[[], object],
    logs: LogSetup | None,
) -> None:
    """Connect to Celery's signals and wrap its publishing.

    Args:
        observer: Follows the tasks.
        flush: Sends what waits; may block for a bounded time.
        flush_in_child: The same in a child of the pool, which ends after it.
        logs: Keeps our log handler when the worker sets up logging; None when logs are not ours.
    """
    _keep_logs(logs)
    _connect(signals.worker_process_init, observer.enter_pool_child)
    _connect(signals.worker_init, observer.worker.hush)
    _connect(signals.worker_ready, observer.worker.begin)
    _connect(signals.heartbeat_sent, observer.worker.beat)
    _connect(signals.worker_shutdown, observer.worker.end)
    _connect(signals.worker_process_shutdown, lambda **_: flush_in_child())
    _connect(signals.worker_shutdown, lambda **_: flush())
    _connect(signals.beat_init, observer.beat.begin)
    _wrap_send_task(observer)
    _connect(signals.before_task_publish, observer.before_publish)
    for signal, receiver in (
        (signals.task_received, observer.receive),
        (signals.task_prerun, observer.begin),
        (signals.task_postrun, observer.end),
        (signals.task_failure, observer.fail),
        (signals.task_retry, observer.retry),
        (signals.task_revoked, observer.revoke),
        (signals.task_rejected, observer.reject),
        (signals.task_unknown, observer.reject),
    ):
        _connect(signal, receiver)


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


def _running(request: Task) -> RunningTask | None:
    found = vars(request).get(_RUNNING) if hasattr(request, "__dict__") else None
    return found if isinstance(found, RunningTask) else None


def _operation(name: str, kind: str) -> dict[str, str]:
    return {"messaging.operation.name": name, "messaging.operation.type": kind}


def _task_attributes(message: Message) -> dict[str, str | int | bool]:
    attributes: dict[str, str | int | bool] = {
        **SYSTEM,
        **_operation("process", "process"),
        "messaging.destination.name": message.queue,
        "messaging.message.id": message.task_id,
        "celery.task.name": message.task_name,
        "celery.task.retries": message.retries,
    }
    if message.is_redelivered:
        attributes["celery.task.redelivered"] = True
    return attributes | ({"celery.beat.entry": message.beat_entry} if message.beat_entry else {})


def _finish_span(span: Span, outcome: str, error: BaseException | None) -> str:
    """Say on a span how its task ended.

    Returns:
        ``error.type``; empty when the task did not fail.
    """
    span.set_attribute("celery.task.outcome", outcome)
    if error is not None:
        record_error(span, error)
    if outcome not in ("failure", "rejected"):
        return ""
    error_type = type_name(error) if error is not None else outcome
    span.set_attribute("error.type", error_type)
    set_failed(span, error)
    return error_type
