"""Whether telemetry arrives: the state of every signal, and one log line when it changes."""

from __future__ import annotations

import logging
import mmap
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sloburn.clock import monotonic
from sloburn.sdk.config import Signal

logger = logging.getLogger("sloburn")


# A receiver that answers every other request must not fill the host's log: after an outage was announced, those that
# begin within so many seconds are counted, and announced when they outlast them.
_QUIET_SECONDS = 60.0
_SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_SINCE, _QUIET_UNTIL, _IS_ANNOUNCED, _WAITED, _WAITED_UNTIL, _IS_ANSWERED = range(len(_SIGNALS), len(_SIGNALS) + 6)
# Children write what they leave behind into a row that their number chooses: those that live at one time have numbers
# side by side, and so no two of them write to one place at once.
_FIRST_ROW = 9
_ROWS = (mmap.PAGESIZE // 8 - _FIRST_ROW) // len(_SIGNALS)
# A parent that was waiting for its children ends so soon after the last of them; Celery takes its time.
_SAME_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWait:
    """How long a process has delayed its end for the receiver, a moment ago.

    Args:
        seconds: So long, all of its hooks together.
        is_answered: Whether everything was taken in the end.
    """

    seconds: float
    is_answered: bool


class TreeState:
    """What a process and the ones that are forked from it know together, so that not each of them says it.

    A page of memory that forks share: whether each signal cannot be delivered, since when, until when nothing is said,
    whether the outage was announced, and what was lost with children that ended. Two that announce at once may both
    speak; nothing worse happens.
    """

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
        self._owner = os.getpid()

    def begin(self, signal: Signal, now: float) -> bool:
        """Note that a signal cannot be delivered; tell whether all of them could a moment ago."""
        was_well = not self._is_any_out()
        if was_well:
            self._cells[_SINCE] = now
        self._cells[_SIGNALS.index(signal)] = 1.0
        return was_well

    def should_announce(self, now: float) -> bool:
        """Tell whether to say that there is an outage; the answer is yes once."""
        if self._cells[_IS_ANNOUNCED] or now < self._cells[_QUIET_UNTIL]:
            return False
        self._cells[_QUIET_UNTIL] = now + _QUIET_SECONDS
        self._cells[_IS_ANNOUNCED] = 1.0
        return True

    def end(self, signal: Signal) -> float | None:
        """Note that a signal is delivered; return since when the announced outage lasted that has ended now, if one."""
        self._cells[_SIGNALS.index(signal)] = 0.0
        if self._is_any_out() or not self._cells[_IS_ANNOUNCED]:
            return None
        self._cells[_IS_ANNOUNCED] = 0.0
        return self._cells[_SINCE]

    def leave_behind(self, signal: Signal, count: int) -> None:
        """Note what is lost with this process, for the one that the page belongs to."""
        self._cells[_FIRST_ROW + os.getpid() % _ROWS * len(_SIGNALS) + _SIGNALS.index(signal)] += count

    def left_behind(self, signal: Signal) -> int:
        """Return how many items were lost with forked processes; only the eldest is told, so that they count once."""
        if os.getpid() != self._owner:
            return 0
        return int(sum(self._cells[_FIRST_ROW + _SIGNALS.index(signal) :: len(_SIGNALS)]))

    def note_wait(self, seconds: float, until: float, *, is_answered: bool) -> None:
        """Note how long this process has delayed its end."""
        self._cells[_WAITED], self._cells[_IS_ANSWERED], self._cells[_WAITED_UNTIL] = seconds, is_answered, until

    def last_wait(self, now: float) -> LastWait | None:
        """Return how long another process or this one has just delayed its end; only the eldest comes after others."""
        if os.getpid() != self._owner or now - self._cells[_WAITED_UNTIL] > _SAME_END_SECONDS:
            return None
        return LastWait(seconds=self._cells[_WAITED], is_answered=bool(self._cells[_IS_ANSWERED]))

    def is_out(self, signal: Signal) -> bool:
        """Tell whether somebody could not deliver this signal."""
        return bool(self._cells[_SIGNALS.index(signal)])

    def _is_any_out(self) -> bool:
        return any(map(self.is_out, _SIGNALS))


class ExportHealth:
    """Knows which signals cannot be delivered and speaks only when "all arrive" turns to "some do not" and back.

    Args:
        destination: Where telemetry goes, for the log line.
        now: Seconds on a clock that never goes back and is the same in all processes.
    """

    def __init__(self, *, destination: str, now: Callable[[], float] = monotonic) -> None:
        self._destination = destination
        self._now = now
        self._tree = TreeState()
        self._lock = threading.Lock()
        self._failing: dict[Signal, str] = {}
        self._refusing: set[Signal] = set()
        self._unannounced = 0
        self._lost = 0

    def failed(self, signal: Signal, reason: str, *, is_lost: bool = False) -> None:
        """Note that a request of this signal was not taken.

        Args:
            signal: The signal.
            reason: Why, in words.
            is_lost: Whether trying again is of no use.
        """
        with self._lock:
            self._failing[signal] = reason
            now = self._now()
            is_first = self._tree.begin(signal, now)
            is_told = self._tree.should_announce(now)
            self._unannounced += is_first and not is_told
        if is_told:
            logger.warning(
                "telemetry cannot be delivered to %s (%s: %s): it is %s%s",
                self._destination,
                signal,
                reason,
                "lost, as it is refused for good" if is_lost else "kept up to a bound and tried again",
                self._in_between(),
            )

    def succeeded(self, signal: Signal, *, lost: int) -> None:
        """Note that a request of this signal was taken.

        Args:
            signal: The signal.
            lost: How many items of this signal were lost so far, for the log line.
        """
        if signal not in self._failing and not self._tree.is_out(signal):
            return
        with self._lock:
            self._lost += lost if self._failing.pop(signal, None) is not None else 0
            since = self._tree.end(signal)
            if since is None:
                return
            lost, self._lost = self._lost, 0
        logger.warning(
            "telemetry is delivered to %s again after %.1f s; lost so far: %d items",
            self._destination,
            self._now() - since,
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

    def note_wait(self, seconds: float, until: float, *, is_answered: bool) -> None:
        """Note for the parent process how long this one has delayed its end, until when, and whether it was of use."""
        self._tree.note_wait(seconds, until, is_answered=is_answered)

    def last_wait(self, now: float) -> LastWait | None:
        """Return how long a process of this tree has delayed its end, if one has a moment ago."""
        return self._tree.last_wait(now)

    def leave_behind(self, signal: Signal, count: int) -> None:
        """Note what is lost with this process, which is about to end without a word."""
        self._tree.leave_behind(signal, count)

    def left_behind(self, signal: Signal) -> int:
        """Return how many items were lost with processes that were forked from this one."""
        return self._tree.left_behind(signal)

    def after_fork(self) -> None:
        """Start anew in a forked child: what was said stays said, what the parent met is not the child's experience."""
        self._lock = threading.Lock()
        self._failing = {}
        self._unannounced = self._lost = 0

    def _in_between(self) -> str:
        count, self._unannounced = self._unannounced, 0
        return f" ({count} short outages since the last line)" if count else ""
