"""Whoever started servers may be killed: a guard, a process of its own, then stops them and removes what they left.

It waits for the end of a pipe whose other end only its starter has. The system closes that one whatever happens, so the
same cleaning follows a good end and a bad one. A lock on the folder is held as long as either of them lives: a folder
with a lock that nobody holds is one whose guard was killed, too, and the next start cleans it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collector.stack.lifecycle import Stack
from collector.stack.places import ROOT, StackError

PREFIX = "sloburn-stack-"
_LOCK = "guard.lock"
_CLEANING_SECONDS = 900


@contextmanager
def guarded_folder(place: Path | None = None) -> Iterator[Path]:
    """Give a folder for a stack; when the block ends, or this process does, its servers are stopped and it is removed.

    Args:
        place: Where to make it; the system's folder for such things if left out.
    """
    # Not in pytest's own folder: PostgreSQL runs as a user who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    folder.chmod(0o755)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "tests.stack.guard", str(folder)]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=[lock.fileno()], start_new_session=True
        ) as guard:
            try:
                yield folder
            finally:
                guard.communicate(timeout=_CLEANING_SECONDS)


def sweep(place: Path) -> None:
    """Clean every folder that its guard cannot clean any more."""
    for file in place.glob(f"{PREFIX}*/{_LOCK}"):
        with suppress(OSError), file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clean(file.parent)


def clean(folder: Path) -> None:
    """Stop what runs for the folder, take away disks that were mounted below it, and remove it."""
    with suppress(StackError):
        Stack(folder, print).down()
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if Path(line.split()[1]).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    while os.read(0, 1):
        pass
    clean(Path(sys.argv[1]))
