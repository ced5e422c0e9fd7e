"""A real Redis for tests, on a free port, without a trace on disk."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sdk.processes import free_port, wait_until

_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "redis-server")


def find_redis() -> str:
    """Return the path of redis-server, installed if this user may; skip the test with the reason otherwise."""
    found = shutil.which("redis-server")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # Debian starts a server of its own after the installation unless it is told not to.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update"], env=quiet, capture_output=True, timeout=120, check=False)
        subprocess.run(_INSTALL, env=quiet, capture_output=True, timeout=120, check=False)
        found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed and could not be: apt-get install redis-server")
    pytest.importorskip("redis", reason="the redis client is not installed: pip install redis")
    return found


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis server until the end of the block; yields its address."""
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder))
    with subprocess.Popen([find_redis(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as server:
        try:
            wait_until(lambda: _answers(port))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
