"""The budget as time, and the time until it is gone, against outages that are played out second by second."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.slo.budget import Count, Growth, budget_remaining, burn_rate, time_to_exhaustion
from sloburn.slo.budget_time import bad_time_left, budget_time_text, outage_left

PERIOD = 3_600  # seconds; a short period is played out as well as a long one
YOUNG = 300  # seconds, likewise


def played(rate: int, spent: int, objective: Fraction, share: Fraction) -> int:
    """Play an outage of steady traffic; return after how many seconds the budget is gone.

    Args:
        rate: Events a second.
        spent: Bad events of the period before, all of them young.
        objective: The SLO's.
        share: Share of events that fail from now on.
    """
    bad_by_second = deque([0] * PERIOD, maxlen=PERIOD)
    bad_by_second[-1] = spent
    for second in range(1, PERIOD):
        bad_by_second.append(int(rate * share))
        if sum(bad_by_second) >= (1 - objective) * rate * PERIOD:
            return second
    return PERIOD


@settings(max_examples=50, deadline=None)
@given(
    rate=st.integers(1, 20).map(lambda n: n * 10),
    objective=st.sampled_from((Fraction(9, 10), Fraction(99, 100), Fraction(95, 100))),
    spent=st.integers(0, 100),
)
def test_an_outage_may_last_as_long_as_is_said(rate: int, objective: Fraction, spent: int) -> None:
    """A total outage at steady traffic spends what is left of the budget in that time, to the second."""
    allowed = int((1 - objective) * rate * PERIOD)
    bad = min(spent, allowed - 1)
    count = Count(rate * PERIOD - bad, bad)
    left = outage_left(count, objective, traffic=Count(rate * 600, 0), over_ns=600 * SECOND)
    assert left is not None
    assert abs(played(rate, bad, objective, Fraction(1)) - left / SECOND) <= 1


@pytest.mark.parametrize("share", [Fraction(1), Fraction(1, 2), Fraction(1, 5)])
def test_time_to_exhaustion_is_true(share: Fraction) -> None:
    """At a steady burn the budget is gone when `time_to_exhaustion` says, what was spent before included."""
    objective, rate, spent = Fraction(9, 10), 10, 1_000
    count = Count(rate * PERIOD - spent, spent)
    remaining, burn = budget_remaining(count, objective), burn_rate(Count(0, 1), objective)
    assert remaining is not None
    assert burn is not None
    told = time_to_exhaustion(remaining, burn * share, PERIOD * SECOND)
    assert told is not None
    assert abs(played(rate, spent, objective, share) - told / SECOND) <= 1


def played_young(
    age: int, count: Count, objective: Fraction, rate: int, share: Fraction, *, calendar: bool
) -> int | None:
    """Play a period that is not over or not full yet; return after how many seconds its budget is gone.

    Args:
        age: Since when it counts, seconds; old events are spread evenly.
        count: Events so far.
        objective: The SLO's.
        rate: Events a second from now on.
        share: Share of them that fail.
        calendar: At its end a new period begins, with nothing in it; a rolling one loses its oldest events instead.
    """
    bad, total = Fraction(count.bad), Fraction(count.total)
    for second in range(1, 20 * YOUNG):
        if calendar and age + second == YOUNG:
            bad = total = Fraction(0)
        if not calendar and age + second > YOUNG:  # as many events leave as come, the good ones first
            bad += total * share / YOUNG
        else:
            bad, total = bad + rate * share, total + rate
        if bad >= (1 - objective) * total:
            return second
    return None


@settings(max_examples=30, deadline=None)
@given(
    age=st.integers(1, YOUNG - 1),
    old_rate=st.integers(1, 30),
    spent=st.integers(0, 99),  # of the budget, percent: one that is gone is not played
    rate=st.integers(1, 30),
    share=st.fractions(Fraction(1, 50), 1, max_denominator=50),
    objective=st.sampled_from((Fraction(9, 10), Fraction(99, 100), Fraction(1, 2))),
    calendar=st.booleans(),
)
def test_time_to_exhaustion_of_a_young_period_is_true(
    age: int, old_rate: int, spent: int, rate: int, share: Fraction, objective: Fraction, *, calendar: bool
) -> None:
    """While nothing leaves the period its budget grows with its events: played out, it is gone when it is told to."""
    total = age * old_rate
    bad = int(total * (1 - objective) * spent / 100)
    count = Count(total - bad, bad)
    growth = Growth(lasts_ns=(YOUNG - age) * SECOND, rate=Fraction(rate, total * SECOND), renews=calendar)
    remaining, burn = budget_remaining(count, objective), share / (1 - objective)
    assert remaining is not None
    told = time_to_exhaustion(remaining, burn, YOUNG * SECOND, growth)
    real = played_young(age, count, objective, rate, share, calendar=calendar)
    if told is None or told >= (20 * YOUNG - 1) * SECOND:
        assert real is None
    else:
        assert real is not None
        assert abs(real - told / SECOND) <= 1 or (real == 1 and told < SECOND)


@settings(max_examples=30, deadline=None)
@given(
    age=st.integers(1, YOUNG - 1),
    old_rate=st.integers(1, 30),
    spent=st.integers(0, 99),
    rate=st.integers(1, 30),
    objective=st.sampled_from((Fraction(9, 10), Fraction(99, 100), Fraction(1, 2))),
    calendar=st.booleans(),
)
def test_an_outage_in_a_young_period_may_last_as_long_as_is_said(
    age: int, old_rate: int, spent: int, rate: int, objective: Fraction, *, calendar: bool
) -> None:
    """While nothing leaves the period an outage's own events let the budget grow: played out, to the second."""
    total = age * old_rate
    bad = int(total * (1 - objective) * spent / 100)
    count, lasts = Count(total - bad, bad), YOUNG - age
    growth = Growth(lasts_ns=lasts * SECOND, rate=Fraction(rate, total * SECOND), renews=calendar)
    told = outage_left(count, objective, traffic=Count(rate * 60, 0), over_ns=60 * SECOND, growth=growth)
    seconds, failed, events = 0, bad, total
    while failed < (1 - objective) * events:
        seconds += 1
        if calendar and seconds == lasts:
            failed = events = 0
        failed, events = failed + rate, events + rate * (seconds <= lasts or calendar)
    assert told is not None
    assert abs(seconds - told / SECOND) <= 1


def test_a_young_budget_goes_soon() -> None:
    """An hour old, half of the budget spent, burning at 2: gone in half an hour, not in a quarter of thirty days."""
    hourly = Growth(lasts_ns=30 * 24 * HOUR - HOUR, rate=Fraction(1, HOUR), renews=False)
    assert time_to_exhaustion(Fraction(1, 2), Fraction(2), 30 * 24 * HOUR, hourly) == HOUR // 2


def test_no_traffic_is_no_answer() -> None:
    """Without traffic nobody can say how long an outage may last; once the budget is gone, no longer at all."""
    assert outage_left(Count(10, 0), Fraction(9, 10), traffic=Count(), over_ns=HOUR) is None
    assert outage_left(Count(0, 10), Fraction(9, 10), traffic=Count(1, 0), over_ns=HOUR) == 0
    assert bad_time_left(Count(), Fraction(9, 10), MINUTE) is None


def test_slices_are_time() -> None:
    """Of 1,000 minutes at 99 % ten may be bad: with three bad ones seven minutes are left."""
    assert bad_time_left(Count(997, 3), Fraction(99, 100), MINUTE) == 7 * MINUTE
    assert bad_time_left(Count(900, 100), Fraction(99, 100), MINUTE) == 0


@pytest.mark.parametrize(
    ("left", "is_time", "text"),
    [
        (252 * SECOND, False, "4 min 12 s of full outage left at the current traffic"),
        (252 * SECOND, True, "4 min 12 s of bad time left"),
        (0, True, "no time left"),
        (None, False, ""),
    ],
)
def test_words(left: int | None, text: str, *, is_time: bool) -> None:
    """It is said in words what is left; nothing is said where nothing is known."""
    assert budget_time_text(left, is_time=is_time) == text
