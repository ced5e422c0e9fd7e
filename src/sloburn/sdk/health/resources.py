"""Ready-made checks: what services depend on. Each is handed what the service uses, so nothing is imported here."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sloburn.sdk.health.check import Act

# Engines, clients and applications of libraries that are not imported here.
Foreign = Any

_CGROUP = Path("/sys/fs/cgroup")
_MEMORY = Path("/proc/meminfo")


class Unwell(Exception):
    """Something answers, but not as it should."""


def http_check(url: str, timeout_seconds: float) -> Act:
    """Check that an address answers a GET with 2xx or 3xx.

    Raises:
        ValueError: It is not an HTTP address.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url} is not an HTTP address")

    def ask() -> str:
        request = Request(url, headers={"user-agent": "sloburn-health"})  # noqa: S310 - the scheme was looked at
        with urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310
            return f"HTTP {answer.status} {http.client.responses.get(answer.status, '')}".strip()

    return ask


def database_check(database: Foreign) -> Act:
    """Check that a database answers ``SELECT 1``.

    Args:
        database: A SQLAlchemy engine, asynchronous ones included, or a function that returns a DB-API connection.
    """
    if hasattr(database, "sync_engine"):

        async def ask_async_engine() -> None:
            async with database.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")

        return ask_async_engine

    def ask() -> None:
        if hasattr(database, "connect"):
            with database.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        else:
            _ask_dbapi(database)

    return ask


def _ask_dbapi(connect: Callable[[], Foreign]) -> None:
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def redis_check(client: Foreign) -> Act:
    """Check that Redis answers PING.

    Args:
        client: A client of redis-py, asynchronous ones included.
    """
    if ".asyncio" in type(client).__module__:

        async def ping_async() -> None:
            await client.ping()

        return ping_async
    return lambda: bool(client.ping())


def broker_check(app: Foreign, timeout_seconds: float) -> Act:
    """Check that a Celery application reaches its broker.

    Args:
        app: The application.
        timeout_seconds: The longest that a connection may take.
    """

    def connect() -> None:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=timeout_seconds, interval_start=0)

    return connect


def disk_check(path: str, min_free_ratio: float) -> Act:
    """Check that a file system has room.

    Args:
        path: Anything on it.
        min_free_ratio: How much of it must be free, 0 to 1.
    """

    def look() -> str:
        usage = shutil.disk_usage(path)
        free = usage.free / usage.total
        if free < min_free_ratio:
            raise Unwell(f"{free:.1%} of {path} is free, {min_free_ratio:.1%} are wanted")
        return f"{free:.1%} free"

    return look


def memory_check(max_used_ratio: float) -> Act:
    """Check that there is memory, of the container when it has a limit, else of the machine.

    Args:
        max_used_ratio: How much of it may be in use, 0 to 1.
    """

    def look() -> str:
        used = memory_used_ratio()
        if used > max_used_ratio:
            raise Unwell(f"{used:.1%} of the memory is in use, at most {max_used_ratio:.1%} is wanted")
        return f"{used:.1%} in use"

    return look


def memory_used_ratio(cgroup: Path = _CGROUP, memory: Path = _MEMORY) -> float:
    """Return how much of the memory is in use, 0 to 1.

    Args:
        cgroup: Where a container's limit is (cgroup v2).
        memory: Where the machine's memory is described.

    Raises:
        OSError: It cannot be seen on this system.
    """
    limit = _read_number(cgroup / "memory.max")
    used = _read_number(cgroup / "memory.current")
    if limit and used is not None:
        # The page cache of a container is given back when memory is short.
        cache = _read_fields(cgroup / "memory.stat").get("inactive_file", 0)
        return max(0, used - cache) / limit
    machine = _read_fields(memory)
    return 1 - machine["MemAvailable"] / machine["MemTotal"]


def _read_number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _read_fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in pairs if len(words) > 1 and words[1].isdigit()}
