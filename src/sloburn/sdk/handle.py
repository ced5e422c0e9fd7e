"""The handle that `init_telemetry` returns: flush, shut down, ask how it goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import Meter

from sloburn.clock import monotonic
from sloburn.sdk.config import Signal, TelemetryConfig

if TYPE_CHECKING:
    from sloburn.sdk.exporters.health import ExportHealth
    from sloburn.sdk.exporters.worker import ExportWorker, SignalStatus
    from sloburn.sdk.providers import Providers

logger = logging.getLogger("sloburn")

_SCOPE = "sloburn"
# Enough for a Collector on the same machine, when other hooks have used up the time; and for one that is slow, but has
# just answered: it gets what the end itself leaves.
_LEAST_EXIT_SECONDS = 0.2
_LEAST_ANSWERED_SECONDS = 1.0
# Hooks that run further apart do not belong to the same end.
_ONE_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryStatus:
    """How telemetry goes in this process.

    Args:
        is_enabled: False after ``OTEL_SDK_DISABLED``, ``enabled=False`` or a failed start.
        problems: What was refused or could not be started, one sentence each.
        signals: What became of each exported signal.
    """

    is_enabled: bool
    problems: tuple[str, ...]
    signals: dict[Signal, SignalStatus]


class Telemetry:
    """Running telemetry. Usable as a context manager in scripts and batch jobs.

    Args:
        config: What it runs with.
        providers: Where tracers, meters and loggers come from.
        workers: What exports, one for each signal.
        health: What the workers share.
        problems: What was refused or could not be started.
    """

    def __init__(
        self,
        *,
        config: TelemetryConfig,
        providers: Providers,
        workers: tuple[ExportWorker, ...] = (),
        health: ExportHealth | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        self.config = config
        self._providers = providers
        self._workers = workers
        self._health = health
        self._problems = problems
        self._followers: list[Callable[[TelemetryConfig], None]] = []
        self._at_end: list[Callable[[], None]] = []
        self._at_failure: list[Callable[[BaseException], None]] = []
        self._shutdown_lock = threading.RLock()
        self._is_shut_down = False
        self._forget_waits()

    @property
    def providers(self) -> Providers:
        """What stays when the settings change."""
        return self._providers

    @property
    def tracer(self) -> trace.Tracer:
        """A tracer for spans of your own."""
        return self._providers.tracer.get_tracer(_SCOPE)

    @property
    def meter(self) -> Meter:
        """A meter for instruments of your own."""
        return self._providers.meter.get_meter(_SCOPE)

    @property
    def logger_provider(self) -> LoggerProvider:
        """Where OpenTelemetry loggers come from."""
        return self._providers.logger

    def note_problem(self, problem: str) -> None:
        """Add what could not be done to the status."""
        self._problems = (*self._problems, problem)

    def status(self) -> TelemetryStatus:
        """Return how telemetry goes, with what was sent and what was lost."""
        return TelemetryStatus(
            is_enabled=self.config.enabled and bool(self._workers),
            problems=self._problems,
            signals={worker.signal: worker.status() for worker in self._workers},
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Send everything that waits now, all signals at once.

        Args:
            timeout: The longest that this may take, in seconds; the configured shutdown timeout when absent.

        Returns:
            Whether everything was taken.
        """
        deadline = monotonic() + self._bounded(timeout)
        if self._is_shut_down:
            return False
        flushes = [worker.request_flush() for worker in self._workers]
        are_done = [done.wait(max(0.0, deadline - monotonic())) for done in flushes]
        return all(are_done) and not any(worker.status().problem for worker in self._workers)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Send what waits and stop, all signals at once; the second call does nothing.

        Args:
            timeout: The longest that this may take, in seconds; the configured shutdown timeout when absent.

        Returns:
            Whether everything was taken.
        """
        with self._shutdown_lock:
            if self._is_shut_down:
                return True
            self._is_shut_down = True
        for act in self._at_end:
            act()
        deadline = monotonic() + self._bounded(timeout)
        for worker in self._workers:
            worker.request_stop(deadline)
        for worker in self._workers:
            worker.join(deadline - monotonic())
        return self._report_losses()

    def resume(
        self,
        *,
        config: TelemetryConfig,
        workers: tuple[ExportWorker, ...],
        health: ExportHealth,
        problems: tuple[str, ...],
    ) -> None:
        """Go on after a shutdown, under other settings."""
        with self._shutdown_lock:
            self.config = config
            self._workers, self._health, self._problems = workers, health, problems
            self._forget_waits()
            self._is_shut_down = False
        for act in self._followers:
            act(config)

    def when_reconfigured(self, act: Callable[[TelemetryConfig], None]) -> None:
        """Let something follow when the settings change."""
        self._followers.append(act)

    def when_ended(self, act: Callable[[], None]) -> None:
        """Let something end when telemetry does, before its last export."""
        self._at_end.append(act)

    def when_failed(self, act: Callable[[BaseException], None]) -> None:
        """Let something see the exception that ends a ``with`` block of this handle."""
        self._at_failure.append(act)

    def flush_at_end(self, timeout: float | None = None) -> bool:
        """Flush because the host is about to end, for hooks of servers and workers.

        Several of them may run on the way out, and the exit itself: together they wait as long as one of them may.

        Args:
            timeout: The longest that this one may take, in seconds; all that is left for them when absent.

        Returns:
            Whether everything was taken.
        """
        left = max(0.0, self._left_at_end() - _LEAST_EXIT_SECONDS)
        return self._wait(lambda: self.flush(left if timeout is None else min(left, timeout)))

    def flush_in_child(self) -> None:
        """Flush because this forked process ends now, without Python's exit; what remains the parent counts as lost."""
        if not self.flush_at_end():
            for worker in self._workers:
                worker.leave_behind()

    def shutdown_at_exit(self) -> bool:
        """Shut down in what is left of the time that the exit may be delayed."""
        left = self._left_at_end()
        least = _LEAST_ANSWERED_SECONDS if self._has_answered else _LEAST_EXIT_SECONDS
        return self._wait(lambda: self.shutdown(max(min(least, self._bounded(None)), left)))

    def hurry(self) -> None:
        """Export as often as possible from now on: the process has been told to end."""
        for worker in self._workers:
            worker.hurry()

    def after_fork(self) -> None:
        """Begin anew in a forked child, with an own identity and with instruments at zero."""
        self._shutdown_lock = threading.RLock()
        self._forget_waits()
        if self._health is not None:
            self._health.after_fork()
        self._providers.after_fork()
        for worker in self._workers:
            worker.after_fork()

    def _forget_waits(self) -> None:
        self._waited_seconds = 0.0
        self._waited_until = float("-inf")
        self._has_answered = False

    def _left_at_end(self) -> float:
        """Return how long the end may still be delayed, in seconds: hooks share it, and so do a process's children.

        A server that was loaded before it forked ends after its workers: what has kept them would keep it just so.
        """
        now = monotonic()
        if now - self._waited_until > _ONE_END_SECONDS:
            self._forget_waits()
        waited = self._waited_seconds
        if self._health is not None and (last := self._health.last_wait(now)):
            waited = max(waited, last.seconds)
            self._has_answered = last.is_answered
        return self._bounded(None) - waited

    def _wait(self, act: Callable[[], bool]) -> bool:
        began = monotonic()
        self._has_answered = act()
        self._waited_until = monotonic()
        self._waited_seconds += self._waited_until - began
        if self._health is not None:
            self._health.note_wait(self._waited_seconds, self._waited_until, is_answered=self._has_answered)
        return self._has_answered

    def _bounded(self, timeout: float | None) -> float:
        return self.config.shutdown_timeout_seconds if timeout is None else max(0.0, timeout)

    def _report_losses(self) -> bool:
        lost = {worker.signal: worker.status().lost.get("shutdown", 0) for worker in self._workers}
        if any(lost.values()):
            counts = ", ".join(f"{count} {signal}" for signal, count in lost.items() if count)
            logger.warning("telemetry could not be delivered before the end of the process, lost: %s", counts)
        return not any(lost.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            for act in self._at_failure:
                act(error)
        self.shutdown()
