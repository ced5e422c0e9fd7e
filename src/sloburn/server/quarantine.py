"""Where a damaged store goes: out of the way, under a dated name, with all that belongs to it."""

from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

from sloburn.duration import SECOND
from sloburn.errors import StorageError

COMPANIONS = ("", "-wal", "-shm", "-journal")
"""What SQLite adds to the name of a database for the files beside it; SQLite finds them under the new name too."""


def move_aside(path: Path, now: int) -> Path:
    """Give a database and the files beside it a dated name; nothing is deleted.

    Args:
        path: The database; it may be missing.
        now: Nanoseconds since the epoch.

    Returns:
        The database's new name.

    Raises:
        StorageError: A file cannot be moved.
    """
    target = _dated(path, now)
    for suffix in COMPANIONS:
        file = path.with_name(path.name + suffix)
        try:
            if file.exists():
                file.rename(target.with_name(target.name + suffix))
        except OSError as error:
            raise StorageError(f"cannot move {file} aside: {error.strerror}") from error
    return target


def copy_aside(path: Path, now: int) -> Path:
    """Copy a file under a dated name.

    Raises:
        StorageError: It cannot be copied.
    """
    target = _dated(path, now)
    try:
        shutil.copyfile(path, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            target.unlink()  # half a copy would fill the disk further with every start
        raise StorageError(f"cannot copy {path} aside: {error.strerror}") from error
    return target


def _dated(path: Path, now: int) -> Path:
    stamp = datetime.fromtimestamp(now // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{path.name}.damaged-{stamp}{again}" for again in ("", *(f"-{n}" for n in range(2, 1000))))
    candidates = (path.with_name(name) for name in names)
    return next(one for one in candidates if not any(one.with_name(one.name + end).exists() for end in COMPANIONS))
