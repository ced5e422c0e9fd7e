"""What a worker's parent process knows: whether it works, what it holds, how long its queues are."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

logger = logging.getLogger("sloburn")

# Brokers whose queues can be measured at no cost; others (SQS) charge for every look.
_MEASURABLE = frozenset({"amqp", "redis", "filesystem", "memory"})
_NAMES = ", ".join(sorted(_MEASURABLE))
# Celery's heart beats every two seconds, from the loop that takes messages.
_SILENCE_SECONDS = 30.0
_STALE_INTERVALS = 3

Queues = dict[str, int]


class WorkerWatch:
    """Watches a worker from its parent process.

    Args:
        meter: Where the instruments are created.
        interval_seconds: How often queues are looked at.
        now: Seconds on a clock that never goes back.
        fork_patience_seconds: How long a fork waits for a look; a broker that hangs must not keep a worker from
            replacing a child.
    """

    # Suppresses until it is collected.
    _quiet: AbstractContextManager[object] = nullcontext()
    _consumer: Any
    _last_beat: float | None
    _depths: Queues
    _holds_off_forks = False
    _forking: int | None

    def __init__(
        self,
        meter: Meter,
        *,
        interval_seconds: float,
        now: Callable[[], float] = time.monotonic,
        fork_patience_seconds: float = 0.5,
    ) -> None:
        self._interval = interval_seconds
        self._fork_patience = fork_patience_seconds
        self._now = now
        self._forget()
        for name, unit, text, observe in (
            ("celery.worker.up", "1", "1 while the worker takes messages, 0 when it hangs or has ended.", self._up),
            ("celery.worker.concurrency", "{task}", "How many tasks it can run at once.", self._concurrency),
            ("celery.tasks.active", "{task}", "Tasks that run, by queue.", self._active),
            ("celery.tasks.reserved", "{task}", "Tasks that were taken from the broker and wait here.", self._reserved),
            ("celery.queue.depth", "{message}", "Messages that wait in the broker, seen by this worker.", self._depth),
        ):
            meter.create_observable_gauge(name, [_guarded(observe)], unit=unit, description=text)

    def hush(self, **_: object) -> None:
        """Keep instrumented clients from tracing the worker's own broker traffic, which polls for ever.

        Holds for the worker's main thread from its start on; tasks begin with a context of their own.
        """
        self._quiet = _without_instrumentation()
        self._quiet.__enter__()

    def begin(self, sender: Any = None, **_: object) -> None:  # noqa: ANN401 - Celery is not typed
        """Watch a worker that is ready."""
        self._consumer = sender
        self._is_up = True
        self._stopping = threading.Event()
        if not self._holds_off_forks and hasattr(os, "register_at_fork"):
            self._holds_off_forks = True
            os.register_at_fork(before=self._look_away, after_in_parent=self._look_again)
        thread = threading.Thread(target=self._look_often, args=(self._stopping,), name="sloburn-queues", daemon=True)
        thread.start()

    def beat(self, **_: object) -> None:
        """Note that the worker's loop has turned."""
        self._last_beat = self._now()

    def end(self, **_: object) -> None:
        """Note that the worker ends."""
        self._is_up = False
        self._stopping.set()

    def after_fork(self) -> None:
        """Forget the worker in its children: it is the parent's to watch."""
        self._forget()

    def _look_away(self) -> None:
        """Wait until no look is under way: a child that is forked meanwhile inherits a client's lock, locked for ever.

        Redis's client waits for that lock in the child before the worker hears of it, which then kills the child.
        """
        if self._looking.acquire(timeout=self._fork_patience):
            self._forking = threading.get_ident()

    def _look_again(self) -> None:
        if self._forking == threading.get_ident():
            self._forking = None
            self._looking.release()

    def _forget(self) -> None:
        self._looking = threading.Lock()
        self._forking = None
        self._consumer = None
        self._is_up = False
        self._last_beat = None
        self._depths = {}
        self._looked = 0.0
        self._stopping = threading.Event()

    def _up(self) -> Iterator[Observation]:
        if self._consumer is not None:
            yield Observation(int(self._is_up and not self._is_silent()))

    def _is_silent(self) -> bool:
        """Tell whether the heart has stopped; a worker without one is trusted, and so is one that is busy itself."""
        if self._last_beat is None or self._now() - self._last_beat < _SILENCE_SECONDS:
            return False
        is_busy_itself = type(self._consumer.pool).__module__.endswith(".solo") and bool(_requests("active_requests"))
        return not is_busy_itself

    def _concurrency(self) -> Iterator[Observation]:
        if self._consumer is not None:
            yield Observation(int(self._consumer.pool.num_processes or 0))

    def _active(self) -> Iterator[Observation]:
        if self._consumer is not None:
            yield from self._by_queue(_requests("active_requests"))

    def _reserved(self) -> Iterator[Observation]:
        if self._consumer is not None:
            active = set(map(id, _requests("active_requests")))
            yield from self._by_queue(
                request for request in _requests("reserved_requests") if id(request) not in active
            )

    def _by_queue(self, requests: Iterable[Any]) -> Iterator[Observation]:
        counts = Counter(str((request.delivery_info or {}).get("routing_key") or "") for request in requests)
        for name in {*self._queues(), *counts}:
            yield Observation(counts[name], {"messaging.destination.name": name})

    def _depth(self) -> Iterator[Observation]:
        if self._now() - self._looked < _STALE_INTERVALS * self._interval:
            for name, depth in self._depths.items():
                yield Observation(depth, {"messaging.destination.name": name})

    def _queues(self) -> list[str]:
        return list(self._consumer.app.amqp.queues.consume_from)

    def _look_often(self, stopping: threading.Event) -> None:
        """Look at the queues until the worker ends: on a thread of its own, as a broker may hang."""
        app = self._consumer.app
        while not stopping.is_set():
            try:
                with _without_instrumentation(), app.connection_for_read() as connection:
                    kind = getattr(connection.transport, "driver_type", "") or type(connection.transport).__name__
                    if kind not in _MEASURABLE:
                        logger.debug("the depth of queues is not measured on %s: only on %s", kind, _NAMES)
                        return
                    self._look_while_connected(connection, stopping)
            except Exception as error:
                logger.debug("queues cannot be measured now: %s: %s", type(error).__name__, error)
            stopping.wait(self._interval)

    def _look_while_connected(self, connection: Any, stopping: threading.Event) -> None:  # noqa: ANN401 - see above
        while not stopping.is_set():
            with self._looking:
                self._depths = {name: _depth_of(connection, name) for name in self._queues()}
            self._looked = self._now()
            stopping.wait(self._interval)


def _without_instrumentation() -> AbstractContextManager[object]:
    """Return what suppresses contrib's instrumentations; nothing when none is installed."""
    try:
        from opentelemetry.instrumentation.utils import suppress_instrumentation
    except ImportError:
        return nullcontext()
    return suppress_instrumentation()


def _depth_of(connection: Any, name: str) -> int:  # noqa: ANN401 - kombu is not typed
    """Return how many messages wait in a queue; a queue that does not exist, as an empty one of Redis, has none."""
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue=name, passive=True).message_count)
    except connection.channel_errors:
        return 0
    finally:
        channel.close()


def _requests(kind: str) -> list[Any]:
    """Return the worker's requests of a kind; the set may change while it is copied."""
    from celery.worker import state

    for _ in range(3):
        try:
            return list(getattr(state, kind))
        except RuntimeError:
            continue
    return []


def _guarded(observe: Callable[[], Iterable[Observation]]) -> Callable[[CallbackOptions], list[Observation]]:
    """Keep what goes wrong in one gauge out of the collection of all the others."""

    def callback(_: CallbackOptions) -> list[Observation]:
        try:
            return list(observe())
        except Exception:
            return []

    return callback
