"""The pipeline: batches, durable answers, and neighbours that do not suffer from each other."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sloburn.clock import ManualClock
from sloburn.errors import MalformedBody, StorageError
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.messages import TraceRequest
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.intake import Receipt
from sloburn.server.keeper import Keeper
from sloburn.server.pipeline import Pipeline
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.status import Snapshot
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from tests.processor import READY_SECONDS
from tests.promises import span_slo
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request


class FullDisk(Store):
    """A store whose disk can be full: SQLite then says so itself."""

    def fill(self) -> None:
        """Let the file grow no more."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        self._db.execute(f"PRAGMA max_page_count={pages}").fetchall()

    def damage(self) -> None:
        """Overwrite everything behind the first page, and let SQLite forget what it remembers of it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with self._path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (self._path.stat().st_size - 4096))
        self._db.execute("PRAGMA cache_size=0").fetchall()
        self._db.execute("PRAGMA shrink_memory").fetchall()

    def protect(self, *, on: bool) -> None:
        """Let nothing be written at all, or anything again."""
        self._db.execute(f"PRAGMA query_only={on}").fetchall()

    def empty(self) -> None:
        """Give it room again."""
        self._db.execute("PRAGMA max_page_count=1000000").fetchall()


class Touchy(Engine):
    """An engine with a bug: a service named `bug` breaks it half way through a request."""

    def prepare_traces(self, request: TraceRequest, now: int, commit: Commit) -> list[str]:
        """Count, then break."""
        refused = super().prepare_traces(request, now, commit)
        names = [any_value(part.resource.attributes.get("service.name", b"")) for part in request.resource_spans]
        if "bug" in names:
            raise RuntimeError("a bug")
        return refused


class Watched(Keeper):
    """A keeper whose store and engine can be made to fail."""

    store_type = FullDisk
    engine_type = Touchy


class Running:
    """A pipeline on a store in a folder, and the snapshots that it publishes."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW)
        self.keeper = Watched(folder, (span_slo(),), NOW)
        self.published: queue.SimpleQueue[Snapshot] = queue.SimpleQueue()
        self.pipeline = Pipeline(self.keeper, self.clock, self.published.put)
        self.pipeline.start()

    def disk(self, happens: Callable[[FullDisk], None]) -> None:
        """Let something happen to the store, between two batches: the pipeline's thread alone uses it."""

        def work(keeper: Keeper) -> None:
            assert isinstance(keeper.store, FullDisk)
            happens(keeper.store)

        asyncio.run(self.pipeline.between(work))

    def send(self, *bodies: bytes, encoding: Encoding = Encoding.PROTOBUF) -> list[Receipt | BaseException]:
        """Send bodies at once and return their answers."""

        async def all_of_them() -> list[Receipt | BaseException]:
            sent = (self.pipeline.submit(Signal.TRACES, encoding, body) for body in bodies)
            return await asyncio.gather(*sent, return_exceptions=True)

        return asyncio.run(all_of_them())

    def until(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for a snapshot."""
        while True:
            snapshot = self.published.get(timeout=READY_SECONDS)
            if condition(snapshot):
                return snapshot

    def stop(self) -> Count:
        """Stop and return what was counted."""
        self.pipeline.stop()
        count = self.keeper.engine.tick(NOW).statuses[0].lifetime
        self.keeper.store.close()
        return count


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A pipeline, stopped in the end if the test did not."""
    made = Running(tmp_path)
    yield made
    made.pipeline.stop()
    made.keeper.store.close()


def body(*numbers: int, service: str = "shop", error: bool = False) -> bytes:
    """Return a request of spans."""
    spans = [SpanSpec(number=n, end=NOW, error=error) for n in numbers]
    return trace_request(spans, service=service).SerializeToString()


def test_answers_come_after_the_commit(running: Running, tmp_path: Path) -> None:
    """What was acknowledged is there after a kill."""
    assert running.send(body(1, 2), body(3)) == [Receipt(), Receipt()]
    running.stop()
    again = Running(tmp_path)
    assert again.stop() == Count(3, 0)


def test_a_malformed_body_hurts_nobody_else(running: Running) -> None:
    """Of three requests in one batch the broken one is refused, the others count."""
    answers = running.send(body(1), b"\xff\xff", body(2))
    assert [type(answer) for answer in answers] == [Receipt, MalformedBody, Receipt]
    assert running.stop() == Count(2, 0)


def test_an_unforeseen_error_hurts_nobody_else(running: Running) -> None:
    """A request that breaks the engine counts nothing, and its neighbours count once."""
    answers = running.send(body(1), body(2, service="bug"), body(3))
    assert [type(answer) for answer in answers] == [Receipt, RuntimeError, Receipt]
    assert running.stop() == Count(2, 0)


def test_a_full_disk_is_answered_with_retry_and_recovers(running: Running) -> None:
    """While the store cannot be written nothing is acknowledged or counted; afterwards the same request counts once."""
    big = body(*range(1, 3000))
    running.disk(FullDisk.fill)
    (answer,) = running.send(big)
    assert isinstance(answer, StorageError)
    assert "database or disk is full" in str(answer)
    running.disk(FullDisk.empty)
    assert running.send(big) == [Receipt()]
    assert running.stop() == Count(2999, 0)


def test_a_damaged_store_is_mended_while_running(running: Running, tmp_path: Path) -> None:
    """A commit that meets damage is answered with retry; moments later a new store has everything, and says so."""
    running.send(body(*range(1, 300)))
    running.disk(FullDisk.damage)
    while (answer := running.send(body(300))[0]) != Receipt():
        assert isinstance(answer, StorageError)
    snapshot = running.until(lambda latest: bool(latest.notices) and latest.notices[0].is_over)
    assert "written anew from memory" in snapshot.notices[0].text
    assert running.stop() == Count(300, 0)
    again = Running(tmp_path)
    assert again.stop() == Count(300, 0)


def test_a_store_that_fails_is_a_notice(running: Running) -> None:
    """Every page says that nothing can be stored, as long as it is so."""
    running.disk(FullDisk.fill)
    running.send(body(*range(1, 3000)))
    (notice,) = running.until(lambda latest: bool(latest.notices)).notices
    assert (notice.at_unix_nano, notice.is_over) == (NOW, False)
    assert notice.text.endswith("database or disk is full; senders are told to retry")
    running.disk(FullDisk.empty)
    running.send(body(1))
    assert running.until(lambda latest: not latest.notices).history_unix_nano == NOW


def test_partly_refused_requests_say_why(running: Running) -> None:
    """Spans that cannot be placed are counted in the answer, with the reason; the rest counts."""
    future = trace_request([SpanSpec(number=1, end=NOW), SpanSpec(number=2, end=NOW * 2)]).SerializeToString()
    assert running.send(future) == [Receipt(rejected=1, message="not counted: 1 in the future")]
    assert running.stop() == Count(1, 0)


def test_publishes_soon_after_telemetry(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """An alert is in a snapshot that follows the telemetry, without waiting for the next full second."""
    running.send(body(*range(1, 20), error=True))
    snapshot = running.until(lambda latest: latest.statuses[0].alerts[0].state is AlertState.FIRING)
    assert snapshot.statuses[0].count == Count(0, 19)
    assert "firing page of availability" in caplog.messages


def test_alerts_outlive_a_kill(running: Running, tmp_path: Path) -> None:
    """An alert that fired is still firing after a restart, since the same moment."""
    running.send(body(*range(1, 20), error=True))
    before = running.until(lambda latest: latest.statuses[0].alerts[0].state is AlertState.FIRING)
    running.pipeline.stop()
    running.keeper.store.close()
    again = Running(tmp_path)
    assert next(iter(again.keeper.engine.series.values())).alerts == before.statuses[0].alerts
    again.stop()
