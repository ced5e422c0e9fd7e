"""Run Go: say how far it is, wait for a network that comes back, and refuse a disk that is too small."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from collector.stack.places import CACHE_VARIABLE, StackError, cache_folder

Say = Callable[[str], None]

# A build that fails goes on where it was: modules that came and packages that were compiled are kept.
PAUSES_SECONDS = (5.0, 20.0, 60.0, 120.0)
_HEARTBEAT_SECONDS = 30.0
_SILENCE_SECONDS = 1200.0  # linking Loki on a busy machine takes minutes without a word
_STALL_SECONDS = 600.0  # before anything is compiled: what is fetched then is fetched side by side, and each is named
_TAIL_LINES = 15
_PERMANENT = ("404 Not Found", "410 Gone", "mismatch")
# A failure of the network names an address, or only what happened to the connection; the last is want of memory, which
# is less when what was compiled by then is not compiled again.
_PASSING = ("://", "unexpected EOF", "stream error", "connection reset", "not a valid zip file", "signal: killed")
_OLDEST_GO = "1.21, the first that fetches the newer one which the modules ask for"
_MIB = 2**20
# Measured: Loki alone takes 6 GiB of modules, packages and what is being linked; all before it together 7 GiB.
_ROOM_EACH_MIB = 2000
_ROOM_MIB = 8000


class Unreachable(Exception):
    """A build that failed for want of something from the network, which may be there the next time."""


def build(arguments: Sequence[str], folder: Path, say: Say, title: str) -> None:
    """Run ``go build``; where the network fails, wait and try again, a few times.

    Args:
        arguments: For ``go``.
        folder: Where to run it: the one with go.mod.
        say: Is told how far it is, a line at a time.
        title: Begins each of these lines.

    Raises:
        StackError: There is no Go, what it builds is wrong, or the network did not come back.
    """
    command = [_go(), *arguments]
    for pause in PAUSES_SECONDS:
        try:
            return _run(command, folder, Progress(say, title))
        except Unreachable as error:
            say(f"{title}: the network failed, trying again in {pause:.0f} s: {str(error).splitlines()[-1]}")
            time.sleep(pause)
    try:
        return _run(command, folder, Progress(say, title))
    except Unreachable as error:
        raise StackError(str(error)) from error


def check_room(count: int) -> None:
    """Refuse to begin builds that the disk cannot hold.

    Args:
        count: How many programs are to be built.

    Raises:
        StackError: Our cache is on a disk with too little room; the message says where and how much.
    """
    folder = cache_folder()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free, needed = shutil.disk_usage(there).free // _MIB, min(count * _ROOM_EACH_MIB, _ROOM_MIB)
    if free < needed:
        raise StackError(
            f"{folder} has room for {free} MiB, and building {count} programs needs about {needed} MiB for a while: "
            f"make room, or set {CACHE_VARIABLE} to a folder on another disk"
        )


def forget() -> None:
    """Remove what builds keep for each other: modules and compiled packages, many times the size of the programs."""
    shutil.rmtree(_workshop(), ignore_errors=True)


def _workshop() -> Path:
    """Return where Go keeps modules and packages: not in its user's own caches, which are not ours to clear."""
    return cache_folder() / "go"


class Progress:
    """Says now and then how far a build is."""

    def __init__(self, say: Say, title: str) -> None:
        self._say = say
        self._title = title
        self._began = self._said = self._heard = monotonic()
        self._downloads = self._packages = 0

    def note(self, line: str) -> None:
        """Take a line that Go printed."""
        self._heard = monotonic()
        if line.startswith("go: downloading"):
            self._downloads += 1
        elif not line.startswith("go:"):
            self._packages += 1

    def beat(self) -> None:
        """Speak, if it is time.

        Raises:
            Unreachable: Nothing was heard of the build for so long that it waits for something that will not come.
        """
        now, most = monotonic(), _SILENCE_SECONDS if self._packages else _STALL_SECONDS
        if now - self._heard >= most:
            raise Unreachable(f"nothing was heard of it for {most:.0f} s")
        if now - self._said >= _HEARTBEAT_SECONDS:
            self._said = now
            text = f"{self._downloads} modules fetched, {self._packages} packages compiled"
            self._say(f"{self._title}: {text}, {now - self._began:.0f} s")


def _run(command: list[str], folder: Path, progress: Progress) -> None:
    environment = _environment()
    tail: list[str] = []

    def read() -> None:
        for line in process.stderr or ():
            tail[: max(0, len(tail) + 1 - _TAIL_LINES)] = []
            tail.append(line.rstrip())
            progress.note(line)

    reader = threading.Thread(target=read, daemon=True)
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        reader.start()
        try:
            while reader.is_alive():
                reader.join(1.0)
                progress.beat()
        except BaseException:
            process.terminate()
            reader.join()
            raise
    if process.returncode:
        kind = Unreachable if _is_passing(tail) else StackError
        raise kind(f"{' '.join(command[:2])} in {folder} failed:\n" + "\n".join(tail))


def _environment() -> dict[str, str]:
    """Return what a build sees; whatever it writes is in our folder: the system's own for such things may be small."""
    places = {"GOCACHE": "build", "GOMODCACHE": "modules", "GOTMPDIR": "scratch"}
    folders = {name: str(_workshop() / place) for name, place in places.items()}
    Path(folders["GOTMPDIR"]).mkdir(parents=True, exist_ok=True)
    # Modules are read-only otherwise, and could not be removed.
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-modcacherw", "GOWORK": "off"}
    # "local" is how many an image of Go comes: it would refuse what asks for a newer Go than the image has.
    asked = os.environ.get("GOTOOLCHAIN")
    toolchain = "auto" if asked in (None, "", "local") else str(asked)
    return {**os.environ, **folders, **settings, "GOTOOLCHAIN": toolchain}


def _is_passing(tail: Sequence[str]) -> bool:
    """Tell whether a failure may pass: most of the network's do, but for answers that stay the same."""
    text = "\n".join(tail)
    return any(mark in text for mark in _PASSING) and not any(mark in text for mark in _PERMANENT)


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise StackError(f"building needs Go on the PATH (https://go.dev/doc/install), at least {_OLDEST_GO}")
    return found
