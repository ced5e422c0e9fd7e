"""Real servers for tests, from Debian's packages: found, or installed where the tests may, or missed out loud."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

INSTALL_SECONDS = 240


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


def _install(name: str, package: str) -> None:
    """Install one package at a time, however many test processes ask for some, or for the same."""
    with Path(tempfile.gettempdir(), "sloburn-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which(name):
            return
        quiet = {"capture_output": True, "timeout": INSTALL_SECONDS, "check": False}
        # Debian starts a server of its own after its installation unless the runlevel is 1.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)  # type: ignore[call-overload]
        call = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        subprocess.run(call, env=environment, **quiet)  # type: ignore[call-overload]
