"""Counter pairs of many live senders whose part is read a while after the whole: an outage is one, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from sloburn.duration import SECOND
from sloburn.sli.account import MAX_WAITING
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo
from tests.sli.harness import NOW, Bench
from tests.sli.test_pairs import BAD_TOTAL, GOOD_TOTAL, of_sender, point
from tests.telemetry import metric_request

EACH = 10  # events of a sender in an interval
ROUNDS, OUTAGE = 12, range(4, 8)
LAGS = [(10, 2), *product((60, 300), (2, 10, 30, 50))]  # of interval and lag, seconds
LOOK = 10  # seconds


class Fleet:
    """Senders that tell at even distances, and what anybody can know of them.

    Args:
        promise: On the pair of counters.
        senders: How many.
        interval: Of every sender, seconds.
        lag: How long after the whole the part is told, seconds.
    """

    def __init__(self, promise: Slo, senders: int, interval: int, lag: int) -> None:
        self._bench, self._is_bad = Bench(promise), promise is BAD_TOTAL
        self._names = ("started", "failed" if self._is_bad else "done")
        self._interval, self._lag, self._looked = interval, lag, 0
        phases = [sender * interval / senders for sender in range(senders)]
        self.points = sorted(
            (phase + number * interval + lag * is_part, sender, is_part, number)
            for sender, phase in enumerate(phases)
            for number in range(ROUNDS)
            for is_part in (False, True)
        )

    def tell(self, at: float, sender: int, number: int, *, is_part: bool) -> None:
        """Send one counter of one sender."""
        while self._looked < at:
            self._bench.now = NOW + self._looked * SECOND
            self._bench.engine.apply(self._bench.engine.judge(self._bench.now))
            self._looked += LOOK
        self._bench.now = NOW + int(at * SECOND)
        value = self._part(number) if is_part else EACH * (number + 1)
        self._bench.metrics(of_sender(metric_request(self._names[is_part], [point(value, int(at))]), sender))

    def _part(self, number: int) -> int:
        return EACH * sum((one in OUTAGE) == self._is_bad for one in range(number + 1))

    def told(self, at: float, *, since: float = 0) -> Count:
        """Return what those intervals hold that were told whole until a moment."""
        numbers = [number for when, _, is_part, number in self.points if is_part and when <= at - since]
        bad = EACH * sum(number in OUTAGE for number in numbers)
        return Count(EACH * len(numbers) - bad, bad)

    def counted(self) -> Count:
        """Return all events ever counted."""
        return self._bench.status().lifetime


@pytest.mark.parametrize(("interval", "lag"), LAGS)
@pytest.mark.parametrize("senders", [5, 20])
@pytest.mark.parametrize("promise", [BAD_TOTAL, GOOD_TOTAL], ids=["bad", "good"])
def test_an_outage_is_what_it_is_all_the_time(promise: Slo, senders: int, interval: int, lag: int) -> None:
    """At every moment nothing is called bad that was not, and failures count an interval after they were told."""
    fleet = Fleet(promise, senders, interval, lag)
    for at, sender, is_part, number in fleet.points:
        fleet.tell(at, sender, number, is_part=is_part)
        if sender or not is_part:
            continue
        counted, late = fleet.counted(), fleet.told(at, since=interval)
        assert late.bad <= counted.bad <= fleet.told(at).bad
        assert late.total <= counted.total
    assert fleet.counted() == fleet.told(at)


@pytest.mark.parametrize("promise", [BAD_TOTAL, GOOD_TOTAL], ids=["bad", "good"])
def test_of_more_senders_than_are_known_too(promise: Slo) -> None:
    """The same for a fleet that is larger than the number of senders whose leftovers are known."""
    fleet = Fleet(promise, MAX_WAITING + 20, 60, 30)
    for at, sender, is_part, number in fleet.points:
        if at > OUTAGE[2] * 60:
            break
        fleet.tell(at, sender, number, is_part=is_part)
    counted = fleet.counted()
    assert fleet.told(at, since=60).bad <= counted.bad <= fleet.told(at).bad
    assert fleet.told(at, since=60).total <= counted.total
