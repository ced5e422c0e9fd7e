"""Health: checks that cannot hang, what they amount to, ready-made ones, endpoints, files and metrics."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from sloburn.sdk.exclusion import MOUNTED_PATHS
from sloburn.sdk.health.check import Act
from sloburn.sdk.health.checks import Health
from sloburn.sdk.health.model import HealthReport
from sloburn.sdk.health.probe import read_probe
from sloburn.sdk.health.resources import memory_used_ratio
from tests.sdk.clients import TestClient
from tests.sdk.processes import PATIENCE_SECONDS, free_port, wait_until


class Now:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


class Patient(Health):
    """Health whose checks have all the time that a busy machine takes, unless a test gives them less."""

    def add(self, name: str, act: Act, *, timeout: float = PATIENCE_SECONDS, **settings: Any) -> None:
        """Register a check."""
        super().add(name, act, timeout=timeout, **settings)


@contextmanager
def hanging() -> Iterator[threading.Event]:
    """Yield something to hang on, and let go at the end."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def _fails() -> None:
    raise ConnectionError("postgres://shop:s3cret@db/shop refused: password=hunter2")


def _statuses(report: HealthReport) -> dict[str, str]:
    return {name: check.status for name, check in report.checks.items()}


@pytest.mark.parametrize("is_async", [True, False])
def test_what_checks_may_return(is_async: bool) -> None:
    """Nothing, True and text pass; False and an exception fail; one that is not critical only degrades."""
    health = Patient()
    health.add("nothing", lambda: None)
    health.add("text", lambda: "all well")
    health.add("false", lambda: False, critical=False)
    health.add("raises", _fails)

    @health.check("async", timeout=PATIENCE_SECONDS)
    async def check() -> bool:
        await asyncio.sleep(0)
        return True

    report = asyncio.run(health.report()) if is_async else health.report_blocking()
    assert _statuses(report) == {
        "nothing": "pass", "text": "pass", "false": "degraded", "raises": "fail", "async": "pass"
    }  # fmt: skip
    assert (report.status, report.summary) == ("fail", "2 of 5 checks fail: false, raises")
    assert report.checks["text"].result.detail == "all well"


def test_details_hold_no_secrets() -> None:
    """What an exception says is shown without the secrets in it, on one short line."""
    health = Patient()
    health.add("db", _fails)
    detail = health.report_blocking().checks["db"].result.detail
    assert detail.startswith("ConnectionError: postgres://")
    assert not [secret for secret in ("s3cret", "hunter2") if secret in detail]

    def verbose() -> None:
        raise ValueError("x\n" * 10_000)

    health.add("db", verbose)
    assert len(health.report_blocking().checks["db"].result.detail) < 400


def test_hanging_checks_never_hang_the_report() -> None:
    """Checks that hang fail within the timeout; asking again costs neither time nor another thread."""
    health = Patient()
    with hanging() as event:
        for number in range(5):
            health.add(f"hangs {number}", lambda: event.wait(60), timeout=0.2, ttl=0.0)

        async def hangs() -> None:
            await asyncio.sleep(60)

        health.add("hangs async", hangs, timeout=0.2, ttl=0.0)
        before = threading.active_count()
        began = time.monotonic()
        first = asyncio.run(health.report())
        middle = time.monotonic()
        for _ in range(5):
            health.report_blocking()
        assert middle - began < 30
        assert threading.active_count() <= before + 6
        assert set(_statuses(first).values()) == {"fail"}
        assert "no answer within 0.2 s" in first.checks["hangs 0"].result.detail


def test_check_that_recovers_from_hanging() -> None:
    """What a run finds out after its timeout is old news: the next question starts a new one."""
    health = Patient()
    seen: list[int] = []
    with hanging() as event:

        def act() -> str:
            seen.append(1)
            if len(seen) == 1:
                event.wait(60)
            return f"run {len(seen)}"

        health.add("slow", act, timeout=0.5, ttl=0.0)
        assert health.report_blocking().status == "fail"
        event.set()
        wait_until(lambda: not any(thread.name == "sloburn-check-slow" for thread in threading.enumerate()))
        assert len(seen) == 1
        wait_until(lambda: health.report_blocking().status == "pass")
        assert len(seen) > 1


def test_results_are_cached() -> None:
    """A check runs at most once within its time to live, however often it is asked."""
    now = Now()
    health, runs = Patient(now), []
    health.add("counted", lambda: runs.append(1), ttl=5)
    for _ in range(10):
        health.report_blocking()
    now.seconds += 4
    assert (len(runs), health.report_blocking().checks["counted"].age_seconds) == (1, 4)
    now.seconds += 1.5
    health.report_blocking()
    assert len(runs) == 2


def test_questions() -> None:
    """Liveness asks only what a restart helps; startup is over once and for all; stopping is not ready but alive."""
    now, broken = Now(), [True]
    health = Patient(now)

    def database() -> None:
        if broken[0]:
            _fails()

    health.add("database", database, ttl=0)
    health.starting("warming up")

    def statuses() -> tuple[str, str, str]:
        return (
            health.report_blocking("live").status,
            health.report_blocking("ready").status,
            health.report_blocking("started").status,
        )

    assert statuses() == ("pass", "fail", "fail")
    assert health.report_blocking("ready").summary.startswith("starting: warming up")
    broken[0] = False
    health.started("warming up")
    assert statuses() == ("pass", "pass", "pass")
    broken[0] = True
    assert statuses() == ("pass", "fail", "pass")
    health.add("stuck", lambda: False, live=True)
    assert statuses()[0] == "fail"
    health.remove("stuck")
    broken[0] = False
    health.stopping()
    assert statuses() == ("pass", "fail", "pass")


def test_endpoints() -> None:
    """The four paths answer in FastAPI, before a route that takes everything, with the right status."""
    health, app = Patient(), FastAPI()

    @app.get("/{rest:path}")
    def everything(rest: str) -> str:
        return rest

    health.describe("shop", "1.2")
    health.add("search", lambda: False, critical=False)
    health.mount(app, "/internal/")
    with TestClient(app) as client:
        answers = {path: client.get(f"/internal/{path}") for path in ("livez", "readyz", "startupz", "health")}
        assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
        document = answers["health"].json()
        assert (document["status"], document["service"], document["version"]) == ("degraded", "shop", "1.2")
        assert document["summary"] == "1 of 1 checks fail: search"
        assert document["checks"]["search"]["critical"] is False
        health.add("db", _fails)
        assert [client.get(f"/internal/{path}").status_code for path in ("livez", "readyz", "health")] == [
            200,
            503,
            503,
        ]
        assert client.head("/internal/health").content == b""
        assert "/internal/health" not in app.openapi()["paths"]
    assert "/internal/readyz" in MOUNTED_PATHS


def test_mounting_into_something_else() -> None:
    """An application that cannot be mounted into costs a log line, not the start of the service."""
    Patient().mount(object())


def test_server_for_workers() -> None:
    """A worker without a web framework answers the same paths, asynchronous checks included."""
    health = Patient()

    async def check() -> None:
        await asyncio.sleep(0)

    health.add("async", check)
    server = health.serve(port=0)
    assert server is not None
    try:
        with urlopen(f"http://127.0.0.1:{server.port}/readyz", timeout=PATIENCE_SECONDS) as answer:
            assert json.loads(answer.read())["status"] == "pass"
        assert health.serve(port=server.port) is None
        with pytest.raises(HTTPError) as missing:
            urlopen(f"http://127.0.0.1:{server.port}/nothing", timeout=PATIENCE_SECONDS)
        missing.value.close()
        assert missing.value.code == 404
    finally:
        server.close()


def test_http_check() -> None:
    """An address that answers passes with its status; one that fails or is not there does not."""
    health = Patient()
    inner = Patient()
    inner.add("db", _fails)
    server = inner.serve(port=0)
    assert server is not None
    try:
        health.http("alive", f"http://127.0.0.1:{server.port}/livez", timeout=PATIENCE_SECONDS)
        health.http("not ready", f"http://127.0.0.1:{server.port}/readyz", critical=False, timeout=PATIENCE_SECONDS)
        health.http("nobody", f"http://127.0.0.1:{free_port()}/", critical=False)
        report = health.report_blocking()
    finally:
        server.close()
    assert _statuses(report) == {"alive": "pass", "not ready": "degraded", "nobody": "degraded"}
    assert report.checks["alive"].result.detail == "HTTP 200 OK"
    assert "503" in report.checks["not ready"].result.detail
    with pytest.raises(ValueError, match="is not an HTTP address"):
        health.http("file", "file:///etc/passwd")


def test_database_check(tmp_path: Path) -> None:
    """A function that returns a DB-API connection is asked SELECT 1 and its connection closed."""
    health = Patient()
    health.database("db", lambda: sqlite3.connect(tmp_path / "db"))
    health.database("gone", lambda: sqlite3.connect(tmp_path / "no" / "db"))
    assert _statuses(health.report_blocking()) == {"db": "pass", "gone": "fail"}


class Engine:
    """What SQLAlchemy's engine looks like from here."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @contextmanager
    def connect(self) -> Iterator[Engine]:
        """Connect."""
        yield self

    def exec_driver_sql(self, text: str) -> None:
        """Take a statement."""
        self.asked.append(text)


class AsyncEngine:
    """What SQLAlchemy's asynchronous engine looks like from here."""

    sync_engine = None

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connect(self) -> AsyncEngine:
        """Connect."""
        return self

    async def __aenter__(self) -> AsyncEngine:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def exec_driver_sql(self, text: str) -> None:
        """Take a statement."""
        self.asked.append(text)


def test_sqlalchemy_check() -> None:
    """Both kinds of engines are asked SELECT 1."""
    health, engine, async_engine = Patient(), Engine(), AsyncEngine()
    health.database("engine", engine)
    health.database("async engine", async_engine)
    assert asyncio.run(health.report()).status == "pass"
    assert (engine.asked, async_engine.asked) == (["SELECT 1"], ["SELECT 1"])


def test_redis_check() -> None:
    """A client is asked to ping; an asynchronous one is awaited."""

    async def ping() -> bool:
        return True

    async_client = type("Redis", (), {"__module__": "redis.asyncio.client", "ping": lambda _: ping()})()
    health = Patient()
    health.redis("cache", SimpleNamespace(ping=lambda: True))
    health.redis("async cache", async_client)
    health.redis("down", SimpleNamespace(ping=_fails), critical=False)
    report = asyncio.run(health.report())
    assert _statuses(report) == {"cache": "pass", "async cache": "pass", "down": "degraded"}


def test_broker_check() -> None:
    """A Celery application that reaches its broker passes; one whose broker is down fails in time."""
    from celery import Celery

    health = Patient()
    health.celery("broker", Celery("here", broker="memory://"), timeout=PATIENCE_SECONDS)
    health.celery("down", Celery("there", broker=f"amqp://127.0.0.1:{free_port()}//"), critical=False, timeout=1)
    report = health.report_blocking()
    assert _statuses(report) == {"broker": "pass", "down": "degraded"}


def test_disk_and_memory(tmp_path: Path) -> None:
    """Room on the disk and in memory is compared with what is wanted, in words."""
    health = Patient()
    health.disk(str(tmp_path), min_free_ratio=0.0)
    health.disk(str(tmp_path), min_free_ratio=1.0, name="too full")
    health.memory(max_used_ratio=1.0)
    report = health.report_blocking()
    assert _statuses(report) == {f"disk {tmp_path}": "pass", "too full": "fail", "memory": "pass"}
    assert "100.0% are wanted" in report.checks["too full"].result.detail


def test_memory_of_a_container(tmp_path: Path) -> None:
    """A container's limit counts, without the page cache; without a limit the machine's memory does."""
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200\n")
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 25 kB\n")
    assert memory_used_ratio(tmp_path, tmp_path / "meminfo") == 0.5
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_used_ratio(tmp_path, tmp_path / "meminfo") == 0.75


def test_heartbeat() -> None:
    """A loop that does not come by in time is not alive."""
    now = Now()
    health = Patient(now)
    heartbeat = health.heartbeat("consumer", max_age=10)
    now.seconds += 9
    assert health.report_blocking("live").status == "pass"
    now.seconds += 2
    assert health.report_blocking("live").status == "fail"
    heartbeat.beat()
    assert health.report_blocking("live").status == "pass"


def test_celery_worker_heartbeat() -> None:
    """The heartbeat of a Celery worker's main loop is expected from its first one on."""
    from celery import signals

    now = Now()
    health = Patient(now)
    health.celery_worker(max_age=10)
    assert health.report_blocking("live").checks == {}
    signals.heartbeat_sent.send(sender=None)
    now.seconds += 11
    assert health.report_blocking("live").status == "fail"
    signals.heartbeat_sent.send(sender=None)
    assert health.report_blocking("live").status == "pass"


def test_probe_file(tmp_path: Path) -> None:
    """The file says how the process is; an old, missing or damaged one says that nobody knows."""
    health, path = Patient(), tmp_path / "probe"
    health.add("db", _fails)
    second = 10**9
    assert read_probe(path, None, 0) == (
        False, f"{path} is not there: the process has not started, or does not write it"
    )  # fmt: skip
    file = health.write_file(str(path), every=0.02)
    wait_until(path.exists)
    is_well, reason = read_probe(path, 60, time.time_ns())
    assert (is_well, reason) == (False, "fail: 1 of 1 checks fail: db")
    health.remove("db")
    wait_until(lambda: read_probe(path, 60, time.time_ns())[0])
    # It is written all the time, but perhaps not in the last second.
    old = read_probe(path, None, time.time_ns() + 100 * second)[1]
    assert re.search("is 1[0-9]{2} s old, at most 0 s are allowed", old), old
    file.close()
    assert not path.exists()
    path.write_text("{}")
    assert not read_probe(path, None, 0)[0]


def test_health_as_metrics() -> None:
    """Collecting metrics never waits for a check; what the last run found out is reported."""
    reader, health = InMemoryMetricReader(), Patient()
    health.observe(MeterProvider(metric_readers=[reader]).get_meter("m"))
    with hanging() as event:
        health.add("fine", lambda: None, ttl=60)
        health.add("hangs", lambda: event.wait(60), critical=False, timeout=0.1, ttl=60)

        def points() -> dict[str, Any]:
            data = reader.get_metrics_data()
            found = (
                [metric for part in data.resource_metrics for scope in part.scope_metrics for metric in scope.metrics]
                if data
                else []
            )
            return {
                str((point.attributes or {})["check"]): point.value  # type: ignore[union-attr]
                for metric in found
                if metric.name == "sloburn.health.check.status"
                for point in metric.data.data_points
            }

        wait_until(lambda: points() == {"fine": 1, "hangs": 0})


def test_hanging_port_is_no_danger() -> None:
    """A dependency that takes connections and never answers fails in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        health = Patient()
        health.http("silent", f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3)
        began = time.monotonic()
        assert health.report_blocking().status == "fail"
        assert time.monotonic() - began < 30
