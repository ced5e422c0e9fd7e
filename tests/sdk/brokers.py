"""A real Redis for tests, on a free port, without a trace on disk."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.debian import program
from tests.sdk.processes import PATIENCE_SECONDS, free_port, wait_until


def find_redis() -> str:
    """Return the path of redis-server, installed if this user may; skip the test with the reason otherwise."""
    found = program("redis-server", "redis-server")
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
            server.wait(timeout=PATIENCE_SECONDS)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
