"""Ctrl-C, SIGTERM and SIGHUP: noticed at the next wait, never in the middle of starting or stopping a process."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from sloburn.clock import monotonic

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_NAP_SECONDS = 0.1

Found = TypeVar("Found")


class Interrupted(Exception):
    """The user wants the demo to end."""


class TooLate(Exception):
    """What was waited for did not happen in time."""


class Interrupt:
    """A flag that signals set and that every wait of the demo looks at."""

    def __init__(self) -> None:
        self._caught = False

    def catch(self) -> None:
        """Take over the signals."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    @property
    def caught(self) -> bool:
        """Whether a signal came."""
        return self._caught

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Interrupted: A signal came before or meanwhile.
        """
        until = monotonic() + seconds
        while not self._caught:
            rest = until - monotonic()
            if rest <= 0:
                return
            time.sleep(min(rest, LONGEST_NAP_SECONDS))
        raise Interrupted

    def wait_for(self, look: Callable[[], Found | None], seconds: float) -> Found:
        """Look again and again until there is something to see, and return it.

        Raises:
            TooLate: There was nothing within the seconds.
            Interrupted: A signal came.
        """
        until = monotonic() + seconds
        while monotonic() < until:
            found = look()
            if found is not None:
                return found
            self.pause(LONGEST_NAP_SECONDS)
        raise TooLate

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._caught = True
