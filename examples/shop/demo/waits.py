"""How long the pieces had to wait: what a machine that is busy with other things adds to every figure of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sloburn.duration import MILLISECOND, SECOND

PROCESSES = Path("/proc")
NAP_NS = 100 * MILLISECOND


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
    """A record of how the waiting grew, kept by naps in a thread of its own, whatever everybody else does meanwhile.

    A nap that ends late is waiting as well: where the whole machine stands still, nobody waits for a core. How long
    anybody takes to answer is none of it. Many threads may wait at once; more than the time that passed nobody waited.

    Args:
        total_ns: Returns all waiting for a core so far, nanoseconds.
        now_unix_nano: Returns the time, nanoseconds since the epoch.
        sleep: Lets seconds pass.
    """

    def __init__(
        self, total_ns: Callable[[], int], now_unix_nano: Callable[[], int], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._total_ns = total_ns
        self._now = now_unix_nano
        self._sleep = sleep
        self._total = total_ns()
        self._seen = [(now_unix_nano(), 0)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.nap()

    def nap(self) -> None:
        """Sleep for a moment, and note how late it ended and who waited meanwhile."""
        asleep = self._now()
        self._sleep(NAP_NS / SECOND)
        awake, total = self._now(), self._total_ns()
        waited = max(0, awake - asleep - NAP_NS) + max(0, total - self._total)
        before, so_far = self._seen[-1]
        self._seen.append((awake, so_far + min(awake - before, waited)))
        self._total = total

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> int:
        """Return the waiting in the naps that touch the time, at most as long as that is, nanoseconds."""
        before = [waited for at, waited in self._seen if at <= begin_unix_nano] or [0]
        after = [waited for at, waited in self._seen if at >= end_unix_nano] or [self._seen[-1][1]]
        return max(0, min(after[0] - before[-1], end_unix_nano - begin_unix_nano))
