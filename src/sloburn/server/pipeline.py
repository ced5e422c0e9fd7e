"""One thread that owns engine and store (`Keeper`): it takes requests in batches, commits them, answers, evaluates.

Requests that wait while a commit is written share the next one, so durability costs one disk flush for a batch and not
for a request. The receivers bound the bytes that wait (`receiver.limits.Pending`), so the queue has no bound of its
own.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sloburn.clock import Clock, monotonic
from sloburn.errors import StorageError, TelemetryError
from sloburn.otlp.decode import decode
from sloburn.otlp.messages import Request
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.intake import Receipt
from sloburn.server.keeper import Keeper
from sloburn.sli.commit import Commit
from sloburn.sli.series import SeriesKey
from sloburn.sli.status import Notice, Snapshot
from sloburn.slo.alerting import Alert, AlertState

log = logging.getLogger("sloburn.pipeline")

T = TypeVar("T")

BATCH_BYTES = 16 * 1024 * 1024
TICK_SECONDS = 1.0
SOON_SECONDS = 0.2  # after telemetry came, the next look is taken so soon, unless looking takes long:
MAX_LOOKING = 0.05  # the share of the time that may go into looks that are taken early
CHECKPOINT_SECONDS = 15.0
MENDING_SECONDS = 1.0
MAX_NOTICE = 2_000


@dataclass(slots=True, kw_only=True)
class _Job:
    signal: Signal
    encoding: Encoding
    body: bytes
    done: Callable[[Receipt | Exception], None]
    receipt: Receipt | Exception = field(default_factory=Receipt)


@dataclass(slots=True, kw_only=True)
class _Errand:
    work: Callable[[Keeper], object]
    done: Callable[[object], None]

    def run(self, keeper: Keeper) -> None:
        try:
            self.done(self.work(keeper))
        except Exception as error:
            self.done(error)


class Pipeline:
    """The intake of both receivers.

    Args:
        keeper: Counts and keeps; used by no other thread once `start` was called.
        clock: Tells the time.
        publish: Takes every new snapshot; called in the pipeline's thread.
    """

    def __init__(self, keeper: Keeper, clock: Clock, publish: Callable[[Snapshot], None]) -> None:
        self._keeper = keeper
        self._clock = clock
        self._publish = publish
        self._jobs: queue.SimpleQueue[_Job | _Errand | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sloburn-pipeline", daemon=True)
        self._saved: dict[SeriesKey, tuple[Alert, ...]] = {key: one.alerts for key, one in keeper.engine.series.items()}
        self._announced = dict(self._saved)
        self._next_tick = 0.0
        self._soon = 0.0  # no look is taken before that for new telemetry alone
        self._next_checkpoint = 0.0
        self._next_mending = 0.0
        self._trouble = ""
        self._trouble_since = 0
        self._complaint: tuple[Notice, ...] = ()

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at the moment; empty if it can."""
        return self._trouble

    def complain(self, text: str, now: int) -> None:
        """Say on every page that something about the SLO documents is wrong; an empty text takes it back.

        Args:
            text: What is wrong.
            now: Nanoseconds since the epoch.
        """
        self._complaint = (Notice(at_unix_nano=now, text=text[:MAX_NOTICE]),) if text else ()

    def _notices(self, now: int) -> tuple[Notice, ...]:
        """Return what is wrong now, then what befell the store, as long as a period may miss something."""
        keeper = self._keeper
        trouble = f"{self._trouble}; senders are told to retry" if self._trouble else ""
        current = (Notice(at_unix_nano=self._trouble_since, text=trouble),) if trouble else ()
        past = [
            Notice(at_unix_nano=at, text=text, is_over=True)
            for at, text in keeper.notices
            if now - at <= keeper.engine.reach_ns
        ]
        return (*self._complaint, *current, *past)

    def start(self) -> None:
        """Start the thread; the first snapshot is published at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, write a checkpoint and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:
        """Take one request; return after its durable commit.

        Raises:
            MalformedBody: The body is not what `encoding` says.
            StorageError: The commit failed.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Receipt] = loop.create_future()

        def done(receipt: Receipt | Exception) -> None:
            loop.call_soon_threadsafe(_resolve, answer, receipt)

        self._jobs.put(_Job(signal=signal, encoding=encoding, body=body, done=done))
        return await answer

    async def between(self, work: Callable[[Keeper], T]) -> T:
        """Run something in the pipeline's thread, between two batches; a new snapshot follows at once.

        Args:
            work: What to do with engine and store; it must be quick.

        Raises:
            Exception: Whatever `work` raises.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def done(result: object) -> None:
            loop.call_soon_threadsafe(_resolve, answer, result)

        self._jobs.put(_Errand(work=work, done=done))
        return await answer

    def _run(self) -> None:
        running = True
        while running:
            self._mend_if_needed()
            self._tick_if_due()
            batch, running = self._take()
            if batch:
                self._process(batch)
                self._next_tick = min(self._next_tick, max(self._soon, monotonic() + SOON_SECONDS))
            self._checkpoint_if_due(force=not running)

    def _take(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        size = 0
        wait = max(0.0, self._next_tick - monotonic())
        while size < BATCH_BYTES:
            try:
                job = self._jobs.get(timeout=wait) if wait else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, False
            if isinstance(job, _Errand):
                job.run(self._keeper)
                wait = self._next_tick = 0.0
                continue
            batch.append(job)
            size += len(job.body)
            wait = 0.0
        return batch, True

    def _process(self, batch: list[_Job]) -> None:
        try:
            self._commit(batch)
        except StorageError as error:
            self._report(str(error))
            for job in batch:
                job.receipt = error
        except Exception:
            self._process_apart(batch)
        for job in batch:
            job.done(job.receipt)

    def _process_apart(self, batch: list[_Job]) -> None:
        """Something unforeseen is wrong with a request of the batch: its neighbours must not suffer."""
        for job in batch:
            try:
                self._commit([job])
            except Exception as error:
                log.exception("a request could not be counted")
                job.receipt = error

    def _commit(self, batch: list[_Job]) -> None:
        now = self._clock.now_unix_nano()
        commit = Commit()
        for job in batch:
            try:
                request = decode(job.signal, job.encoding, job.body)
            except TelemetryError as error:
                job.receipt = error
                continue
            job.receipt = self._prepare(job.signal, request, now, commit)
        self._keeper.commit(commit, now)
        if not commit.is_empty:
            self._report("")

    def _prepare(self, signal: Signal, request: Request, now: int, commit: Commit) -> Receipt:
        prepare = {
            Signal.TRACES: self._keeper.engine.prepare_traces,
            Signal.METRICS: self._keeper.engine.prepare_metrics,
            Signal.LOGS: self._keeper.engine.prepare_logs,
        }[signal]
        refused = prepare(request, now, commit)  # type: ignore[operator]
        if not refused:
            return Receipt()
        reasons = ", ".join(f"{count} {fate}" for fate, count in sorted(Counter(refused).items()))
        return Receipt(rejected=len(refused), message=f"not counted: {reasons}")

    def _tick_if_due(self) -> None:
        if monotonic() < self._next_tick:
            return
        began = monotonic()
        self._next_tick = began + TICK_SECONDS
        try:
            now = self._clock.now_unix_nano()
            self._judge(now)
            snapshot = self._keeper.engine.tick(now)
            self._save_alerts()
            self._save_annotations()
            self._publish(replace(snapshot, history_unix_nano=self._keeper.epoch, notices=self._notices(now)))
        except Exception:  # counting must go on whatever evaluation meets
            log.exception("the SLOs could not be evaluated")
        self._soon = monotonic() + (monotonic() - began) / MAX_LOOKING

    def _judge(self, now: int) -> None:
        """Judge the slices of time that are over; what cannot be stored is judged at the next look."""
        try:
            self._keeper.commit(self._keeper.engine.judge(now), now)
        except StorageError as error:
            self._report(str(error))

    def _save_alerts(self) -> None:
        changed = {
            key: series.alerts
            for key, series in self._keeper.engine.series.items()
            if series.alerts != self._saved.get(key)
        }
        if not changed:
            return
        for key, alerts in changed.items():
            _announce(key, self._announced.get(key, ()), alerts)
        self._announced.update(changed)
        try:
            self._keeper.save_alerts(changed.items())
        except StorageError as error:
            self._report(str(error))
        else:
            self._saved.update(changed)

    def _save_annotations(self) -> None:
        try:
            self._keeper.save_annotations()
        except StorageError as error:
            self._report(str(error))

    def _mend_if_needed(self) -> None:
        if not self._keeper.is_damaged or monotonic() < self._next_mending:
            return
        self._next_mending = monotonic() + MENDING_SECONDS
        try:
            self._keeper.mend(self._clock.now_unix_nano())
        except (StorageError, OSError) as error:
            self._report(str(error))
        else:
            self._report("")

    def _checkpoint_if_due(self, *, force: bool) -> None:
        if not force and monotonic() < self._next_checkpoint:
            return
        self._next_checkpoint = monotonic() + CHECKPOINT_SECONDS
        now = self._clock.now_unix_nano()
        try:
            self._keeper.finish(now) if force else self._keeper.checkpoint(now)
        except StorageError as error:
            self._report(str(error))

    def _report(self, trouble: str) -> None:
        """Say once that the store fails, and once that it works again."""
        if trouble and not self._trouble:
            log.error("%s; senders are told to retry", trouble)
            self._trouble_since = self._clock.now_unix_nano()
        elif self._trouble and not trouble:
            log.warning("the store can be written again")
        self._trouble = trouble


def _resolve(answer: asyncio.Future[Any], result: object) -> None:
    if answer.done():  # the sender hung up
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def _announce(key: SeriesKey, before: tuple[Alert, ...], after: tuple[Alert, ...]) -> None:
    states = {alert.identity: alert.state for alert in before}
    for alert in after:
        if alert.state is not states.get(alert.identity, AlertState.INACTIVE):
            whose = " ".join((key.slo, *(f"{name}={value}" for name, value in key.group)))
            log.warning("%s %s of %s", alert.state.value, alert.title, whose)
