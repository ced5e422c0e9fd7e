"""The ports that README and demo name, for one test at a time: tests run in several processes."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def usual_ports() -> Iterator[None]:
    """Wait until no other test uses them, and keep others away meanwhile."""
    with Path(tempfile.gettempdir(), "sloburn-tests-usual-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
