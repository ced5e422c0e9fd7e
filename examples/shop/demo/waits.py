"""How long the pieces had to wait: what a machine that is busy with other things adds to every figure of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sloburn.duration import MILLISECOND

PROCESSES = Path("/proc")
USUAL_NS = 200 * MILLISECOND  # from one look to the next, where nothing is in the way


def waited_ns(pids: Sequence[int], processes: Path = PROCESSES) -> int:
    """Return how long all threads of the processes have waited for a core so far, nanoseconds.

    The second number of ``schedstat`` (Documentation/scheduler/sched-stats.rst); 0 where the system does not keep it.
    """
    return sum(_waited_ns(thread) for pid in pids for thread in (processes / str(pid) / "task").glob("*"))


def _waited_ns(thread: Path) -> int:
    try:
        return int((thread / "schedstat").read_text().split()[1])
    except (OSError, IndexError):  # it ended meanwhile, or the system has no such file
        return 0


class Waits:
    """A record of how the waiting grew, for somebody who looks again and again.

    A look that comes late is waiting as well: where the machine or its disk stands still, nobody waits for a core.

    Args:
        total_ns: Returns all waiting for a core so far, nanoseconds.
        now_unix_nano: Returns the time, nanoseconds since the epoch.
    """

    def __init__(self, total_ns: Callable[[], int], now_unix_nano: Callable[[], int]) -> None:
        self._total_ns = total_ns
        self._now = now_unix_nano
        self._seen: list[tuple[int, int]] = []
        self._late_ns = 0

    def look(self) -> None:
        """Note how much it is now."""
        now = self._now()
        self._late_ns += max(0, now - self._seen[-1][0] - USUAL_NS) if self._seen else 0
        self._seen.append((now, self._total_ns() + self._late_ns))

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> int:
        """Return the waiting from the last look before the begin to the first after the end, nanoseconds."""
        before = [total for at, total in self._seen if at <= begin_unix_nano] or [self._seen[0][1]]
        after = [total for at, total in self._seen if at >= end_unix_nano] or [self._seen[-1][1]]
        return max(0, after[0] - before[-1])
