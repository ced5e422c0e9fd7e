"""One thread that owns engine and store: it takes requests in batches, commits them, answers, evaluates.

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
from dataclasses import dataclass, field

from sloburn.clock import Clock, monotonic
from sloburn.errors import StorageError, TelemetryError
from sloburn.otlp.decode import decode
from sloburn.otlp.messages import Request
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.intake import Receipt
from sloburn.server.records import Scribe, write_alerts
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.series import SeriesKey
from sloburn.sli.status import Snapshot
from sloburn.slo.alerting import Alert, AlertState

log = logging.getLogger("sloburn.pipeline")

BATCH_BYTES = 16 * 1024 * 1024
TICK_SECONDS = 1.0
SOON_SECONDS = 0.2  # after telemetry came, the next look is taken so soon, unless looking takes long:
MAX_LOOKING = 0.05  # the share of the time that may go into looks that are taken early
CHECKPOINT_SECONDS = 15.0


@dataclass(slots=True, kw_only=True)
class _Job:
    signal: Signal
    encoding: Encoding
    body: bytes
    done: Callable[[Receipt | Exception], None]
    receipt: Receipt | Exception = field(default_factory=Receipt)


class Pipeline:
    """The intake of both receivers.

    Args:
        engine: Counts; used by no other thread once `start` was called.
        store: Keeps; likewise.
        scribe: Writes the engine's commits for the store.
        clock: Tells the time.
        publish: Takes every new snapshot; called in the pipeline's thread.
    """

    def __init__(
        self, engine: Engine, store: Store, scribe: Scribe, clock: Clock, publish: Callable[[Snapshot], None]
    ) -> None:
        self._engine = engine
        self._store = store
        self._scribe = scribe
        self._clock = clock
        self._publish = publish
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sloburn-pipeline", daemon=True)
        self._saved: dict[SeriesKey, tuple[Alert, ...]] = {key: one.alerts for key, one in engine.series.items()}
        self._next_tick = 0.0
        self._soon = 0.0  # no look is taken before that for new telemetry alone
        self._next_checkpoint = 0.0
        self._trouble = ""

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

    def _run(self) -> None:
        running = True
        while running:
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
        if not commit.is_empty:
            self._store.append(now, *self._scribe.write(commit))
            self._scribe.written()
            self._report("")
        self._engine.apply(commit)

    def _prepare(self, signal: Signal, request: Request, now: int, commit: Commit) -> Receipt:
        prepare = {
            Signal.TRACES: self._engine.prepare_traces,
            Signal.METRICS: self._engine.prepare_metrics,
            Signal.LOGS: self._engine.prepare_logs,
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
            snapshot = self._engine.tick(self._clock.now_unix_nano())
            self._save_alerts()
            self._publish(snapshot)
        except Exception:  # counting must go on whatever evaluation meets
            log.exception("the SLOs could not be evaluated")
        self._soon = monotonic() + (monotonic() - began) / MAX_LOOKING

    def _save_alerts(self) -> None:
        changed = {
            key: series.alerts for key, series in self._engine.series.items() if series.alerts != self._saved.get(key)
        }
        if not changed:
            return
        for key, alerts in changed.items():
            _announce(key, self._saved.get(key, ()), alerts)
        self._saved.update(changed)
        try:
            self._store.save_alerts((key, write_alerts(alerts)) for key, alerts in changed.items())
        except StorageError as error:
            self._report(str(error))

    def _checkpoint_if_due(self, *, force: bool) -> None:
        if not force and monotonic() < self._next_checkpoint:
            return
        self._next_checkpoint = monotonic() + CHECKPOINT_SECONDS
        now = self._clock.now_unix_nano()
        try:
            checkpoint = self._scribe.checkpoint(now)
            self._store.checkpoint(checkpoint, now)
        except StorageError as error:
            self._report(str(error))
        else:
            self._scribe.kept(checkpoint)

    def _report(self, trouble: str) -> None:
        """Say once that the store fails, and once that it works again."""
        if trouble and not self._trouble:
            log.error("%s; senders are told to retry", trouble)
        elif self._trouble and not trouble:
            log.warning("the store can be written again")
        self._trouble = trouble


def _resolve(answer: asyncio.Future[Receipt], receipt: Receipt | Exception) -> None:
    if answer.done():  # the sender hung up
        return
    if isinstance(receipt, Exception):
        answer.set_exception(receipt)
    else:
        answer.set_result(receipt)


def _announce(key: SeriesKey, before: tuple[Alert, ...], after: tuple[Alert, ...]) -> None:
    states = {alert.severity: alert.state for alert in before}
    for alert in after:
        if alert.state is not states.get(alert.severity, AlertState.INACTIVE):
            group = " ".join(f"{name}={value}" for name, value in key.group)
            log.warning("%s %s of %s %s", alert.state.value, alert.severity.value, key.slo, group)
