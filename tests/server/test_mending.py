"""A store that is damaged under a running processor is written anew: nothing in memory is lost, and no kept history."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloburn.errors import StorageCorrupt, StorageError
from sloburn.server.keeper import MENDING, Keeper
from sloburn.server.quarantine import COMPANIONS
from sloburn.server.storage import FILE_NAME
from sloburn.slo.budget import Count
from tests.server.damage import (
    SLOS,
    Bending,
    DroppingKeeper,
    Fragile,
    FragileKeeper,
    count,
    explained,
    keeper,
    take,
)
from tests.sli.harness import NOW


def test_damage_while_running_loses_nothing(tmp_path: Path) -> None:
    """A store that is damaged under a running processor refuses commits, and is then written anew from memory."""
    one = FragileKeeper(tmp_path, SLOS, NOW)
    take(one, *range(1, 301))
    take(one, *range(301, 401), error=True)
    one.checkpoint(NOW)
    take(one, *range(401, 501))
    before = one.engine.tick(NOW)
    assert isinstance(one.store, Fragile)
    one.store.damage()
    with pytest.raises(StorageCorrupt):
        one.checkpoint(NOW)
    with pytest.raises(StorageError, match="a new store is yet to be written"):
        take(one, 501)
    one.mend(NOW)
    take(one, 1, 301, 501)  # all but the last were counted before
    one.store.close()
    again = keeper(tmp_path)
    after = again.engine.tick(NOW).statuses
    assert [status.lifetime.bad for status in after] == [status.lifetime.bad for status in before.statuses]
    assert after[0].lifetime == Count(401, 100)
    assert [status.failing for status in after] == [status.failing for status in before.statuses]
    assert "written anew from memory" in again.notices[0][1]
    take(again, 2, 302, 401)  # their keys are known still
    assert (count(again), again.epoch) == (Count(401, 100), NOW)
    again.store.close()
    assert not (tmp_path / MENDING).exists()
    assert {path.name.split(".damaged")[0] for path in tmp_path.iterdir()} <= {FILE_NAME + end for end in COMPANIONS}


def without_one(folder: Path) -> FragileKeeper:
    """Return a keeper that reads all SLOs but the first, whose history of 900 good and 100 bad events is kept."""
    explained(folder)
    one = FragileKeeper(folder, SLOS, NOW)
    one.reload(SLOS[1:], NOW)
    take(one, *range(1001, 1101), error=True)
    one.checkpoint(NOW)
    return one


def test_a_store_that_is_written_anew_keeps_what_removed_slos_counted(tmp_path: Path) -> None:
    """The history of an SLO that nobody reads survives the mending, and is taken up when the SLO comes back."""
    one = without_one(tmp_path)
    one.mend(NOW)
    assert one.notices[-1][1].endswith("written anew from memory")
    one.reload(SLOS, NOW)
    (status, *_) = one.engine.tick(NOW).statuses
    assert (status.lifetime, len(status.failing) > 0) == (Count(900, 100), True)
    one.checkpoint(NOW)
    one.store.close()
    again = keeper(tmp_path)
    assert (count(again), again.engine.tick(NOW).statuses[0].failing) == (Count(900, 100), status.failing)
    again.store.close()


def test_what_removed_slos_counted_waits_in_the_new_store(tmp_path: Path) -> None:
    """Checkpoints and starts after the mending leave the history alone, until the SLO is read again."""
    one = without_one(tmp_path)
    one.mend(NOW)
    one.checkpoint(NOW)
    one.store.close()
    again = Keeper(tmp_path, SLOS[1:], NOW)
    assert len(again.removed) == 1
    again.finish(NOW)
    again.store.close()
    back = keeper(tmp_path)
    (status, *_) = back.engine.tick(NOW).statuses
    assert (status.lifetime, len(status.failing) > 0, len(back.removed)) == (Count(900, 100), True, 0)
    back.store.close()


def test_removed_slos_whose_counts_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Where the damage hit the history of a removed SLO, it is said, and the SLO begins anew when it comes back."""
    one = without_one(tmp_path)
    assert isinstance(one.store, Fragile)
    one.store.damage()
    with pytest.raises(StorageCorrupt):
        one.checkpoint(NOW)
    one.mend(NOW)
    assert one.notices[-1][1].endswith("written anew from memory, but for what it held of removed SLOs: availability")
    assert len(one.removed) == 0
    one.reload(SLOS, NOW)
    assert count(one) == Count(0, 0)
    one.store.close()


def test_a_damaged_bad_event_of_a_removed_slo_costs_no_count(tmp_path: Path) -> None:
    """Of what only explains the readable part is kept."""
    one = without_one(tmp_path)
    one.store.close()
    bent = DroppingKeeper(tmp_path, SLOS[1:], NOW)
    assert isinstance(bent.store, Bending)
    bent.store.bend_all()
    bent.mend(NOW)
    bent.store.close()
    again = keeper(tmp_path)
    assert (count(again), again.engine.tick(NOW).statuses[0].failing) == (Count(900, 100), ())
    again.store.close()


def test_mending_can_fail_and_be_tried_again(tmp_path: Path) -> None:
    """While no new store can be written nothing is acknowledged; once it can, nothing is lost."""
    one = FragileKeeper(tmp_path, SLOS, NOW)
    take(one, *range(1, 301))
    assert isinstance(one.store, Fragile)
    one.store.damage()
    with pytest.raises(StorageCorrupt):
        one.checkpoint(NOW)
    (tmp_path / MENDING).write_text("in the way")
    with pytest.raises((StorageError, OSError)):
        one.mend(NOW)
    assert one.is_damaged
    (tmp_path / MENDING).unlink()
    one.mend(NOW)
    take(one, 301)
    one.store.close()
    again = keeper(tmp_path)
    assert count(again) == Count(301, 0)
    again.store.close()
