"""Whether telemetry arrives: the state of every signal, and one log line when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sloburn.clock import monotonic
from sloburn.sdk.config import Signal

logger = logging.getLogger("sloburn")


# A receiver that answers every other request must not fill the host's log: after an outage was announced, those that
# begin within so many seconds are counted and not announced.
_QUIET_SECONDS = 60.0


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
        self._refusing: set[Signal] = set()
        self._since = 0.0
        self._quiet_until = float("-inf")
        self._is_announced = False
        self._unannounced = 0
        self._lost = 0

    def failed(self, signal: Signal, reason: str) -> None:
        """Note that a request of this signal was not taken."""
        with self._lock:
            is_first = not self._failing
            self._failing[signal] = reason
            if not is_first:
                return
            self._since = self._now()
            self._is_announced = self._since >= self._quiet_until
            self._unannounced += not self._is_announced
            if self._is_announced:
                self._quiet_until = self._since + _QUIET_SECONDS
        if self._is_announced:
            logger.warning(
                "telemetry cannot be delivered to %s (%s: %s): it is kept up to a bound and tried again%s",
                self._destination,
                signal,
                reason,
                self._in_between(),
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
            if not is_last:
                return
            lost, self._lost = self._lost, 0
        if self._is_announced:
            logger.warning(
                "telemetry is delivered to %s again after %.1f s; lost so far: %d items",
                self._destination,
                self._now() - self._since,
                lost,
            )

    def refused_some(self, signal: Signal, count: int) -> None:
        """Note that a receiver took a request but not all of its items; said once for each signal."""
        if signal in self._refusing:
            return
        self._refusing.add(signal)
        logger.warning(
            "%s refuses some %s (%d of the last request); they are counted as lost", self._destination, signal, count
        )

    def reason(self, signal: Signal) -> str:
        """Return why this signal cannot be delivered, empty when it can."""
        return self._failing.get(signal, "")

    def after_fork(self) -> None:
        """Start anew in a forked child: what the parent knows is not the child's experience."""
        self._lock = threading.Lock()
        self._failing = {}
        self._refusing = set()
        self._quiet_until = float("-inf")
        self._is_announced = False
        self._unannounced = self._lost = 0

    def _in_between(self) -> str:
        count, self._unannounced = self._unannounced, 0
        return f" ({count} short outages since the last line)" if count else ""
