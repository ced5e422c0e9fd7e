"""What the demo takes off its figures: how long a busy machine let the pieces wait, and nothing that is theirs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from examples.shop.demo.processes import Crew
from examples.shop.demo.waits import NAP_NS, Waits, waited_ns

from sloburn.duration import SECOND
from tests.scenarios.test_shop import wait_for

SPINNING = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not say who waits for a core")
def test_waiting_for_a_core_is_seen(tmp_path: Path) -> None:
    """Of two processes that want one core each waits for the other, and that is counted."""
    crew = Crew(tmp_path, os.environ)
    pids = [crew.start(f"spinning-{number}", [sys.executable, "-c", SPINNING]).process.pid for number in range(2)]
    try:
        wait_for(lambda: True if waited_ns(pids) > SECOND // 5 else None, "they wait for each other")
    finally:
        crew.stop()

    assert waited_ns(pids) == 0


class Machine:
    """A double of machine and clock: each nap takes as long as planned, and somebody waits for a core meanwhile.

    Args:
        naps: How long each takes and how much longer all have waited for a core after it, nanoseconds.
    """

    def __init__(self, *naps: tuple[int, int]) -> None:
        self.now = self.total = 0
        self._naps = iter(naps)
        self.waits = Waits(lambda: self.total, lambda: self.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        assert seconds == NAP_NS / SECOND
        took, waited = next(self._naps)
        self.now += took
        self.total += waited

    def nap(self, answer_ns: int = 0) -> None:
        """Nap, after an answer that took so long."""
        self.now += answer_ns
        self.waits.nap()


def test_waiting_is_that_of_a_time() -> None:
    """What counts is how late the naps ended and the wait for a core, in the naps that touch the time."""
    machine = Machine((NAP_NS, 100), (NAP_NS, 30), (NAP_NS + 50, 7), (NAP_NS, 500))
    for _ in range(4):
        machine.nap()

    assert machine.waits.between(NAP_NS + 5, 3 * NAP_NS) == 30 + 57
    assert machine.waits.between(0, 9 * NAP_NS) == 100 + 30 + 57 + 500


def test_nobody_waited_longer_than_time_passed() -> None:
    """Twenty threads that wait for a second, in naps that end late, withhold a second; of less time all of it."""
    machine = Machine((NAP_NS, 0), (SECOND, 20 * SECOND), (NAP_NS, 0))
    for _ in range(3):
        machine.nap()

    assert machine.waits.between(0, 10 * SECOND) == SECOND
    assert machine.waits.between(NAP_NS + 10, NAP_NS + 30) == 20
    assert machine.waits.between(30, 10) == 0


def test_a_slow_answer_is_no_waiting() -> None:
    """Where naps end in time, and nobody waits for a core, a processor that takes seconds has itself to blame."""
    machine = Machine(*[(NAP_NS, 0)] * 5)
    for _ in range(5):
        machine.nap(answer_ns=3 * SECOND)

    assert machine.waits.between(0, machine.now) == 0


def test_waiting_is_watched_meanwhile() -> None:
    """The naps go on by themselves, and the last one ends after what was watched."""
    asked: list[int] = []

    def total() -> int:
        asked.append(time.time_ns())
        return len(asked)

    with Waits(total, time.time_ns) as waits:
        begin = time.time_ns()
        wait_for(lambda: len(asked) > 3 or None, "some naps are over")
        end = time.time_ns()

    assert 0 < waits.between(begin, end) <= end - begin
