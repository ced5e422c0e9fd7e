"""`health`: register what this process depends on in one line each, and let orchestrators ask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sloburn.clock import monotonic
from sloburn.sdk.health.model import HealthReport
from sloburn.sdk.health.probe import ProbeFile
from sloburn.sdk.health.registry import Question, Registry
from sloburn.sdk.health.resources import (
    broker_check,
    database_check,
    disk_check,
    http_check,
    memory_check,
    redis_check,
)
from sloburn.sdk.pages import Answer, Page, PageServer, json_answer, mount, serve

logger = logging.getLogger("sloburn")

# Engines, clients and applications of libraries that are not imported here.
Foreign = Any

_PATHS: Mapping[str, Question] = {"/livez": "live", "/readyz": "ready", "/startupz": "started", "/health": "all"}


class Heartbeat:
    """Fails when somebody who should come by again and again does not.

    Args:
        max_age_seconds: How long they may stay away.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, max_age_seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._max_age = max_age_seconds
        self._now = now
        self._last = now()

    def beat(self) -> None:
        """Say that all is well right now."""
        self._last = self._now()

    def check(self) -> str:
        """Say how long ago that was.

        Raises:
            TimeoutError: Too long.
        """
        age = self._now() - self._last
        if age > self._max_age:
            raise TimeoutError(f"no sign of life for {age:.0f} s, one every {self._max_age:g} s is expected")
        return f"{age:.0f} s ago"


class Health(Registry):
    """The checks of a process: what they are, and how the world asks for them.

    Every method that registers a check takes ``critical``, ``live``, ``timeout`` and ``ttl`` as `add` does.
    """

    def http(self, name: str, url: str, *, timeout: float = 2.0, **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that an address answers a GET with 2xx or 3xx."""
        self.add(name, http_check(url, timeout), timeout=timeout, **settings)

    def database(self, name: str, database: Foreign, **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that a database answers: a SQLAlchemy engine, or a function that returns a DB-API connection."""
        self.add(name, database_check(database), **settings)

    def redis(self, name: str, client: Foreign, **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that Redis answers PING to a client of redis-py."""
        self.add(name, redis_check(client), **settings)

    def celery(self, name: str, app: Foreign, *, timeout: float = 2.0, **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that a Celery application reaches its broker."""
        self.add(name, broker_check(app, timeout), timeout=timeout, **settings)

    def disk(self, path: str = "/", *, min_free_ratio: float = 0.1, name: str = "", **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that a file system has room."""
        self.add(name or f"disk {path}", disk_check(path, min_free_ratio), **settings)

    def memory(self, *, max_used_ratio: float = 0.95, name: str = "memory", **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that there is memory, of the container when it has a limit, else of the machine."""
        self.add(name, memory_check(max_used_ratio), **settings)

    def heartbeat(self, name: str, *, max_age: float = 60.0, live: bool = True, **settings: Any) -> Heartbeat:  # noqa: ANN401 - see `add`
        """Check that a loop goes round: it calls `Heartbeat.beat` each time.

        Args:
            name: Under which it is reported.
            max_age: The longest that a round may take, in seconds.
            live: Whether a restart helps.
            settings: As with `add`.
        """
        heartbeat = Heartbeat(max_age, self._now)
        self.add(name, heartbeat.check, live=live, **{"ttl": 0.0, **settings})
        return heartbeat

    def celery_worker(self, name: str = "celery worker", *, max_age: float = 60.0, **settings: Any) -> None:  # noqa: ANN401 - see `add`
        """Check that a Celery worker's main loop goes round, by its own heartbeat: a worker that is wedged has none."""
        from sloburn.sdk.integrations.celery_heartbeat import follow_heartbeat

        follow_heartbeat(lambda: self.heartbeat(name, max_age=max_age, **settings))

    def mount(self, app: Foreign, prefix: str = "") -> None:
        """Answer ``/livez``, ``/readyz``, ``/startupz`` and ``/health`` in a FastAPI or Starlette application.

        They make no spans and no metrics. Never raises: what is wrong ends in one log line.

        Args:
            app: The application.
            prefix: Goes before the paths, for instance ``/internal``.
        """
        try:
            mount(app, self.pages(prefix))
        except Exception as error:
            logger.warning("the health endpoints are not mounted: %s: %s", type(error).__name__, error)

    def serve(self, port: int = 8081, host: str = "127.0.0.1", *, metrics: bool = False) -> PageServer | None:
        """Answer the same paths on a small server of our own, in a worker that has none. Never raises.

        Args:
            port: Where to listen; 0 takes a free one.
            host: Where to listen; ``0.0.0.0`` lets other machines in.
            metrics: True answers ``/metrics`` too.

        Returns:
            The server; None when the address cannot be used, which one log line says.
        """
        pages: dict[str, Page] = dict(self.pages())
        if metrics:
            from sloburn.sdk.prometheus.endpoint import metrics_page

            pages["/metrics"] = metrics_page()
        return serve(pages, host=host, port=port)

    def write_file(self, path: str, *, every: float = 10.0) -> ProbeFile:
        """Write the report into a file again and again, for ``sloburn probe --file``. Never raises.

        Args:
            path: The file.
            every: How often, in seconds.
        """
        return ProbeFile(Path(path), self.report_blocking, every)

    def pages(self, prefix: str = "") -> Mapping[str, Page]:
        """Return what answers orchestrators, by path."""
        return {f"{prefix.rstrip('/')}{path}": HealthPage(self, question) for path, question in _PATHS.items()}


class HealthPage:
    """Answers one question about the health of this process: 200 when it passes or is degraded, 503 when it fails.

    Args:
        registry: Knows the checks.
        question: Which.
    """

    def __init__(self, registry: Registry, question: Question) -> None:
        self._registry = registry
        self._question = question

    async def __call__(self, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - there is one format
        """Ask within the event loop that serves."""
        return _answer(await self._registry.report(self._question))

    def answer(self, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - there is one format
        """Ask without an event loop."""
        return _answer(self._registry.report_blocking(self._question))


def _answer(report: HealthReport) -> Answer:
    return json_answer(report.document(), 503 if report.status == "fail" else 200)


health = Health()
