"""The durable half of the engine: a journal of commits and a checkpoint of what they add up to, in one SQLite file.

A commit is one row, written before the sender gets its answer. Now and then a checkpoint stores the blocks that changed
and remembers the last row that they contain. A start reads the checkpoint and applies the rows after it, so a kill at
any moment changes no number. Rows stay for a while after their checkpoint: the span ids in them tell resent spans.

The file is in WAL mode with ``synchronous=FULL``: an acknowledged commit survives kill -9 and power loss, as far as the
disk keeps what it confirms.

A file that was damaged is noticed when it is opened (SQLite's own check of every page, a checksum in every row, commits
in the log behind a break) or when it is read or written: `StorageCorrupt`. `server.keeper` knows what to do then.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sloburn.errors import StorageCorrupt, StorageError
from sloburn.server.quarantine import copy_aside
from sloburn.server.records import Checkpoint, Row, write_series_key
from sloburn.server.schema import PUT, SCHEMA_VERSION, Value, sealed, unseal, upgrade, version_of
from sloburn.server.store_file import fill, lay_down, look_at, make_folder, set_meta
from sloburn.server.wal import lost_commits
from sloburn.sli.dedupe import HOLD_NS
from sloburn.sli.series import SeriesKey

FILE_NAME = "sloburn.db"
KEEP_ROWS_NS = HOLD_NS
KEPT_NOTICES = 200
_FORGET_NOTICES = "DELETE FROM notices WHERE rowid <= (SELECT max(rowid) FROM notices) - ?"

log = logging.getLogger("sloburn.server")


class Store:
    """One SQLite file in a folder of its own. Used from one thread.

    Args:
        folder: Where the file lies; made if it is missing.
        now: Nanoseconds since the epoch: the epoch of a new store.

    Raises:
        StorageError: The folder cannot be written, another processor uses it, or the file is another program's or a
            newer version's.
        StorageCorrupt: The file was damaged.
    """

    def __init__(self, folder: Path, now: int) -> None:
        self._path = folder / FILE_NAME
        with self._errors("open"):
            make_folder(folder)
            look_at(self._path)
            if not self._path.exists():
                lay_down(self._path, now)
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
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        version = self._version()
        self._check()
        lost = self._lost_commits(now)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        if not version:
            with self._transaction():
                fill(self._db, now)
        elif version != SCHEMA_VERSION:
            self._upgrade(version)
        if lost:
            log.error("%s: %s", self._path, lost)
            self.note(now, lost)

    def _check(self) -> None:
        found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StorageCorrupt(f"{self._path} is damaged: {found}")

    def _lost_commits(self, now: int) -> str:
        """Return in words what a damaged log lost; empty if it is whole."""
        readable = int(self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
        page_bytes = int(self._db.execute("PRAGMA page_size").fetchone()[0])
        log_file = self._path.with_name(f"{FILE_NAME}-wal")
        lost = lost_commits(log_file, readable, page_bytes)
        if not lost:
            return ""
        copy = copy_aside(log_file, now)
        return f"the newest commits were damaged on the disk: {lost} or more are lost; what was there is in {copy.name}"

    def _version(self) -> int:
        try:
            return version_of(self._db)
        except StorageError as error:
            raise StorageError(f"cannot use {self._path}: {error}") from error

    def _upgrade(self, version: int) -> None:
        """Bring an older store up to date in one transaction; a copy of it stays for those who go back."""
        copy = self._path.with_name(f"{FILE_NAME}.schema-{version}")
        unfinished = copy.with_name(f"{copy.name}.part")
        unfinished.unlink(missing_ok=True)
        try:
            self._db.execute("VACUUM INTO ?", (str(unfinished),))
            unfinished.replace(copy)
        finally:
            unfinished.unlink(missing_ok=True)
        with self._transaction():
            upgrade(self._db, version)
        log.warning(
            "%s was upgraded from schema %d to %d; the old one is kept as %s", self._path, version, SCHEMA_VERSION, copy
        )

    @property
    def checkpoint_number(self) -> int:
        """Number of the last row that the checkpoint contains."""
        return self._meta("checkpoint")

    def series(self) -> Iterator[tuple[int, str, str]]:
        """Yield every series: its number, its name, the rest of its state as JSON."""
        return self._read("series")

    def blocks(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield every block: number of the series, tier, block number and cells."""
        return self._read("blocks")

    def blocks_of(self, series: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield every block of a series: tier, block number and cells."""
        return (row[1:] for row in self._read("blocks WHERE series = ?", series))

    def find(self, table: str, column: str, key: int | str) -> list[Any]:
        """Return the rows of a table that have a key, without a walk through the others."""
        return [*self._read(f"{table} WHERE {column} = ?", key)]

    def served(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield every SLO that was ever read and is kept: name, generation, since when, until when (0: today)."""
        return self._read("served")

    def evidence(self) -> Iterator[tuple[int, str]]:
        """Yield every bad event: its number, and itself as JSON."""
        return self._read("evidence")

    def looks(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield what the autopsy knows: service, when a block begins, and the block; oldest first."""
        return self._read("looks ORDER BY begin_unix_nano")

    def heard(self) -> Iterator[tuple[str, int]]:
        """Yield every service and when it was last heard."""
        return self._read("heard")

    def streams(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every metric stream and its last point."""
        return self._read("streams")

    def alerts(self) -> Iterator[tuple[str, str]]:
        """Yield the names of series and their alerts as JSON."""
        return self._read("alerts")

    def annotations(self) -> Iterator[tuple[int, str]]:
        """Yield every annotation: its place, and itself as JSON."""
        return self._read("annotations")

    def rows(self) -> Iterator[Row]:
        """Yield every kept journal row, oldest first."""
        return (Row(*row) for row in self._read("journal ORDER BY number"))

    def _read(self, table: str, *given: int | str) -> Iterator[Any]:
        with self._errors("read"):
            for row in self._db.execute(f"SELECT * FROM {table}", given):  # noqa: S608  table names are our own
                yield unseal(table, row)

    def append(self, at_unix_nano: int, told: str, counts: bytes, streams: bytes, seen: bytes) -> None:
        """Write one commit and make it durable; the arguments are those of `Row`.

        Raises:
            StorageError: It is not; nothing was written.
        """
        with self._errors("write to"):
            row = (self._number + 1, at_unix_nano, told, counts, streams, seen)
            self._db.execute(PUT["journal"], sealed(row))
            self._number += 1

    def save_alerts(self, alerts: Iterable[tuple[SeriesKey, str]]) -> None:
        """Write the alerts of some series.

        Raises:
            StorageError: They were not written.
        """
        with self._errors("write to"), self._transaction():
            self._put("alerts", ((write_series_key(key), state) for key, state in alerts))

    def save_annotations(self, annotations: Iterable[str]) -> None:
        """Write all annotations, as JSON, in the place of those that were there.

        Raises:
            StorageError: Nothing was written.
        """
        with self._errors("write to"), self._transaction():
            self._db.execute("DELETE FROM annotations")
            self._put("annotations", enumerate(annotations))

    def checkpoint(self, checkpoint: Checkpoint, now: int) -> None:
        """Write what changed since the last checkpoint and forget the rows that nobody needs any more.

        Raises:
            StorageError: Nothing was written.
        """
        with self._errors("write to"), self._transaction():
            execute = self._db.executemany
            self._put("series", checkpoint.series)
            self._put("blocks", checkpoint.blocks)
            execute("DELETE FROM blocks WHERE series = ? AND tier = ? AND number = ?", checkpoint.gone)
            self._put("evidence", checkpoint.evidence)
            execute("DELETE FROM evidence WHERE number = ?", checkpoint.faded)
            self._put("streams", checkpoint.streams)
            execute("DELETE FROM streams WHERE stream = ?", checkpoint.ended)
            self._put("heard", checkpoint.heard)
            self._forget_rows(now - KEEP_ROWS_NS)
            set_meta(self._db, checkpoint=self._number)

    def save_looks(self, service: str, blocks: Iterable[tuple[int, bytes]], begin: int) -> None:
        """Write blocks of what the autopsy knows of a service, and forget those that begin before `begin`.

        Raises:
            StorageError: Nothing was written.
        """
        with self._errors("write to"), self._transaction():
            self._put("looks", ((service, at, looks) for at, looks in blocks))
            self._db.execute("DELETE FROM looks WHERE service = ? AND begin_unix_nano < ?", (service, begin))

    def serve(self, served: Iterable[tuple[str, str, int, int]]) -> None:
        """Write which SLOs are read since when and until when.

        Raises:
            StorageError: Nothing was written.
        """
        with self._errors("write to"), self._transaction():
            self._put("served", served)

    def forget(self, served: Iterable[tuple[str, str]], series: Iterable[tuple[int, str]]) -> None:
        """Delete SLOs that nobody reads any more, and all of their series, each by its number and name.

        Raises:
            StorageError: Nothing was deleted.
        """
        with self._errors("write to"), self._transaction():
            execute = self._db.executemany
            execute("DELETE FROM served WHERE slo = ? AND generation = ?", served)
            for number, name in series:
                self._db.execute("DELETE FROM blocks WHERE series = ?", (number,))
                self._db.execute("DELETE FROM series WHERE number = ?", (number,))
                self._db.execute("DELETE FROM alerts WHERE series = ?", (name,))

    def _put(self, table: str, rows: Iterable[tuple[Value, ...]]) -> None:
        self._db.executemany(PUT[table], map(sealed, rows))

    def _forget_rows(self, before_unix_nano: int) -> None:
        """Forget rows up to the first one that is young enough: only as many are looked at as go."""
        young = "SELECT number FROM journal WHERE at_unix_nano >= ? ORDER BY number LIMIT 1"
        found = self._db.execute(young, (before_unix_nano,)).fetchone()
        self._db.execute("DELETE FROM journal WHERE number < ?", (found[0] if found else self._number + 1,))

    def note(self, now: int, text: str) -> None:
        """Remember in words that something happened to the store itself.

        Raises:
            StorageError: It was not written.
        """
        with self._errors("write to"):
            self._db.execute("INSERT INTO notices VALUES (?, ?)", (now, text))
            self._db.execute(_FORGET_NOTICES, (KEPT_NOTICES,))

    def notices(self) -> list[tuple[int, str]]:
        """Return what `note` remembered, oldest first, each with its moment."""
        with self._errors("read"):
            return [(int(at), str(text)) for at, text in self._db.execute("SELECT * FROM notices ORDER BY 1")]

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._db.close()

    def _meta(self, name: str) -> int:
        row = self._db.execute("SELECT * FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise StorageCorrupt(f"{self._path} lacks its {name}")
        return int(str(unseal("meta", row)[1]))

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
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without what is extended
            if code in _DAMAGE:
                raise StorageCorrupt(f"cannot {verb} {self._path}: {error}") from error
            in_use = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            hint = "another processor uses it; choose a folder of its own with --data" if in_use else str(error)
            raise StorageError(f"cannot {verb} {self._path}: {hint}") from error


# What is wrong with the file itself. The tables were there once, so a statement that no longer fits is damage too.
_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
)
