"""The store's tables: older ones are brought up to date, and what is not ours is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sloburn.errors import StorageError
from sloburn.server.schema import APPLICATION_ID, SCHEMA_VERSION
from sloburn.server.storage import FILE_NAME, Store
from sloburn.slo.budget import Count
from tests.server.test_storage import Life, numbers_of
from tests.sli.harness import NOW

TABLES_2 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE journal (
    number INTEGER PRIMARY KEY, at_unix_nano INTEGER, told TEXT, counts BLOB, streams BLOB, seen BLOB
);
CREATE TABLE series (number INTEGER PRIMARY KEY, name TEXT UNIQUE, state TEXT);
CREATE TABLE blocks (
    series INTEGER, tier INTEGER, number INTEGER, cells BLOB, PRIMARY KEY (series, tier, number)
) WITHOUT ROWID;
CREATE TABLE evidence (number INTEGER PRIMARY KEY, failing TEXT);
CREATE TABLE streams (stream BLOB PRIMARY KEY, state BLOB) WITHOUT ROWID;
CREATE TABLE alerts (series TEXT PRIMARY KEY, alerts TEXT) WITHOUT ROWID;
"""
COLUMNS_2 = {
    "meta": "name, value",
    "journal": "number, at_unix_nano, told, counts, streams, seen",
    "series": "number, name, state",
    "blocks": "series, tier, number, cells",
    "evidence": "number, failing",
    "streams": "stream, state",
    "alerts": "series, alerts",
}


def make_version_2(path: Path, source: Path) -> None:
    """Write a store as version 2 wrote it, with the content of a store of today."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.executescript(TABLES_2)
    db.execute("ATTACH ? AS today", (str(source),))
    for table, columns in COLUMNS_2.items():
        db.execute(f"INSERT INTO main.{table} SELECT {columns} FROM today.{table}")
    db.execute("PRAGMA main.user_version=2")
    db.commit()
    db.close()


def change(path: Path, *statements: str) -> None:
    """Do something to a store behind its back."""
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def lived(folder: Path) -> Life:
    """Return a life with counts, bad events, streams, groups, a checkpoint and commits after it."""
    life = Life(folder)
    life.spans(1, 2, 3)
    life.spans(4, error=True)
    life.jobs(10, 0)
    life.checkpoint()
    life.spans(5, 6, error=True)
    life.jobs(25, 1)
    return life


def layout(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return tables with names and types of their columns."""
    db = sqlite3.connect(path)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {table: [(row[1], row[2]) for row in db.execute(f"PRAGMA table_info({table})")] for table in tables}
    db.close()
    return found


def test_version_2_is_upgraded_and_keeps_its_numbers(tmp_path: Path) -> None:
    """A store of version 2 opens, has every number that it had, and looks like a new one afterwards."""
    (tmp_path / "today").mkdir()
    (tmp_path / "old").mkdir()
    before = lived(tmp_path / "today").end()
    make_version_2(tmp_path / "old" / FILE_NAME, tmp_path / "today" / FILE_NAME)
    life = Life(tmp_path / "old")
    assert life.applied == 2
    life.spans(1, 5)  # sent again: known before the upgrade
    assert numbers_of(life.end()) == numbers_of(before)
    again = Life(tmp_path / "old")
    assert again.count() == Count(3, 3)
    again.end()
    assert layout(tmp_path / "old" / FILE_NAME) == layout(tmp_path / "today" / FILE_NAME)


def test_an_upgrade_keeps_a_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The store as it was stays beside the new one for those who go back, and the log says where."""
    (tmp_path / "today").mkdir()
    (tmp_path / "old").mkdir()
    lived(tmp_path / "today").end()
    make_version_2(tmp_path / "old" / FILE_NAME, tmp_path / "today" / FILE_NAME)
    Life(tmp_path / "old").end()
    copy = tmp_path / "old" / f"{FILE_NAME}.schema-2"
    assert set(layout(copy)) == set(COLUMNS_2)
    assert f"was upgraded from schema 2 to {SCHEMA_VERSION}; the old one is kept as {copy}" in caplog.text
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == [FILE_NAME, copy.name]


def test_an_upgrade_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    """An upgrade that fails half way leaves the old store, which can be upgraded later."""
    (tmp_path / "today").mkdir()
    (tmp_path / "old").mkdir()
    before = lived(tmp_path / "today").end()
    path = tmp_path / "old" / FILE_NAME
    make_version_2(path, tmp_path / "today" / FILE_NAME)
    stop = "CREATE TRIGGER stop BEFORE UPDATE ON alerts BEGIN SELECT RAISE(ABORT, 'stop'); END"
    change(path, stop, "INSERT INTO alerts VALUES ('[]', '[]')")
    with pytest.raises(StorageError, match="stop"):
        Store(path.parent, NOW)
    assert "served" not in layout(path)
    change(path, "DROP TRIGGER stop", "DELETE FROM alerts")
    assert numbers_of(Life(path.parent).end()) == numbers_of(before)


def test_a_store_says_what_it_is(tmp_path: Path) -> None:
    """The header of a store names the program and the version."""
    Life(tmp_path).end()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    db.close()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (99, f"written by a newer sloburn (schema 99, this one reads up to {SCHEMA_VERSION})"),
        (1, f"written before sloburn's first release (schema 1, this one reads 2 to {SCHEMA_VERSION})"),
    ],
)
def test_other_versions_are_refused(tmp_path: Path, version: int, message: str) -> None:
    """A schema that this program cannot read is refused with both versions, and stays as it is."""
    Life(tmp_path).end()
    change(tmp_path / FILE_NAME, f"PRAGMA user_version={version}")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StorageError) as caught:
        Store(tmp_path, NOW)
    assert message in str(caught.value)
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')",
        "CREATE TABLE meta (name TEXT); PRAGMA user_version=2",
        "PRAGMA application_id=7; PRAGMA user_version=3",
        "PRAGMA application_id=7; CREATE TABLE songs (title TEXT)",
        "PRAGMA user_version=5",
    ],
)
def test_a_database_of_another_program_is_refused(tmp_path: Path, statements: str) -> None:
    """Somebody else's database is named, neither adopted nor moved, and not a byte of it changes."""
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript(statements)
    db.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StorageError, match=r"sloburn.db: it is a database of another program; choose .* --data"):
        Store(tmp_path, NOW)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_an_empty_database_is_filled(tmp_path: Path) -> None:
    """A first start that was killed before it laid out its tables is gone on with."""
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.close()
    life = Life(tmp_path)
    life.spans(1)
    assert (life.count(), life.store.epoch) == (Count(1, 0), NOW)
    life.end()
