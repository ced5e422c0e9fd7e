"""Whether telemetry arrives: the state of every signal, and one log line when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sloburn.clock import monotonic
from sloburn.sdk.config import Signal

logger = logging.getLogger("sloburn")


class ExportHealth:
    """Knows which signals cannot be delivered and speaks only when "all arrive" turns to "some do not" and back.

    Args:
        destination: Where telemetry goes, for the log line.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, *, destination: str, now: Callable[[], float] = monotonic) -> None:
        self._destination = destination
        self._now = now
        self._lock = threading.Lock()
        self._failing: dict[Signal, str] = {}
        self._since = 0.0
        self._lost = 0

    def failed(self, signal: Signal, reason: str) -> None:
        """Note that a request of this signal was not taken."""
        with self._lock:
            is_first = not self._failing
            self._failing[signal] = reason
            if is_first:
                self._since = self._now()
        if is_first:
            logger.warning(
                "telemetry cannot be delivered to %s (%s: %s): it is kept up to a bound and tried again",
                self._destination,
                signal,
                reason,
            )

    def succeeded(self, signal: Signal, *, lost: int) -> None:
        """Note that a request of this signal was taken.

        Args:
            signal: The signal.
            lost: How many items of this signal were lost so far, for the log line.
        """
        if signal not in self._failing:
            return
        with self._lock:
            reason = self._failing.pop(signal, None)
            self._lost += lost
            is_last = reason is not None and not self._failing
        if is_last:
            seconds = self._now() - self._since
            logger.warning(
                "telemetry is delivered to %s again after %.1f s; lost so far: %d items",
                self._destination,
                seconds,
                self._lost,
            )
            self._lost = 0

    def reason(self, signal: Signal) -> str:
        """Return why this signal cannot be delivered, empty when it can."""
        return self._failing.get(signal, "")

    def after_fork(self) -> None:
        """Start anew in a forked child: what the parent knows is not the child's experience."""
        self._lock = threading.Lock()
        self._failing = {}
        self._lost = 0
