"""Damaged stores: noticed, moved aside, never taken for whole; the processor goes on and says what happened."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sloburn.errors import StorageCorrupt, StorageError
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.keeper import MENDING, Keeper
from sloburn.server.quarantine import COMPANIONS
from sloburn.server.storage import FILE_NAME, Store
from sloburn.sli.commit import Commit
from sloburn.slo.annotation import Annotation, Kind
from sloburn.slo.budget import Count
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request

SLOS = (span_slo(), span_slo("by-route", group_by=("http.route",)), metric_slo("work", metric="jobs", threshold=None))
STAMP = "20251009T085320Z"  # NOW, as a name has it


def keeper(folder: Path) -> Keeper:
    """Return a keeper of some SLOs."""
    return Keeper(folder, SLOS, NOW)


def take(one: Keeper, *numbers: int, error: bool = False) -> None:
    """Count spans, durably."""
    specs = [SpanSpec(number=n, end=NOW, error=error, values={"http.route": f"/{n % 3}"}) for n in numbers]
    commit = Commit()
    request = decode(Signal.TRACES, Encoding.PROTOBUF, trace_request(specs).SerializeToString())
    one.engine.prepare_traces(request, NOW, commit)
    one.commit(commit, NOW)


def count(one: Keeper) -> Count:
    """Return the lifetime of the SLO without groups."""
    return one.engine.tick(NOW).statuses[0].lifetime


def fill(folder: Path, *, checkpoint: bool = True) -> None:
    """Leave a store of many pages: seven commits of 300 spans, all in the main file or all in the log."""
    one = keeper(folder)
    for batch in range(7):
        take(one, *range(1 + 300 * batch, 301 + 300 * batch), error=batch == 3)
    if checkpoint:
        one.checkpoint(NOW)
        one.store.close()
        return
    copies = {name: (folder / name).read_bytes() for name in (FILE_NAME, f"{FILE_NAME}-wal")}
    one.store.close()  # which writes the log into the main file and deletes it: a kill does not
    for name, content in copies.items():
        (folder / name).write_bytes(content)


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Write bytes over a place of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


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


def alter(path: Path, statement: str) -> None:
    """Change rows behind the store's back, so that their checksums no longer fit."""
    db = sqlite3.connect(path)
    assert db.execute(statement).rowcount > 0
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


def explained(folder: Path) -> None:
    """Leave a store with 900 good and 100 bad events, and with something in every table that only explains."""
    one = keeper(folder)
    one.annotate(Annotation(at_unix_nano=NOW, kind=Kind.DEPLOY, text="v1", service="shop"))
    take(one, *range(1, 901))
    take(one, *range(901, 1001), error=True)
    one.store.note(NOW, "something")
    one.finish(NOW)
    one.store.close()


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


class Bending(Store):
    """A store of which one bad event can be damaged while it is in use."""

    def bend(self) -> None:
        """Damage the newest bad event."""
        self._db.execute("UPDATE evidence SET seal = seal + 1 WHERE number = (SELECT max(number) FROM evidence)")


class DroppingKeeper(Keeper):
    """A keeper of such a store."""

    store_type = Bending


class Fragile(Store):
    """A store whose file can be damaged while it is in use."""

    def damage(self) -> None:
        """Overwrite everything behind the first page, and let SQLite forget what it remembers of it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        overwrite(self._path, 4096, b"\xa5" * (self._path.stat().st_size - 4096))
        self._db.execute("PRAGMA cache_size=0").fetchall()
        self._db.execute("PRAGMA shrink_memory").fetchall()


class FragileKeeper(Keeper):
    """A keeper of such a store."""

    store_type = Fragile


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
