"""The store's file: looked at before SQLite does, made whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sloburn.errors import StorageCorrupt, StorageError
from sloburn.server.quarantine import COMPANIONS
from sloburn.server.schema import PUT, lay_out, sealed


def make_folder(folder: Path) -> None:
    """Make the folder of a store, and try that it can be written.

    Raises:
        StorageError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot keep data in {folder}: {error.strerror}; choose a folder that can be written with --data"
        ) from error


def look_at(path: Path) -> None:
    """Notice what SQLite would take for a new database: it would delete the log beside it."""
    if path.exists():
        if not path.stat().st_size:
            raise StorageCorrupt(f"{path} is empty")
        if not os.access(path, os.R_OK | os.W_OK):
            raise StorageError(f"cannot open {path}: it may not be read and written; expected the rights to do both")
    elif any(_size(path.with_name(path.name + suffix)) for suffix in COMPANIONS):
        raise StorageCorrupt(f"{path} is missing, and files that belong to it are there")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def lay_down(path: Path, now: int) -> None:
    """Make a new store under another name first: a kill leaves a whole store or none."""
    fresh = path.with_name(f"{path.name}.new")
    for suffix in COMPANIONS:
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    db = sqlite3.connect(fresh, isolation_level=None)
    try:
        db.execute("BEGIN")
        fill(db, now)
        db.execute("COMMIT")
    finally:
        db.close()
    try:
        _put_in_place(fresh, path)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror}") from error


def _put_in_place(fresh: Path, path: Path) -> None:
    try:
        path.hardlink_to(fresh)
    except FileExistsError:  # another processor was faster: it has the store
        fresh.unlink()
    except OSError:  # a file system without links
        fresh.rename(path)
    else:
        fresh.unlink()


def fill(db: sqlite3.Connection, now: int) -> None:
    """Make the tables of a new store; the caller holds the transaction."""
    lay_out(db)
    set_meta(db, epoch=now, checkpoint=0)


def set_meta(db: sqlite3.Connection, **values: int) -> None:
    """Write what is known of a store as a whole."""
    db.executemany(PUT["meta"], map(sealed, values.items()))
