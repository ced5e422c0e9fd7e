"""The durable half of the engine: a journal of commits and a checkpoint of what they add up to, in one SQLite file.

A commit is one row, written before the sender gets its answer. Now and then a checkpoint stores the blocks that changed
and remembers the last row that they contain. A start reads the checkpoint and applies the rows after it, so a kill at
any moment changes no number. Rows stay for a while after their checkpoint: the span ids in them tell resent spans.

The file is in WAL mode with ``synchronous=FULL``: an acknowledged commit survives kill -9 and power loss, as far as the
disk keeps what it confirms.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sloburn.duration import MINUTE
from sloburn.errors import StorageCorrupt, StorageError
from sloburn.server.records import Checkpoint, Row, read_series_key, write_series_key
from sloburn.sli.series import SeriesKey

SCHEMA_VERSION = 1
FILE_NAME = "sloburn.db"
KEEP_ROWS_NS = 15 * MINUTE

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE journal (number INTEGER PRIMARY KEY, at_unix_nano INTEGER, changes TEXT, seen BLOB);
CREATE TABLE blocks (
    series TEXT, tier INTEGER, number INTEGER, cells BLOB, PRIMARY KEY (series, tier, number)
) WITHOUT ROWID;
CREATE TABLE series (series TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
CREATE TABLE streams (stream BLOB PRIMARY KEY, state TEXT) WITHOUT ROWID;
CREATE TABLE alerts (series TEXT PRIMARY KEY, alerts TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store holds when it is opened.

    Args:
        blocks: Series, tier, block number and cells.
        series: Series and the rest of their state, as JSON.
        streams: Metric streams and their state, as JSON.
        alerts: Series and their alerts, as JSON.
        rows: Every kept journal row, oldest first.
        checkpoint: Number of the last row that the checkpoint contains.
    """

    blocks: list[tuple[SeriesKey, int, int, bytes]]
    series: list[tuple[SeriesKey, str]]
    streams: list[tuple[bytes, str]]
    alerts: list[tuple[SeriesKey, str]]
    rows: list[Row]
    checkpoint: int


class Store:
    """One SQLite file in a folder of its own. Used from one thread.

    Args:
        folder: Where the file lies; made if it is missing.
        now: Nanoseconds since the epoch: the epoch of a new store.

    Raises:
        StorageError: The folder cannot be written, or another processor uses it.
        StorageCorrupt: The file is no store that this version can read.
    """

    def __init__(self, folder: Path, now: int) -> None:
        self._path = folder / FILE_NAME
        with self._errors("open"):
            _make(folder)
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1)
        try:
            with self._errors("open"):
                self._set_up(now)
                self.epoch = self._meta("epoch")
                self._number = self._last_number()
        except BaseException:
            self._db.close()
            raise

    def _set_up(self, now: int) -> None:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        with self._transaction():
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
                self._set_meta(epoch=now, checkpoint=0)
            elif found != SCHEMA_VERSION:
                raise StorageCorrupt(
                    f"{self._path} was written by another version of sloburn (schema {found}, this one reads "
                    f"{SCHEMA_VERSION}): choose another folder with --data"
                )

    def load(self) -> Stored:
        """Read everything.

        Raises:
            StorageCorrupt: A row cannot be read back.
        """
        with self._errors("read"):
            return Stored(
                blocks=[(read_series_key(key), *rest) for key, *rest in self._db.execute("SELECT * FROM blocks")],
                series=[(read_series_key(key), state) for key, state in self._db.execute("SELECT * FROM series")],
                streams=list(self._db.execute("SELECT * FROM streams")),
                alerts=[(read_series_key(key), state) for key, state in self._db.execute("SELECT * FROM alerts")],
                rows=[Row(*row) for row in self._db.execute("SELECT * FROM journal ORDER BY number")],
                checkpoint=self._meta("checkpoint"),
            )

    def append(self, at_unix_nano: int, changes: str, seen: bytes) -> None:
        """Write one commit and make it durable.

        Raises:
            StorageError: It is not; nothing was written.
        """
        with self._errors("write to"):
            row = (self._number + 1, at_unix_nano, changes, seen)
            self._db.execute("INSERT INTO journal VALUES (?, ?, ?, ?)", row)
            self._number += 1

    def save_alerts(self, alerts: Iterable[tuple[SeriesKey, str]]) -> None:
        """Write the alerts of some series.

        Raises:
            StorageError: They were not written.
        """
        with self._errors("write to"), self._transaction():
            rows = [(write_series_key(key), state) for key, state in alerts]
            self._db.executemany("INSERT OR REPLACE INTO alerts VALUES (?, ?)", rows)

    def checkpoint(self, checkpoint: Checkpoint, now: int) -> None:
        """Write what changed since the last checkpoint and forget the rows that nobody needs any more.

        Raises:
            StorageError: Nothing was written.
        """
        with self._errors("write to"), self._transaction():
            execute = self._db.executemany
            execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)", checkpoint.blocks)
            execute("DELETE FROM blocks WHERE series = ? AND tier = ? AND number = ?", checkpoint.gone)
            execute("INSERT OR REPLACE INTO series VALUES (?, ?)", checkpoint.series)
            execute("INSERT OR REPLACE INTO streams VALUES (?, ?)", checkpoint.streams)
            self._db.execute("DELETE FROM journal WHERE at_unix_nano < ?", (now - KEEP_ROWS_NS,))
            self._set_meta(checkpoint=self._number)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._db.close()

    def _meta(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise StorageCorrupt(f"{self._path} lacks its {name}: it is no store of sloburn")
        return int(row[0])

    def _set_meta(self, **values: int) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def _last_number(self) -> int:
        newest = self._db.execute("SELECT max(number) FROM journal").fetchone()[0]
        return max(newest or 0, self._meta("checkpoint"))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            hint = "another processor uses it" if "locked" in str(error) else str(error)
            raise StorageError(f"cannot {verb} {self._path}: {hint}") from error
        except sqlite3.DatabaseError as error:
            raise StorageCorrupt(f"cannot {verb} {self._path}: {error}; move the file away to start anew") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot keep data in {folder}: {error.strerror}; choose a folder that can be written with --data"
        ) from error
