"""Where finished lines go: standard output, and a file that rotates by size, shared safely by several processes."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there only one process may rotate a file
    fcntl = None  # type: ignore[assignment]


@dataclass(slots=True)
class LostLines:
    """Lines that could not be written, to standard output or to the file."""

    count: int = 0


LOST_LINES = LostLines()


def write_line(line: str) -> None:
    """Write one line to what is standard output right now; never raises."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except UnicodeEncodeError:
        _write_ascii(line)
    except Exception:
        # Closed, full or gone; in a signal handler a stream that is being written refuses with RuntimeError.
        LOST_LINES.count += 1


def _write_ascii(line: str) -> None:
    """Write a line to a stream that cannot take it as it is; JSON reads ``\\uXXXX`` all the same."""
    try:
        sys.stdout.write(line.encode("ascii", "backslashreplace").decode("ascii") + "\n")
        sys.stdout.flush()
    except Exception:
        LOST_LINES.count += 1


class LineFile:
    """A file of lines that is renamed to ``.1``, ``.2`` ... when it is full.

    Every line is one `write` to a descriptor opened for appending, so lines of several processes never mix. Who finds
    the file full renames it under a lock file; the others notice by the file's identity and follow.

    Args:
        path: The file; its folder is created.
        max_bytes: The size at which it is rotated.
        count: How many files are kept, the current one included.
    """

    def __init__(self, path: str | Path, *, max_bytes: int, count: int) -> None:
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._count = count
        # A signal handler may log while the thread that it interrupts writes, or even rotates.
        self._lock = threading.RLock()
        self._is_rotating = False
        self._descriptor = -1
        self._identity = (0, 0)

    def write(self, line: str) -> None:
        """Append one line; what cannot be written is counted, never raised."""
        data = (line + "\n").encode("utf-8", "backslashreplace")
        try:
            with self._lock:
                self._prepare(len(data))
                written = os.write(self._descriptor, data)
            LOST_LINES.count += written != len(data)
        except OSError:
            LOST_LINES.count += 1

    def after_fork(self) -> None:
        """Use a lock of its own in a forked child: the parent's may be held by a thread that does not exist here."""
        self._lock = threading.RLock()
        self._is_rotating = False

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        with self._lock:
            self._reopen(None)

    def _prepare(self, size: int) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - a Path costs as much again for every line
        except FileNotFoundError:
            self._open()
            return
        if status.st_size and status.st_size + size > self._max_bytes and not self._is_rotating:
            self._rotate()
        elif self._descriptor < 0 or (status.st_dev, status.st_ino) != self._identity:
            self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._reopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640))
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)

    def _reopen(self, descriptor: int | None) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1 if descriptor is None else descriptor

    def _rotate(self) -> None:
        guard = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._is_rotating = True
        try:
            if fcntl is not None:
                fcntl.flock(guard, fcntl.LOCK_EX)
            # Another process may have rotated it while this one waited.
            if self._path.exists() and self._path.stat().st_size > self._max_bytes // 2:
                self._shift()
            self._open()
        finally:
            self._is_rotating = False
            if fcntl is not None:
                # A child that another thread has forked meanwhile has the descriptor, too, and never closes it.
                fcntl.flock(guard, fcntl.LOCK_UN)
            os.close(guard)

    def _shift(self) -> None:
        for number in range(self._count - 1, 0, -1):
            older = self._path if number == 1 else Path(f"{self._path}.{number - 1}")
            if older.exists():
                older.replace(f"{self._path}.{number}")
        if self._count == 1:
            self._path.unlink(missing_ok=True)
