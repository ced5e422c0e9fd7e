"""Damaged stores: noticed, moved aside, never taken for whole; the processor goes on and says what happened."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sloburn.errors import StorageError
from sloburn.server.keeper import Keeper
from sloburn.server.storage import FILE_NAME
from sloburn.slo.budget import Count
from tests.server.damage import (
    SLOS,
    STAMP,
    Bending,
    DroppingKeeper,
    alter,
    count,
    explained,
    fill,
    keeper,
    overwrite,
    take,
)
from tests.sli.harness import NOW


def truncated(path: Path) -> None:
    """Cut off the second half."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def middle(path: Path) -> None:
    """Overwrite two pages in the middle."""
    overwrite(path, path.stat().st_size // 2 // 4096 * 4096, b"\xa5" * 8192)


def header(path: Path) -> None:
    """Overwrite the first page."""
    overwrite(path, 0, b"\xa5" * 4096)


def emptied(path: Path) -> None:
    """Leave nothing."""
    path.write_bytes(b"")


def text(path: Path) -> None:
    """Leave something else."""
    path.write_text("this is no database" * 1000)


def flipped(path: Path) -> None:
    """Flip one bit of the span keys in the journal: SQLite cannot see that."""
    db = sqlite3.connect(path)
    db.execute("UPDATE journal SET seen = CAST(x'01' || substr(seen, 2) AS BLOB) WHERE number = 3")
    db.commit()
    db.close()


def served_later(path: Path) -> None:
    """Change since when an SLO is read; nothing reads that before all counts are read."""
    alter(path, "UPDATE served SET since_unix_nano = since_unix_nano + 1")


def one_table_gone(path: Path) -> None:
    """Drop a table."""
    db = sqlite3.connect(path)
    db.execute("DROP TABLE streams")
    db.commit()
    db.close()


@pytest.mark.parametrize("damage", [truncated, middle, header, emptied, text, flipped, served_later, one_table_gone])
def test_a_damaged_store_is_moved_aside(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """However a store was damaged, the start goes on with an empty one, keeps the old one and says both."""
    fill(tmp_path)
    damage(tmp_path / FILE_NAME)
    before = (tmp_path / FILE_NAME).read_bytes()
    one = keeper(tmp_path)
    assert count(one) == Count(0, 0)
    aside = tmp_path / f"{FILE_NAME}.damaged-{STAMP}"
    assert aside.read_bytes() == before
    ((at, said),) = one.notices
    assert at == NOW
    assert said.endswith(f"; it was moved aside as {aside.name}, and history begins here")
    assert said in caplog.text
    take(one, 1, 2)
    one.store.close()
    again = keeper(tmp_path)
    assert (count(again), again.notices, again.epoch) == (Count(2, 0), one.notices, NOW)
    again.store.close()


EXPLANATIONS = {
    "looks": "UPDATE looks SET looks = CAST(looks || x'00' AS BLOB)",
    "looks: no bytes": "UPDATE looks SET looks = CAST(looks AS TEXT)",
    "looks: other text": "UPDATE looks SET looks = looks || x'00'",
    "looks: no number": "UPDATE looks SET begin_unix_nano = CAST(x'ff' AS TEXT)",
    "looks: its checksum": "UPDATE looks SET seal = CAST(x'ff' AS TEXT)",
    "looks: its key": "UPDATE looks SET service = CAST(x'ff' AS TEXT)",
    "evidence": "UPDATE evidence SET failing = failing || ' ' WHERE number = (SELECT min(number) FROM evidence)",
    "evidence: all": "UPDATE evidence SET seal = NULL",
    "evidence: no text": "UPDATE evidence SET failing = CAST(x'ff' AS TEXT)",
    "annotations": "UPDATE annotations SET annotation = replace(annotation, 'v1', 'v2')",
    "notices": "UPDATE notices SET at_unix_nano = NULL",
    "notices: no text": "UPDATE notices SET text = CAST(x'ff' AS TEXT)",
}


@pytest.mark.parametrize("case", EXPLANATIONS)
def test_damaged_explanations_cost_no_budget(tmp_path: Path, case: str) -> None:
    """Where only rows that explain are damaged, they alone are dropped, once; a copy stays, and it is said."""
    explained(tmp_path)
    alter(tmp_path / FILE_NAME, EXPLANATIONS[case])
    before = (tmp_path / FILE_NAME).read_bytes()
    one = keeper(tmp_path)
    assert (count(one), one.applied) == (Count(900, 100), 0)
    copy = tmp_path / f"{FILE_NAME}.damaged-{STAMP}"
    assert copy.read_bytes() == before
    said = one.notices[-1][1]
    assert f"damaged rows that only explain were dropped ({case.split(':')[0]}: " in said
    assert said.endswith(f"every count is kept; the store as it was is kept as {copy.name}")
    take(one, 1, 901, 1001, error=True)  # all but the last were counted before
    one.finish(NOW)
    one.store.close()
    again = keeper(tmp_path)
    assert (count(again), again.notices) == (Count(900, 101), one.notices)
    again.store.close()
    assert {path.name for path in tmp_path.iterdir()} == {FILE_NAME, copy.name}


def test_other_explanations_stay(tmp_path: Path) -> None:
    """Of the bad events only the damaged one is gone, from every series that showed it."""
    explained(tmp_path)
    one = keeper(tmp_path)
    before = [len(status.failing) for status in one.engine.tick(NOW).statuses]
    one.store.close()
    alter(tmp_path / FILE_NAME, EXPLANATIONS["evidence"])
    again = keeper(tmp_path)
    snapshot = again.engine.tick(NOW)
    after = [len(status.failing) for status in snapshot.statuses]
    assert after[0] == before[0] - 1 > 0
    assert 1 <= sum(before) - sum(after) <= 2
    assert [one.text for one in snapshot.annotations] == ["v1"]
    again.store.close()


def test_a_damaged_count_beside_a_damaged_explanation_is_no_count(tmp_path: Path) -> None:
    """Where a count is damaged too, the store is moved aside as a whole."""
    explained(tmp_path)
    alter(tmp_path / FILE_NAME, EXPLANATIONS["looks"])
    served_later(tmp_path / FILE_NAME)
    one = keeper(tmp_path)
    assert (count(one), len(one.notices)) == (Count(0, 0), 1)
    assert "a row of served was damaged" in one.notices[0][1]
    one.store.close()


def test_slos_come_back_with_their_counts_beside_damaged_evidence(tmp_path: Path) -> None:
    """A reload that brings an SLO back brings all of its counts, and those bad events that can be read."""
    explained(tmp_path)
    one = Keeper(tmp_path, SLOS[1:], NOW)
    one.store.close()
    one = DroppingKeeper(tmp_path, SLOS[1:], NOW)
    assert isinstance(one.store, Bending)
    one.store.bend()
    one.reload(SLOS, NOW)
    assert (count(one), one.is_damaged) == (Count(900, 100), False)
    one.store.close()


def test_a_log_without_its_store_is_moved_aside(tmp_path: Path) -> None:
    """Where the main file was deleted, what is left of it is kept; SQLite would delete it."""
    fill(tmp_path, checkpoint=False)
    (tmp_path / FILE_NAME).unlink()
    one = keeper(tmp_path)
    assert "is missing, and files that belong to it are there; it was moved aside" in one.notices[0][1]
    assert (tmp_path / f"{FILE_NAME}.damaged-{STAMP}-wal").stat().st_size > 4096
    one.store.close()


def test_names_of_what_was_moved_aside_are_never_taken_twice(tmp_path: Path) -> None:
    """A second damaged store of the same second gets a name of its own."""
    for _ in range(2):
        fill(tmp_path)
        header(tmp_path / FILE_NAME)
        keeper(tmp_path).store.close()
    found = sorted(path.name for path in tmp_path.iterdir() if "damaged" in path.name)
    assert found == [f"{FILE_NAME}.damaged-{STAMP}", f"{FILE_NAME}.damaged-{STAMP}-2"]


def test_only_some_of_what_was_put_aside_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The newest damaged stores stay, the largest of all and the newest older schemas; the others are named and go."""
    names = [f"{FILE_NAME}.damaged-2025010{day}T000000Z" for day in range(1, 8)]
    for size, name in zip((1, 9, 1, 1, 1, 1, 1), names, strict=True):
        (tmp_path / name).write_bytes(bytes(size))
    for name in (f"{names[0]}-wal", f"{names[6]}-2", f"{FILE_NAME}-wal.damaged-20250103T000000Z", "mine.damaged-1"):
        (tmp_path / name).write_bytes(b"")
    for version in (9, 10, 11):
        (tmp_path / f"{FILE_NAME}.schema-{version}").write_bytes(b"")
    keeper(tmp_path).store.close()
    left = {FILE_NAME, "mine.damaged-1", *(f"{FILE_NAME}.schema-{version}" for version in (10, 11))}
    assert {path.name for path in tmp_path.iterdir()} == left | {names[1], *names[4:], f"{names[6]}-2"}
    said = "deleted %s (1 bytes): only the newest 4 damaged stores and the largest are kept"
    assert said % (tmp_path / names[0]) in caplog.text
    assert f"deleted {tmp_path / FILE_NAME}.schema-9 (0 bytes)" in caplog.text


def log_frames(path: Path) -> list[int]:
    """Return where the frames of a log begin."""
    return list(range(32, path.stat().st_size, 24 + 4096))


def test_a_damaged_log_says_what_is_lost(tmp_path: Path) -> None:
    """Of a log that was damaged in the middle the commits before are kept, the others are said to be lost."""
    fill(tmp_path, checkpoint=False)
    log = tmp_path / f"{FILE_NAME}-wal"
    frames = log_frames(log)
    overwrite(log, frames[len(frames) // 2] + 100, b"\xa5" * 50)
    before = log.read_bytes()
    one = keeper(tmp_path)
    ((_, said),) = one.notices
    lost = re.fullmatch(
        rf"the newest commits were damaged on the disk: (\d) or more are lost; what was there is in ({FILE_NAME}\S+)",
        said,
    )
    assert lost is not None
    kept = count(one)
    assert kept.total % 300 == 0
    assert 0 < kept.total <= 2100 - 300 * int(lost[1])
    assert (tmp_path / lost[2]).read_bytes() == before
    one.store.close()


def test_a_damaged_head_of_the_log_is_noticed(tmp_path: Path) -> None:
    """SQLite takes a log with a damaged head for an empty one; all of its commits are said to be lost."""
    fill(tmp_path, checkpoint=False)
    overwrite(tmp_path / f"{FILE_NAME}-wal", 0, b"\xa5" * 32)
    one = keeper(tmp_path)
    assert len(one.notices) == 1
    one.store.close()


def test_a_log_that_a_crash_cut_off_is_no_damage(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves half a commit that nobody was told of: nothing is lost, nothing said."""
    fill(tmp_path, checkpoint=False)
    log = tmp_path / f"{FILE_NAME}-wal"
    frames = log_frames(log)
    with log.open("r+b") as file:
        file.truncate(frames[-1] + 1000)
    one = keeper(tmp_path)
    assert (one.notices, count(one)) == ((), Count(1500, 300))
    one.store.close()


def test_a_store_that_is_in_use_is_not_moved_aside(tmp_path: Path) -> None:
    """A second processor on the same folder is refused; what it cannot read it leaves alone."""
    one = keeper(tmp_path)
    with pytest.raises(StorageError, match="another processor uses it"):
        keeper(tmp_path)
    take(one, 1)
    one.store.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
