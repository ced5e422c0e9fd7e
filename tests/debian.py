"""Real servers for tests, from Debian's packages: found, or installed where the tests may, or missed out loud."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TextIO

import pytest

# For the turn, the lists and the package together: well below the limit of the one test that happens to be first.
INSTALL_SECONDS = 100.0


@cache
def program(name: str, package: str) -> str:
    """Return the path of a program; install its package if need be, else skip with the reason."""
    found = shutil.which(name)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(name, package)
        found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: apt-get install {package}")
    return found


@cache  # what failed once is not tried again for every test that needs it
def _install(name: str, package: str) -> None:
    """Install one package at a time, however many test processes ask for some, or for the same."""
    until = time.monotonic() + INSTALL_SECONDS
    with Path(tempfile.gettempdir(), "sloburn-tests-apt.lock").open("w") as lock:
        if _has_turn(lock, until) and not shutil.which(name):
            _apt_get(["update", "-qq"], until)
            _apt_get(["install", "-y", "-qq", "--no-install-recommends", package], until)


def _has_turn(lock: TextIO, until: float) -> bool:
    while time.monotonic() < until:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.2)
        else:
            return True
    return False


def _apt_get(arguments: list[str], until: float) -> None:
    """Run it to its end, or to the end of our time: what is not there then is missed out loud."""
    # Debian starts a server of its own after its installation unless the runlevel is 1.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    rest = max(0.0, until - time.monotonic())
    try:
        subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, timeout=rest, check=False)
    except subprocess.TimeoutExpired:
        return
