"""One at a time: who comes second says what it waits for, and waits."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path, what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a folder, which is made if need be; the system lets go of it however its holder ends.

    Args:
        folder: Has the lock in it.
        what: Begins what is said while another has it.
        say: Is told that, once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{what}: waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
