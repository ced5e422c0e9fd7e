"""Servers that a stack may leave out: where this user could have them, a test that needs one fails without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest
from collector.stack.database import shut_folder
from collector.stack.lifecycle import Stack

_SUDO_SECONDS = 30


def require(stack: Stack, name: str, complaints: Sequence[str]) -> None:
    """Go on where a server is one that the stack starts.

    Args:
        stack: It is up.
        name: The server.
        complaints: What could not be fetched from Debian, after all attempts, and why.

    Raises:
        pytest.fail.Exception: It is left out, though this user may install packages.
        pytest.skip.Exception: It is left out, and this user has no way to install packages.
    """
    if any(standing.service.name == name and standing.service.command for standing in stack.standings()):
        return
    reasons = [f"the stack leaves {name} out", *complaints]
    if name.startswith("postgresql") and (shut := shut_folder(stack.data)):
        reasons.append(f"PostgreSQL's user may not enter {shut}: set TMPDIR to another folder")
    (pytest.fail if may_install() else pytest.skip)("\n".join(reasons))


def may_install() -> bool:
    """Tell whether this user can install packages of Debian here, by himself or without a password as root."""
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    if (sudo := shutil.which("sudo")) is None:
        return False
    asked = subprocess.run([sudo, "-n", "true"], capture_output=True, timeout=_SUDO_SECONDS, check=False)
    return asked.returncode == 0
