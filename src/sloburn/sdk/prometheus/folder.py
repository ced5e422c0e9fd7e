"""The folder in which the processes of one service keep their numbers.

A process is alive as long as it holds the lock on its file: that is true across containers that share a volume, and no
reused process id can fool it. Everything that looks at more than one file does so under the folder's lock.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sloburn.clock import monotonic
from sloburn.errors import ConfigError
from sloburn.sdk.prometheus.archive import Archive, read_archive, write_archive
from sloburn.sdk.prometheus.cells import CellsReader
from sloburn.sdk.prometheus.layout import read_series
from sloburn.sdk.prometheus.series import Series

try:
    import fcntl
except ImportError as error:  # Windows: its processes are not counted together
    raise ConfigError("metrics of several processes together need file locks as POSIX has them") from error

_SUFFIX = ".cells"
_LOCK_SECONDS = 5.0
_RETRY_SECONDS = 0.005
# So many ended processes may wait for a scrape that archives them.
MOST_FILES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """This process's file: open, locked and empty."""

    name: str
    descriptor: int


class Folder:
    """One folder of files of numbers, an archive and a lock.

    Args:
        path: Where it is; made when it does not exist.

    Raises:
        ConfigError: It cannot be used, or belongs to somebody else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = path.lstat()
        except OSError as error:
            raise ConfigError(f"metrics folder {path}: cannot be made: {error.strerror}") from error
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            raise ConfigError(f"metrics folder {path}: is not a folder of this user")

    def open_own(self) -> OwnFile:
        """Open a file for this process and lock it, before others can see it.

        Raises:
            OSError: It cannot be made.
        """
        name = f"{os.getpid()}-{uuid4().hex[:12]}{_SUFFIX}"
        draft = self.path / f".{name}"
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        draft.rename(self.path / name)
        if len(self._names()) > MOST_FILES:
            self.read(None)
        return OwnFile(name=name, descriptor=descriptor)

    def read(self, own: str | None) -> Archive:
        """Add up what all processes have counted, the ended ones for good.

        Args:
            own: Name of this process's file, which is left out: it is better read from memory.

        Returns:
            The series of living processes unmerged, then those of the archive, and updates that were lost.

        Raises:
            OSError: The folder cannot be read, or is locked for too long.
        """
        with self._locked():
            archive, living, lost = self._sort(own)
        return Archive(series=(*living, *archive.series), lost=archive.lost + lost)

    def is_alive(self) -> bool:
        """Tell whether any process still counts here."""
        return any(self._is_locked(self.path / name) for name in self._names())

    def _sort(self, own: str | None) -> tuple[Archive, list[Series], int]:
        before = archive = read_archive(self._archive)
        names = self._names()
        living, lost = list[Series](), 0
        for name in names:
            if name == own or name in archive.absorbed:
                continue
            series, lost_there, is_locked = _read_file(self.path / name)
            if is_locked:
                living += series
                lost += lost_there
            else:
                archive = archive.absorb(name, series, lost_there)
        self._archive_now(before, archive, names)
        return archive, living, lost

    def _archive_now(self, before: Archive, archive: Archive, names: Iterable[str]) -> None:
        if archive.absorbed - before.absorbed:
            write_archive(self._archive, archive)
        for name in archive.absorbed.intersection(names):
            (self.path / name).unlink(missing_ok=True)
        if before.absorbed and not archive.absorbed.intersection(names):
            write_archive(self._archive, archive.without_removed(frozenset()))

    @property
    def _archive(self) -> Path:
        return self.path / "archive.json"

    def _names(self) -> list[str]:
        return sorted(path.name for path in self.path.glob(f"[!.]*{_SUFFIX}"))

    def _is_locked(self, path: Path) -> bool:
        with _open(path) as descriptor:
            return descriptor is not None and _is_locked(descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock_in_time(descriptor)
            yield
        finally:
            # Closing would not do when another thread has forked in between: the child has the descriptor too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _lock_in_time(descriptor: int) -> None:
    deadline = monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int | None]:
    """Open a file for reading; None when it has gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _read_file(path: Path) -> tuple[list[Series], int, bool]:
    """Return the series of a file, its losses, and whether its process lives.

    The lock is looked at first: what is read after a process has ended is complete.
    """
    with _open(path) as descriptor:
        if descriptor is None:
            return [], 0, True
        is_locked = _is_locked(descriptor)
        reader = CellsReader(descriptor)
        try:
            found = (read_series(reader, entry) for entry in reader.entries())
            return [series for series in found if series is not None], reader.lost, is_locked
        finally:
            reader.close()
