"""Budget arithmetic against the numbers of The Site Reliability Workbook, chapter 5."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.slo.budget import (
    Count,
    budget_remaining,
    burn_factor,
    burn_rate,
    is_reachable,
    sli,
    time_to_detect,
    time_to_exhaustion,
)
from sloburn.slo.catalog import workbook_windows
from sloburn.slo.model import Period, Severity

THREE_NINES = Fraction("0.999")


def test_no_events_are_not_a_hundred_percent() -> None:
    """Without events there is no SLI, no burn rate and no budget left."""
    assert (sli(Count()), burn_rate(Count(), THREE_NINES), budget_remaining(Count(), THREE_NINES)) == (None, None, None)


def test_windows_are_ratios_of_sums() -> None:
    """Six bad of ten, then one bad of 102: the ratio weighs requests (0.0625), it is no mean of ratios (0.3049)."""
    assert burn_rate(Count(4, 6) + Count(101, 1), Fraction(1, 2)) == Fraction(7, 112) * 2


@pytest.mark.parametrize(
    ("period", "factors"),
    [
        (30 * DAY, ["14.4", "6", "3", "1"]),
        (28 * DAY, ["13.44", "5.6", "2.8", str(Fraction(14, 15))]),
    ],
)
def test_workbook_factors(period: int, factors: list[str]) -> None:
    """The factor of a window is budget share x period / long window, exactly."""
    windows = workbook_windows(Period(length_ns=period))
    assert [window.factor for window in windows] == [Fraction(factor) for factor in factors]


def test_workbook_windows_and_severities() -> None:
    """The table is 1h+5m and 6h+30m for pages, 1d+2h and 3d+6h for tickets."""
    rows = [(w.severity, w.long_ns, w.short_ns) for w in workbook_windows(Period(length_ns=30 * DAY))]
    assert rows == [
        (Severity.PAGE, HOUR, 5 * MINUTE),
        (Severity.PAGE, 6 * HOUR, 30 * MINUTE),
        (Severity.TICKET, DAY, 2 * HOUR),
        (Severity.TICKET, 3 * DAY, 6 * HOUR),
    ]


def test_windows_longer_than_the_period_are_left_out() -> None:
    """A period of a day has no 3d window."""
    assert [w.long_ns for w in workbook_windows(Period(length_ns=DAY))] == [HOUR, 6 * HOUR, DAY]


@pytest.mark.parametrize(
    ("objective", "seconds"),
    [
        ("0.95", [2592, 6480, 12960, 12960]),
        ("0.99", ["518.4", 1296, 2592, 2592]),
        ("0.999", ["51.84", "129.6", "259.2", "259.2"]),
        ("0.9999", ["5.184", "12.96", "25.92", "25.92"]),
    ],
)
def test_time_to_detect_a_total_outage(objective: str, seconds: list[str | int]) -> None:
    """A total outage is detected after factor x error budget x long window."""
    found = [
        time_to_detect(w.factor, Fraction(objective), w.long_ns) for w in workbook_windows(Period(length_ns=30 * DAY))
    ]
    assert found == [Fraction(second) * SECOND for second in seconds]


def test_time_to_detect_of_a_partial_outage() -> None:
    """Ten percent of errors at 99.9 % take ten times as long: 8 min 38.4 s."""
    found = time_to_detect(Fraction("14.4"), THREE_NINES, HOUR, Fraction(1, 10))
    assert found == Fraction("518.4") * SECOND


def test_an_unreachable_factor_is_never_detected() -> None:
    """At 90 % a total outage burns 10x, so 14.4x can never fire."""
    assert not is_reachable(Fraction("14.4"), Fraction("0.9"))
    assert time_to_detect(Fraction("14.4"), Fraction("0.9"), HOUR) is None


def test_burn_factor_of_a_week() -> None:
    """8 % of a week's budget in an hour is 13.44x."""
    assert burn_factor(Fraction(8, 100), 7 * DAY, HOUR) == Fraction("13.44")


def test_time_to_exhaustion_counts_what_is_spent() -> None:
    """Half the budget left at burn 2 lasts a quarter of the period; an overspent budget lasts no time."""
    assert time_to_exhaustion(Fraction(1, 2), Fraction(2), 28 * DAY) == 7 * DAY
    assert time_to_exhaustion(Fraction(-1), Fraction(2), 28 * DAY) == 0
    assert time_to_exhaustion(Fraction(1), Fraction(0), 28 * DAY) is None


def test_an_overspent_budget_is_negative() -> None:
    """Two bad events of a thousand at 99.9 % spend the budget twice."""
    assert budget_remaining(Count(998, 2), THREE_NINES) == -1
