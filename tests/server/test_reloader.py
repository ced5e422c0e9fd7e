"""Documents that change: when they are read again, and what becomes of those that cannot be taken."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sloburn.server.keeper import Keeper
from sloburn.server.reload import Reloader, difference, reload_samples
from sloburn.slo import naming
from sloburn.spec import load_slos
from sloburn.spec.files import content_digest
from tests.promises import span_slo
from tests.server.test_pipeline import FullDisk, Running
from tests.server.test_serve_changes import document

PATIENCE = 60.0


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder with a document of one SLO."""
    folder = tmp_path / "slos"
    folder.mkdir()
    (folder / "a.yaml").write_text(document(("a", "99")))
    return folder


@asynccontextmanager
async def reloading(documents: Path, running: Running, *, watches: bool = True) -> AsyncIterator[Reloader]:
    """A reloader that looks every 20 milliseconds."""
    slos = load_slos([documents])
    await running.pipeline.between(lambda keeper: keeper.reload(slos, running.clock.now_unix_nano()))
    digest = content_digest([documents])
    reloader = Reloader(
        [documents], slos, digest, running.pipeline, running.clock, watches=watches, look_seconds=0.02
    )  # fmt: skip
    task = asyncio.create_task(reloader.run())
    yield reloader
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """A pipeline; the tests stop it."""
    return Running(tmp_path / "data")


def names(running: Running) -> list[str]:
    """Return the SLOs in force."""
    return [slo.name for slo in running.keeper.slos]


def protect(*, on: bool) -> Callable[[Keeper], None]:
    """Return what lets nothing be written to a store, or anything again."""

    def work(keeper: Keeper) -> None:
        assert isinstance(keeper.store, FullDisk)
        keeper.store.protect(on=on)

    return work


def test_documents_come_and_go(documents: Path, running: Running) -> None:
    """A document that appears in a folder is read, one that goes takes its SLOs with it, wrong ones change nothing."""

    async def scene() -> None:
        async with reloading(documents, running) as reloader:
            (documents / "b.yaml").write_text(document(("b", "99")))
            await until(lambda: names(running) == ["a", "b"])
            (documents / "b.yaml").unlink()
            await until(lambda: names(running) == ["a"])
            (documents / "a.yaml").write_text("version: nonsense")
            await until(lambda: bool(reloader.tally.trouble))
            assert names(running) == ["a"]
            (documents / "a.yaml").write_text(document(("c", "99")))
            await until(lambda: names(running) == ["c"] and not reloader.tally.trouble)
            assert (reloader.tally.taken, reloader.tally.refused) == (3, 1)

    asyncio.run(scene())
    running.stop()


def test_a_touched_document_is_not_read(documents: Path, running: Running) -> None:
    """A new time of change with the same content reads nothing again; a nudge does."""

    async def scene() -> None:
        async with reloading(documents, running) as reloader:
            os.utime(documents / "a.yaml", ns=(1, 1))
            (documents / "b.yaml").write_text(document(("b", "99")))
            await until(lambda: reloader.tally.taken == 1)
            for at in range(2, 7):
                os.utime(documents / "a.yaml", ns=(at, at))
                await asyncio.sleep(0.05)
            assert reloader.tally.taken == 1
            reloader.nudge()
            await until(lambda: reloader.tally.taken == 2)

    asyncio.run(scene())
    running.stop()


def test_what_cannot_be_stored_is_tried_again(documents: Path, running: Running) -> None:
    """Documents that are right wait for a store that can be written, without anybody touching them again."""

    async def scene() -> None:
        async with reloading(documents, running) as reloader:
            await running.pipeline.between(protect(on=True))
            (documents / "a.yaml").write_text(document(("b", "99")))
            await until(lambda: reloader.tally.refused > 1)
            assert "attempt to write a readonly database" in reloader.tally.trouble
            assert names(running) == ["a"]
            await running.pipeline.between(protect(on=False))
            await until(lambda: names(running) == ["b"] and not reloader.tally.trouble)

    asyncio.run(scene())
    running.stop()


def test_nobody_looks_where_nobody_shall(documents: Path, running: Running) -> None:
    """Without watching only a nudge reads the documents."""

    async def scene() -> None:
        async with reloading(documents, running, watches=False) as reloader:
            (documents / "a.yaml").write_text(document(("b", "99")))
            await asyncio.sleep(0.2)
            assert names(running) == ["a"]
            reloader.nudge()
            await until(lambda: reloader.tally.taken == 1)
            assert names(running) == ["b"]
            samples = {(sample.name, sample.labels): sample.value for sample in reload_samples(reloader)}
            assert samples[naming.CONFIG_RELOADS_TOTAL, (("outcome", "ok"),)] == 1
            assert samples[naming.CONFIG_RELOAD_OK, ()] == 1

    asyncio.run(scene())
    running.stop()


def test_differences_in_words() -> None:
    """The log names what was added, changed and removed, and of many the first."""
    before = [span_slo("same"), span_slo("softer"), *(span_slo(f"gone-{n}") for n in range(7))]
    after = [span_slo("same"), span_slo("softer", objective="0.9"), span_slo("new")]
    said = "added new; changed softer; removed gone-0, gone-1, gone-2, gone-3, gone-4 and others"
    assert (difference(before, after), difference(after, after)) == (said, "nothing changed")
