"""Ports for what tests start: free, and nobody else's for as long as the tests run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

LOWEST, HIGHEST = 10_000, 32_000
LOOKS = 500
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, that no other test process was given, and that no client is given.

    Between this look and the server's own bind there are seconds; a server that is killed comes back to its port.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_range(), LOOKS):
        if _is_free(port) and _claim(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} ports are free among {LOOKS} of {_range()}")


@cache
def _range() -> range:
    """Return the ports below those that the system gives to clients, where that leaves any."""
    lowest = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else HIGHEST
    return range(LOWEST, min(lowest, HIGHEST) if lowest >= LOWEST + 2 * LOOKS else HIGHEST)


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


_claimed: set[int] = set()


def _claim(port: int) -> bool:
    """Take a port for this process, once; the system gives it back when the process ends, however it ends."""
    if port in _claimed:
        return False
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _claimed.add(port)
    return True


@cache
def _claims() -> int:
    """Open the file of which each byte stands for a port, once and only here.

    It stays open: all claims of a process end as soon as it closes any descriptor of this file (fcntl(2)).
    """
    path = Path(tempfile.gettempdir(), f"sloburn-tests-ports-{os.getuid()}.lock")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
