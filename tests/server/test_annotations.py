"""Annotations are as durable as counts: kept before the answer, there after a kill, and in a mended store."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from sloburn.clock import ManualClock
from sloburn.errors import StorageError
from sloburn.server.keeper import Keeper
from sloburn.server.pipeline import Pipeline
from sloburn.server.states import read_annotation, write_annotation
from sloburn.server.storage import FILE_NAME
from sloburn.slo.annotation import Annotation, Kind
from tests.promises import span_slo
from tests.sli.harness import NOW

DEPLOY = Annotation(at_unix_nano=NOW, kind=Kind.DEPLOY, text="v1.2.3", service="shop")


def keeper(folder: Path) -> Keeper:
    """Open a store with one SLO."""
    return Keeper(folder, (span_slo(),), NOW)


def test_they_are_read_back(tmp_path: Path) -> None:
    """What was kept is there in the next life, as it was, without a checkpoint."""
    assert read_annotation(write_annotation(DEPLOY)) == DEPLOY
    life = keeper(tmp_path)
    assert life.annotate(DEPLOY) == DEPLOY
    life.store.close()
    again = keeper(tmp_path)
    assert again.engine.tick(NOW).annotations == (DEPLOY,)
    again.store.close()


def test_what_the_disk_refuses_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is the writer's trouble, too; once there is room, the next look stores it."""
    life = keeper(tmp_path)

    def refuse(_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(life.store, "save_annotations", refuse)
        with pytest.raises(StorageError, match="the disk is full"):
            life.annotate(DEPLOY)
    life.save_annotations()
    life.store.close()
    again = keeper(tmp_path)
    assert again.engine.timeline.annotations == (DEPLOY,)
    again.store.close()


def test_a_damaged_annotation_is_damage(tmp_path: Path) -> None:
    """A row that does not match its checksum is not believed: the store is moved aside and everybody is told."""
    life = keeper(tmp_path)
    life.annotate(DEPLOY)
    life.store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE annotations SET annotation = replace(annotation, '1.2.3', '6.6.6')")
    db.close()
    again = keeper(tmp_path)
    assert again.engine.timeline.annotations == ()
    assert "a row of annotations was damaged" in again.notices[0][1]
    again.store.close()


def test_errands_run_between_batches(tmp_path: Path) -> None:
    """What the pipeline is asked to do happens in its thread; its answer and its error come back."""
    life = keeper(tmp_path)
    pipeline = Pipeline(life, ManualClock(NOW), lambda _: None)
    pipeline.start()

    def fail(_: Keeper) -> None:
        raise StorageError("no")

    async def ask() -> Annotation:
        with pytest.raises(StorageError, match="no"):
            await pipeline.between(fail)
        return await pipeline.between(lambda owner: owner.annotate(DEPLOY))

    try:
        assert asyncio.run(ask()) == DEPLOY
    finally:
        pipeline.stop()
        life.store.close()
