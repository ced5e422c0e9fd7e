"""Where time comes from: the one module that reads the machine's clocks.

Everything else is handed a `Clock`, so tests and replays decide what time it is.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of wall-clock time."""

    def now_unix_nano(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now_unix_nano(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns()


class ManualClock:
    """A clock that stands still until it is moved: for tests and replays.

    Args:
        now_unix_nano: Where it starts, nanoseconds since the epoch.
    """

    def __init__(self, now_unix_nano: int = 0) -> None:
        self._now = now_unix_nano

    def now_unix_nano(self) -> int:
        """Return the time that the clock was last moved to."""
        return self._now

    def advance(self, nanoseconds: int) -> None:
        """Move the clock by so many nanoseconds."""
        self._now += nanoseconds

    def set(self, now_unix_nano: int) -> None:
        """Move the clock to a time, nanoseconds since the epoch."""
        self._now = now_unix_nano


def monotonic() -> float:
    """Return seconds on a clock that never goes back: for timeouts, never for event time."""
    return time.monotonic()
