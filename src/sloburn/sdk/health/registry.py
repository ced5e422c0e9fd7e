"""The checks of this process and what is made of them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sloburn.clock import monotonic
from sloburn.sdk.health.check import Act, Check, CheckSettings
from sloburn.sdk.health.model import CheckReport, CheckResult, HealthReport

logger = logging.getLogger("sloburn")

Question = Literal["live", "ready", "started", "all"]
Function = TypeVar("Function", bound=Act)

_MOST_CHECKS = 100


class Registry:
    """Keeps checks and answers what orchestrators ask.

    Args:
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._began = now()
        self._checks: dict[str, Check] = {}
        self._waiting_for: set[str] = set()
        self._is_stopping = False
        self._has_started = False
        self._service = ""
        self._version = ""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    def add(
        self,
        name: str,
        act: Act,
        *,
        critical: bool = True,
        live: bool = False,
        timeout: float = 2.0,
        ttl: float = 5.0,
    ) -> None:
        """Register a check; one of the same name is replaced.

        Args:
            name: Under which it is reported.
            act: Says whether all is well: returns nothing or True, or text about how it goes; returns False or raises
                otherwise. May be a coroutine function.
            critical: Whether the process is of no use while it fails; otherwise it is only degraded.
            live: Whether a restart helps, so that it counts for liveness too.
            timeout: The longest that anybody waits for it, in seconds.
            ttl: How long a result is good for, in seconds.
        """
        if len(self._checks) >= _MOST_CHECKS and name not in self._checks:
            logger.warning("health check %s is left out: there are %d already", name, _MOST_CHECKS)
            return
        settings = CheckSettings(is_critical=critical, is_live=live, timeout_seconds=timeout, ttl_seconds=ttl)
        self._checks[name] = Check(name, act, settings, self._now)

    def check(
        self,
        name: str,
        *,
        critical: bool = True,
        live: bool = False,
        timeout: float = 2.0,
        ttl: float = 5.0,
    ) -> Callable[[Function], Function]:
        """Register a function as a check, as a decorator. The arguments are those of `add`."""

        def register(act: Function) -> Function:
            self.add(name, act, critical=critical, live=live, timeout=timeout, ttl=ttl)
            return act

        return register

    def remove(self, name: str) -> None:
        """Forget a check; one that there is not is no error."""
        self._checks.pop(name, None)

    def starting(self, reason: str) -> None:
        """Be neither started nor ready until `started` is called with the same reason."""
        self._waiting_for.add(reason)

    def started(self, reason: str) -> None:
        """Take back what `starting` said."""
        self._waiting_for.discard(reason)

    def stopping(self) -> None:
        """Be alive but not ready from now on, so that no new work comes."""
        self._is_stopping = True

    def describe(self, service: str, version: str) -> None:
        """Say who reports."""
        self._service, self._version = service, version

    async def report(self, question: Question = "all") -> HealthReport:
        """Ask all checks that a question is about, at once. Takes as long as the longest timeout, at most."""
        checks = self._asked(question)
        results = await asyncio.gather(*(check.ask() for check in checks))
        return self._put_together(question, dict(zip(checks, results, strict=True)))

    def report_blocking(self, question: Question = "all") -> HealthReport:
        """Ask all checks that a question is about, at once, without an event loop."""
        begun = {check: check.begin() for check in self._asked(question)}
        return self._put_together(question, {check: check.wait(run) for check, run in begun.items()})

    def observe(self, meter: Meter) -> None:
        """Report the checks as metrics."""
        meter.create_observable_gauge(
            "sloburn.health.check.status",
            [self._observe_status],
            description="Whether a health check passes: 1, or fails: 0.",
        )
        meter.create_observable_gauge(
            "sloburn.health.check.duration",
            [self._observe_duration],
            unit="s",
            description="How long the last run of a health check took.",
        )

    def _asked(self, question: Question) -> list[Check]:
        checks = list(self._checks.values())
        if question == "live":
            return [check for check in checks if check.settings.is_live]
        if question == "started":
            return [] if self._has_started else [check for check in checks if check.settings.is_critical]
        return checks

    def _put_together(self, question: Question, results: Mapping[Check, CheckResult]) -> HealthReport:
        now = self._now()
        report = HealthReport(
            service=self._service,
            version=self._version or _version_of(self._service),
            uptime_seconds=now - self._began,
            reason="" if question == "live" else self._reason(question),
            checks={
                check.name: CheckReport(
                    result=result,
                    is_critical=check.settings.is_critical or question == "live",
                    age_seconds=now - result.checked_seconds,
                )
                for check, result in results.items()
            },
        )
        self._has_started = self._has_started or (question in ("started", "ready") and report.status != "fail")
        return report

    def _reason(self, question: Question) -> str:
        if self._waiting_for:
            return f"starting: {', '.join(sorted(self._waiting_for))}"
        return "stopping" if self._is_stopping and question != "started" else ""

    def _observe_status(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002 - the API's signature
        for check, result in self._last_results():
            attributes: dict[str, str | bool] = {"check": check.name, "critical": check.settings.is_critical}
            yield Observation(int(result.is_passed), attributes)

    def _observe_duration(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002 - see above
        for check, result in self._last_results():
            yield Observation(result.duration_seconds, {"check": check.name})

    def _last_results(self) -> Iterable[tuple[Check, CheckResult]]:
        """Yield what is known, and have it renewed for the next time: whoever collects metrics must not wait."""
        for check in list(self._checks.values()):
            if not check.is_async:
                check.poke()
            if check.last is not None:
                yield check, check.last

    def _begin_anew(self) -> None:
        self._began = self._now()
        for check in self._checks.values():
            check.begin_anew()


def _version_of(service: str) -> str:
    try:
        return version(service) if service else ""
    except (PackageNotFoundError, ValueError):
        return ""
