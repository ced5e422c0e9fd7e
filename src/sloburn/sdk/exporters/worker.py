"""One thread per signal: wakes, drains its source into its sender, backs off, counts."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from queue import Empty, SimpleQueue

from sloburn.clock import monotonic
from sloburn.sdk.config import Signal
from sloburn.sdk.exporters.health import ExportHealth
from sloburn.sdk.exporters.sender import Outcome, Sender
from sloburn.sdk.exporters.source import Request, Source

_LONGEST_BACKOFF_SECONDS = 10.0
_LONGEST_RETRY_AFTER_SECONDS = 60.0
_EAGER_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStatus:
    """What became of one signal in this process.

    Args:
        sent: Items that the receiver took.
        waiting: Items that wait to be sent.
        lost: Items that are gone, by reason: ``queue_full``, ``refused``, ``not_encodable``, ``shutdown``,
            ``child_ended``.
        problem: Why it cannot be delivered right now, empty when it can.
    """

    sent: int
    waiting: int
    lost: dict[str, int]
    problem: str


class ExportWorker:
    """Moves one signal from its source to its sender, on its own daemon thread.

    Args:
        signal: Which signal.
        source: What to send.
        sender: How.
        health: Told of every success and failure.
        interval_seconds: How often to look.
        timeout_seconds: The longest that one request may take.
        look: What else is looked after in every interval; must be quick.
        now: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        *,
        signal: Signal,
        source: Source,
        sender: Sender,
        health: ExportHealth,
        interval_seconds: float,
        timeout_seconds: float,
        look: Callable[[], None] = lambda: None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.signal = signal
        self._source = source
        self._sender = sender
        self._health = health
        self._interval = interval_seconds
        self._timeout = timeout_seconds
        self._look = look
        self._now = now
        self._reset()

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(
            target=self._run, args=(self._life,), name=f"sloburn-{self.signal}", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Look at the source now instead of at the end of the interval."""
        self._awake.put(None)

    def hurry(self) -> None:
        """Look often from now on: this process has been told to end and may not get another chance to flush."""
        self._interval = min(self._interval, _EAGER_SECONDS)
        self.wake()

    def request_flush(self) -> threading.Event:
        """Ask for everything that waits now to be sent; the event is set when that was done or has failed."""
        done = threading.Event()
        if not self._thread.is_alive():
            done.set()
        self._flushes.append(done)
        self.wake()
        return done

    def request_stop(self, deadline: float) -> None:
        """Ask the thread to send what waits and end.

        Args:
            deadline: Until when it may send, on the worker's clock.
        """
        self._deadline = deadline
        self._is_stopping = True
        self.wake()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread to end, at most so long, and count what it could not send as lost."""
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout_seconds))
        self._lost["shutdown"] += self.waiting()
        self._is_over = True

    def leave_behind(self) -> None:
        """Let the parent process count what waits here: this one ends now."""
        self._health.leave_behind(self.signal, self.waiting())

    def waiting(self) -> int:
        """Return how many items wait, the batch that is on its way included."""
        pending = self._pending
        return self._source.waiting() + (pending.items if pending and not pending.is_replaceable else 0)

    def status(self) -> SignalStatus:
        """Return what became of this signal."""
        known = self._lost + self._source.dropped + Counter(child_ended=self._health.left_behind(self.signal))
        lost = {reason: count for reason, count in known.items() if count}
        waiting = 0 if self._is_over else self.waiting()
        return SignalStatus(sent=self._sent, waiting=waiting, lost=lost, problem=self._health.reason(self.signal))

    def after_fork(self) -> None:
        """Begin anew in a forked child: nothing queued, nothing counted, no connection, a thread of its own."""
        self._source.after_fork()
        self._sender.forget_connection()
        was_over = self._is_over
        self._reset()
        if was_over:
            self._is_over = True
        else:
            self.start()

    def _reset(self) -> None:
        self._life = object()
        self._thread = threading.Thread()
        # Both can be used by a signal handler that interrupts its own use, which a lock or an event would not survive.
        self._awake: SimpleQueue[None] = SimpleQueue()
        self._flushes: deque[threading.Event] = deque()
        self._pending: Request | None = None
        self._not_before = 0.0
        self._failures = 0
        self._deadline = float("inf")
        self._is_stopping = False
        self._is_over = False
        self._sent = 0
        self._lost: Counter[str] = Counter()

    def _run(self, life: object) -> None:
        looked = self._now()
        while not self._is_stopping:
            self._sleep(max(0.0, self._next_look(looked) - self._now()))
            self._stay_in(life)
            self._prepare()
            now = self._now()
            if now >= self._next_look(looked) or self._source.is_batch_full() or self._flushes:
                looked = now
                if self._is_due():
                    self._cycle()
        self._cycle()
        self._sender.close()

    def _stay_in(self, life: object) -> None:
        """Go no further in a forked child: greenlets, unlike threads, survive a fork, and the child has its own.

        For ever, because the end of a thread that `threading` has forgotten would print a traceback.
        """
        while life is not self._life:
            SimpleQueue[None]().get()

    def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(Empty):
            self._awake.get(timeout=min(seconds, threading.TIMEOUT_MAX))
            while True:
                self._awake.get_nowait()

    def _next_look(self, looked: float) -> float:
        after_interval = looked + self._interval
        return min(after_interval, max(looked, self._not_before)) if self._pending else after_interval

    def _prepare(self) -> None:
        for act in (self._look, self._source.prepare):
            try:
                act()
            except Exception as error:
                self._health.failed(self.signal, f"{type(error).__name__}: {error}")

    def _is_due(self) -> bool:
        return bool(self._flushes) or self._now() >= self._not_before

    def _cycle(self) -> None:
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        try:
            self._drain()
        except Exception as error:
            # Nothing in there is meant to raise; if it does, the thread must live on and somebody must be told.
            self._health.failed(self.signal, f"{type(error).__name__}: {error}")
        for done in flushes:
            done.set()

    def _drain(self) -> None:
        waiting = [self._pending] if self._pending else []
        for request in chain(waiting, self._source.requests()):
            self._pending = request
            timeout = min(self._timeout, self._deadline - self._now())
            if timeout <= 0:
                return
            life = self._life
            outcome = self._sender.send(request.body, timeout)
            self._stay_in(life)
            if outcome.verdict == "retry":
                self._back_off(request, outcome)
                return
            self._settle(request, outcome)

    def _settle(self, request: Request, outcome: Outcome) -> None:
        self._pending = None
        self._failures = 0
        self._not_before = 0.0
        refused = request.items if outcome.verdict == "refused" else min(request.items, outcome.refused_items)
        self._sent += request.items - refused
        self._lost["refused"] += refused
        if outcome.verdict == "refused":
            self._health.failed(self.signal, outcome.reason, is_lost=True)
        else:
            self._health.succeeded(self.signal, lost=(self._lost + self._source.dropped).total())
            if refused:
                self._health.refused_some(self.signal, refused)

    def _back_off(self, request: Request, outcome: Outcome) -> None:
        if request.is_replaceable:
            self._pending = None
        wait = min(_LONGEST_BACKOFF_SECONDS, self._interval * 2**self._failures)
        if outcome.retry_after_seconds is not None:
            wait = min(_LONGEST_RETRY_AFTER_SECONDS, max(wait, outcome.retry_after_seconds))
        self._failures = min(self._failures + 1, 10)
        self._not_before = self._now() + wait
        self._health.failed(self.signal, outcome.reason)
