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
from pathlib import Path
from typing import Any

from sloburn.errors import StorageCorrupt, StorageError
from sloburn.server.records import Checkpoint, Row, write_series_key
from sloburn.sli.dedupe import HOLD_NS
from sloburn.sli.series import SeriesKey

SCHEMA_VERSION = 2
FILE_NAME = "sloburn.db"
KEEP_ROWS_NS = HOLD_NS

_SCHEMA = """
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

    @property
    def checkpoint_number(self) -> int:
        """Number of the last row that the checkpoint contains."""
        return self._meta("checkpoint")

    def series(self) -> Iterator[tuple[int, str, str]]:
        """Yield every series: its number, its name, the rest of its state as JSON."""
        return self._read("SELECT number, name, state FROM series")

    def blocks(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield every block: number of the series, tier, block number and cells."""
        return self._read("SELECT series, tier, number, cells FROM blocks")

    def evidence(self) -> Iterator[tuple[int, str]]:
        """Yield every bad event: its number, and itself as JSON."""
        return self._read("SELECT number, failing FROM evidence")

    def streams(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every metric stream and its last point."""
        return self._read("SELECT stream, state FROM streams")

    def alerts(self) -> Iterator[tuple[str, str]]:
        """Yield the names of series and their alerts as JSON."""
        return self._read("SELECT series, alerts FROM alerts")

    def rows(self) -> Iterator[Row]:
        """Yield every kept journal row, oldest first."""
        return (Row(*row) for row in self._read("SELECT * FROM journal ORDER BY number"))

    def _read(self, query: str) -> Iterator[Any]:
        with self._errors("read"):
            yield from self._db.execute(query)

    def append(self, at_unix_nano: int, told: str, counts: bytes, streams: bytes, seen: bytes) -> None:
        """Write one commit and make it durable; the arguments are those of `Row`.

        Raises:
            StorageError: It is not; nothing was written.
        """
        with self._errors("write to"):
            row = (self._number + 1, at_unix_nano, told, counts, streams, seen)
            self._db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", row)
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
            execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?)", checkpoint.series)
            execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)", checkpoint.blocks)
            execute("DELETE FROM blocks WHERE series = ? AND tier = ? AND number = ?", checkpoint.gone)
            execute("INSERT OR REPLACE INTO evidence VALUES (?, ?)", checkpoint.evidence)
            execute("DELETE FROM evidence WHERE number = ?", checkpoint.faded)
            execute("INSERT OR REPLACE INTO streams VALUES (?, ?)", checkpoint.streams)
            execute("DELETE FROM streams WHERE stream = ?", checkpoint.ended)
            self._forget_rows(now - KEEP_ROWS_NS)
            self._set_meta(checkpoint=self._number)

    def _forget_rows(self, before_unix_nano: int) -> None:
        """Forget rows up to the first one that is young enough: only as many are looked at as go."""
        young = "SELECT number FROM journal WHERE at_unix_nano >= ? ORDER BY number LIMIT 1"
        found = self._db.execute(young, (before_unix_nano,)).fetchone()
        self._db.execute("DELETE FROM journal WHERE number < ?", (found[0] if found else self._number + 1,))

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
