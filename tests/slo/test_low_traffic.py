"""Low traffic: when one failure is too much for a window, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sloburn.slo.alerting import PairReading, read_pair
from sloburn.slo.budget import Count
from sloburn.slo.low_traffic import lone_failure_events, low_traffic_now, low_traffic_rule
from sloburn.slo.model import Slo
from tests.promises import span_slo

SLO = span_slo()


def pairs(*totals: int, slo: Slo = SLO) -> list[PairReading]:
    """Return what the windows hold: so many good events in each long one."""
    windows = zip(slo.alerting.windows, totals, strict=True)
    return [read_pair(window, slo.objective, long=Count(total), short=Count()) for window, total in windows]


def test_the_research_table() -> None:
    """At 99.9 % one failure trips a window that holds fewer than 69.4, 166.7, 333.3 and 1000 events."""
    assert [lone_failure_events(window, SLO) for window in SLO.alerting.windows] == [70, 167, 334, 1000]


@pytest.mark.parametrize("objective", ["0.9", "0.99", "0.999", "0.99995"])
def test_the_floor_is_exact(objective: str) -> None:
    """With one event fewer a lone failure is over, with so many it is not."""
    slo = span_slo(objective=objective)
    for window in slo.alerting.windows:
        floor = lone_failure_events(window, slo)
        for total, over in ((floor - 1, True), (floor, False)):
            if total:
                count = Count(total - 1, 1)
                assert read_pair(window, slo.objective, long=count, short=count).over is over


def test_the_rule_in_words() -> None:
    """Whoever writes a document is told the floors and the guard."""
    assert low_traffic_rule(SLO) == (
        "low traffic: below 70 events in 1 h, 167 events in 6 h, 334 events in 1 d, 1,000 events in 3 d one failure "
        "alone would be over; at least 5 bad events are needed"
    )
    assert low_traffic_rule(span_slo(min_bad_events=1)).endswith("min_bad_events lets it fire all the same")
    assert low_traffic_rule(replace(SLO, alerting=replace(SLO.alerting, windows=()))) == ""


def test_traffic_enough_needs_no_words() -> None:
    """Nothing is said of windows that hold enough, or nothing at all."""
    assert low_traffic_now(SLO, pairs(70, 500, 2_000, 6_000)) == ""
    assert low_traffic_now(SLO, pairs(0, 0, 0, 0)) == ""


def test_thin_traffic_in_words() -> None:
    """The first thin window is named with its events and the guard."""
    expected = (
        "only 12 events in the last 1 h, where one failure alone is over below 70; at least 5 bad events are needed"
    )
    assert low_traffic_now(SLO, pairs(12, 80, 300, 900)) == expected


def test_hopeless_traffic_in_words() -> None:
    """Where not even the longest window holds so many events as must be bad, the ways out are named."""
    grouped = replace(SLO, group_by=("tenant",))
    text = low_traffic_now(grouped, pairs(1, 1, 2, 4, slo=grouped))
    assert text.startswith("only 1 event in the last 1 h")
    assert "no window holds 5, so no burn alert can fire, whatever fails: let the groups alert together" in text
    assert "groups alert together" not in low_traffic_now(SLO, pairs(1, 1, 2, 4))


def test_factors_are_not_rounded() -> None:
    """The floor follows the exact factor of a period of 28 days."""
    window = replace(SLO.alerting.windows[0], factor=Fraction("13.44"))
    assert lone_failure_events(window, SLO) == 75
