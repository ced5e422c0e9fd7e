"""Budget alerts: when one fires, when it ends, and that it does not flap."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget import Count, budget_remaining
from sloburn.slo.budget_alerts import alerts_of, budget_text, default_clear, step_budget
from sloburn.slo.model import BudgetLevel, CalendarUnit, Period, Severity, Slo
from tests.promises import span_slo

HALF = BudgetLevel(severity=Severity.TICKET, left=Fraction(1, 2), clear=Fraction(55, 100))
GONE = BudgetLevel(severity=Severity.PAGE, left=Fraction(0), clear=Fraction(5, 100))
SLO = replace(span_slo(), alerting=replace(span_slo().alerting, budget=(HALF, GONE)))
START = alerts_of(SLO.alerting)


def spent(bad: int) -> Count:
    """Return a period of 100,000 events: 100 bad ones spend the budget of 99.9 %."""
    return Count(100_000 - bad, bad)


def course(*bads: int, slo: Slo = SLO) -> list[str]:
    """Return the states of the two budget alerts after each of these periods."""
    alerts, seen = alerts_of(slo.alerting), []
    for now, bad in enumerate(bads, start=1):
        alerts = step_budget(alerts, slo, spent(bad), now)
        seen.append(" ".join(alert.state.value for alert in alerts if alert.left is not None))
    return seen


def test_fires_when_so_little_is_left() -> None:
    """At exactly the share it fires; one bad event less does not."""
    assert course(49, 50, 99, 100) == [
        "inactive inactive",
        "firing inactive",
        "firing inactive",
        "firing firing",
    ]


def test_ends_only_above_the_clearance() -> None:
    """Between the two shares nothing changes, so a budget that trembles around a line does not flap."""
    assert course(50, 49, 50, 45, 44, 49, 50) == [
        "firing inactive",
        "firing inactive",
        "firing inactive",
        "firing inactive",
        "resolved inactive",
        "resolved inactive",
        "firing inactive",
    ]


@given(st.lists(st.integers(min_value=46, max_value=60), min_size=1, max_size=50))
def test_never_flaps_inside_the_band(bads: list[int]) -> None:
    """Whatever a rolling budget does between firing and ending, the alert changes at most once."""
    seen = course(*bads)
    assert sum(one != other for one, other in zip(["inactive inactive", *seen], seen, strict=False)) <= 1


def test_a_few_bad_events_fire_nothing() -> None:
    """A young SLO with four failures has no budget left, and too little evidence: the minimum guards this alert too."""
    few = step_budget(START, SLO, Count(0, 4), 1)
    assert few == START
    assert [alert.state.value for alert in step_budget(START, SLO, Count(0, 5), 1)][2:] == ["firing", "firing"]


def test_no_events_end_nothing_in_a_rolling_period() -> None:
    """No data is not a full budget; only a calendar period that begins anew ends the alert."""
    firing = step_budget(START, SLO, spent(100), 1)
    assert step_budget(firing, SLO, Count(), 2) == firing
    monthly = replace(SLO, period=Period(length_ns=1, unit=CalendarUnit.MONTH))
    states = {alert.state for alert in step_budget(firing, monthly, Count(), 2) if alert.left is not None}
    assert states == {AlertState.RESOLVED}


def test_a_group_of_which_the_period_knows_nothing_is_gone() -> None:
    """Whoever never comes again does not alert for ever: without an event in the period there is no budget to lose."""
    firing = step_budget(START, SLO, spent(100), 1)
    gone = step_budget(firing, replace(SLO, group_by=("tenant",)), Count(), 2)
    assert {alert.state for alert in gone if alert.left is not None} == {AlertState.RESOLVED}


def test_groups_that_alert_together_are_a_whole() -> None:
    """The sum of all groups is no group that is gone: its silence ends nothing."""
    together = replace(SLO, group_by=("tenant",), alerting=replace(SLO.alerting, together=True))
    firing = step_budget(START, together, spent(100), 1)
    assert step_budget(firing, together, Count(), 2) == firing


def test_burn_alerts_are_left_alone() -> None:
    """The burn alert of the same severity has a life of its own."""
    alerts = step_budget(START, SLO, spent(100), 1)
    assert alerts[:2] == START[:2]
    assert [alert.kind for alert in alerts] == ["burn", "burn", "budget-50%", "budget-exhausted"]
    assert [alert.title for alert in alerts][2:] == [
        "ticket: 50 % of the budget left",
        "page: budget exhausted",
    ]


def test_lives_are_taken_over_by_identity() -> None:
    """After a restart an alert goes on where it was; one that nobody asks for is gone, a new one is calm."""
    firing = step_budget(START, SLO, spent(100), 7)
    fewer = replace(SLO.alerting, budget=(replace(GONE, severity=Severity.TICKET), GONE))
    resumed = alerts_of(fewer, firing)
    assert resumed[3] == firing[3]
    assert resumed[2] == Alert(severity=Severity.TICKET, left=Fraction(0))
    assert len(resumed) == 4


def test_the_clearance_is_always_reachable() -> None:
    """Five points more than where it fires, and always less than everything."""
    assert default_clear(Fraction(1, 10)) == Fraction(15, 100)
    assert default_clear(Fraction(98, 100)) == Fraction(99, 100)


def test_words() -> None:
    """What is left is said with the counts behind it."""
    expected = "8.0 % of the budget is left: 92 bad events of 100 that 100,000 events allow"
    assert budget_text(spent(92), SLO, budget_remaining(spent(92), SLO.objective)) == expected
    assert budget_text(Count(), SLO, None) == "no events in the period"
