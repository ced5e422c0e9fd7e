"""The tables of the store: how a new one is laid out, how an old one is recognised and brought up to date.

A store says what it is by two numbers in its header: SQLite's ``application_id``, which is ours, and ``user_version``,
which is the version of these tables. Versions 1 and 2 had no id and are known by their tables. Whatever else lies there
belongs to somebody else and is left as it is.

Every row carries a checksum of its other columns (`seal`): SQLite notices a broken page, not a flipped bit in a count.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Mapping

from sloburn.errors import StorageCorrupt, StorageError

APPLICATION_ID = 0x534C4F42
SCHEMA_VERSION = 3

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value, seal INTEGER) WITHOUT ROWID;
CREATE TABLE notices (at_unix_nano INTEGER, text TEXT);
CREATE TABLE journal (
    number INTEGER PRIMARY KEY, at_unix_nano INTEGER, told TEXT, counts BLOB, streams BLOB, seen BLOB, seal INTEGER
);
CREATE TABLE series (number INTEGER PRIMARY KEY, name TEXT UNIQUE, state TEXT, seal INTEGER);
CREATE TABLE served (
    slo TEXT, generation TEXT, since_unix_nano INTEGER, until_unix_nano INTEGER, seal INTEGER,
    PRIMARY KEY (slo, generation)
) WITHOUT ROWID;
CREATE TABLE blocks (
    series INTEGER, tier INTEGER, number INTEGER, cells BLOB, seal INTEGER, PRIMARY KEY (series, tier, number)
) WITHOUT ROWID;
CREATE TABLE evidence (number INTEGER PRIMARY KEY, failing TEXT, seal INTEGER);
CREATE TABLE looks (
    service TEXT, begin_unix_nano INTEGER, looks BLOB, seal INTEGER, PRIMARY KEY (service, begin_unix_nano)
) WITHOUT ROWID;
CREATE TABLE streams (stream BLOB PRIMARY KEY, state BLOB, seal INTEGER) WITHOUT ROWID;
CREATE TABLE heard (service TEXT PRIMARY KEY, at_unix_nano INTEGER, seal INTEGER) WITHOUT ROWID;
CREATE TABLE alerts (series TEXT PRIMARY KEY, alerts TEXT, seal INTEGER) WITHOUT ROWID;
CREATE TABLE annotations (number INTEGER PRIMARY KEY, annotation TEXT, seal INTEGER);
"""

PUT: Mapping[str, str] = {
    "meta": "INSERT OR REPLACE INTO meta VALUES (?, ?, ?)",
    "journal": "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
    "series": "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)",
    "served": "INSERT OR REPLACE INTO served VALUES (?, ?, ?, ?, ?)",
    "blocks": "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)",
    "evidence": "INSERT OR REPLACE INTO evidence VALUES (?, ?, ?)",
    "looks": "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)",
    "streams": "INSERT OR REPLACE INTO streams VALUES (?, ?, ?)",
    "heard": "INSERT OR REPLACE INTO heard VALUES (?, ?, ?)",
    "alerts": "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)",
    "annotations": "INSERT INTO annotations VALUES (?, ?, ?)",
}
"""Statements that write a row with its checksum."""

# What leads from a version to the next one. Statements may use the function SEAL(column, ...).
_UPGRADES: Mapping[int, str] = {
    2: """
CREATE TABLE annotations (number INTEGER PRIMARY KEY, annotation TEXT, seal INTEGER);
CREATE TABLE notices (at_unix_nano INTEGER, text TEXT);
CREATE TABLE served (
    slo TEXT, generation TEXT, since_unix_nano INTEGER, until_unix_nano INTEGER, seal INTEGER,
    PRIMARY KEY (slo, generation)
) WITHOUT ROWID;
CREATE TABLE looks (
    service TEXT, begin_unix_nano INTEGER, looks BLOB, seal INTEGER, PRIMARY KEY (service, begin_unix_nano)
) WITHOUT ROWID;
CREATE TABLE heard (service TEXT PRIMARY KEY, at_unix_nano INTEGER, seal INTEGER) WITHOUT ROWID;
ALTER TABLE meta ADD COLUMN seal INTEGER;
ALTER TABLE journal ADD COLUMN seal INTEGER;
ALTER TABLE series ADD COLUMN seal INTEGER;
ALTER TABLE blocks ADD COLUMN seal INTEGER;
ALTER TABLE evidence ADD COLUMN seal INTEGER;
ALTER TABLE streams ADD COLUMN seal INTEGER;
ALTER TABLE alerts ADD COLUMN seal INTEGER;
UPDATE meta SET seal = SEAL(name, value);
UPDATE journal SET seal = SEAL(number, at_unix_nano, told, counts, streams, seen);
UPDATE series SET seal = SEAL(number, name, state);
UPDATE blocks SET seal = SEAL(series, tier, number, cells);
UPDATE evidence SET seal = SEAL(number, failing);
UPDATE streams SET seal = SEAL(stream, state);
UPDATE alerts SET seal = SEAL(series, alerts);
""",
}

_OLDEST = min(_UPGRADES)
_OLD_TABLES = {"meta", "journal", "series", "blocks", "streams", "alerts"}  # of the versions without an id

Value = str | bytes | int | None


def seal(*values: Value) -> int:
    """Return a checksum of a row's columns."""
    found = 0
    for value in values:
        found = zlib.crc32(value if isinstance(value, bytes) else str(value).encode(), found)
    return found


def sealed(row: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return a row with its checksum behind it."""
    return (*row, seal(*row))


def unseal(table: str, row: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return a row without its checksum.

    Raises:
        StorageCorrupt: They do not belong together.
    """
    values = row[:-1]
    if seal(*values) != row[-1]:
        raise StorageCorrupt(f"a row of {table} was damaged: its checksum is another")
    return values


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of a store, 0 for a database that holds nothing yet. Nothing is written.

    Raises:
        StorageError: It is somebody else's database, or a version that this program does not read.
    """
    found, version = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version"))
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not found and not version and not tables:
        return 0
    if found != APPLICATION_ID and (found or not tables >= _OLD_TABLES):
        raise StorageError("it is a database of another program; choose another folder with --data")
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"it was written by a newer sloburn (schema {version}, this one reads up to {SCHEMA_VERSION}); "
            "run that one, or choose another folder with --data"
        )
    if version < _OLDEST:
        raise StorageError(
            f"it was written before sloburn's first release (schema {version}, this one reads {_OLDEST} to "
            f"{SCHEMA_VERSION}); choose another folder with --data"
        )
    return version


def lay_out(db: sqlite3.Connection) -> None:
    """Make the tables of a new store; the caller holds the transaction."""
    _execute(db, _TABLES)
    _mark(db)


def upgrade(db: sqlite3.Connection, version: int) -> None:
    """Bring a store of an older version up to date; the caller holds the transaction."""
    db.create_function("SEAL", -1, seal, deterministic=True)
    for step in range(version, SCHEMA_VERSION):
        _execute(db, _UPGRADES[step])
    _mark(db)


def _execute(db: sqlite3.Connection, statements: str) -> None:
    for statement in _split(statements):
        db.execute(statement)


def _split(statements: str) -> Iterable[str]:
    return filter(None, map(str.strip, statements.split(";")))


def _mark(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
