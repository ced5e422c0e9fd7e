"""Where a damaged store goes: out of the way, under a dated name, with all that belongs to it; and when it is deleted.

A disk that damages a store again and again must not be filled with its copies.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from sloburn.duration import SECOND
from sloburn.errors import StorageError

log = logging.getLogger("sloburn.server")

COMPANIONS = ("", "-wal", "-shm", "-journal")
"""What SQLite adds to the name of a database for the files beside it; SQLite finds them under the new name too."""

KEPT_DAMAGED = 4
"""So many of the newest damaged stores are kept, and the largest beside them: it may hold what the others lack."""

KEPT_SCHEMAS = 2
"""So many of the newest copies from before an upgrade are kept."""

_DAMAGED = re.compile(r"\.damaged-(\d{8}T\d{6}Z)(?:-(\d+))?(?:-wal|-shm|-journal)?$")
_SCHEMA = re.compile(r"\.schema-(\d+)$")


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


def prune(path: Path) -> None:
    """Delete the oldest of what was put aside of a database, beyond what is to be kept, and say so in the log.

    Args:
        path: The database.
    """
    damaged: dict[tuple[str, int], list[Path]] = {}
    schemas: dict[int, list[Path]] = {}
    for file in path.parent.glob(f"{path.name}*"):
        if found := _DAMAGED.search(file.name):
            damaged.setdefault((found[1], int(found[2] or 1)), []).append(file)
        elif found := _SCHEMA.search(file.name):
            schemas.setdefault(int(found[1]), []).append(file)
    kept = sorted(damaged)[-KEPT_DAMAGED:]
    kept += sorted(damaged, key=lambda age: sum(file.stat().st_size for file in damaged[age]))[-1:]
    _delete(
        f"the newest {KEPT_DAMAGED} damaged stores and the largest", *(damaged[age] for age in damaged.keys() - {*kept})
    )
    _delete(
        f"the newest {KEPT_SCHEMAS} stores of older schemas", *(schemas[one] for one in sorted(schemas)[:-KEPT_SCHEMAS])
    )


def _delete(kept: str, *files: list[Path]) -> None:
    for file in sorted(file for one in files for file in one):
        try:
            size = file.stat().st_size
            file.unlink()
        except OSError as error:
            log.warning("cannot delete %s, which is no longer kept: %s", file, error.strerror)
        else:
            log.warning("deleted %s (%d bytes): only %s are kept", file, size, kept)


def _dated(path: Path, now: int) -> Path:
    stamp = datetime.fromtimestamp(now // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{path.name}.damaged-{stamp}{again}" for again in ("", *(f"-{n}" for n in range(2, 1000))))
    candidates = (path.with_name(name) for name in names)
    return next(one for one in candidates if not any(one.with_name(one.name + end).exists() for end in COMPANIONS))
