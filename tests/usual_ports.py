"""The ports that README and demo name, for one test at a time: tests run in several processes."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# A test's own time begins when it is its turn: before that, others may play the demo from beginning to end.
patient = pytest.mark.timeout(900)


@contextmanager
def usual_ports() -> Iterator[None]:
    """Wait until no other test uses them, and keep others away meanwhile."""
    name = f"sloburn-tests-usual-ports-{os.getuid()}.lock"  # another user's file could not be opened everywhere
    with Path(tempfile.gettempdir(), name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
