"""The burn-rate alert machine, state by state."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sloburn.duration import HOUR, MINUTE
from sloburn.slo.alerting import Alert, AlertState, PairReading, read_pair, step
from sloburn.slo.budget import Count
from sloburn.slo.model import Alerting, Severity, Window

OBJECTIVE = Fraction("0.999")
WINDOW = Window(severity=Severity.PAGE, long_ns=HOUR, short_ns=5 * MINUTE, factor=Fraction("14.4"))
ALERTING = Alerting(windows=(WINDOW,), min_bad_events=5)
CALM = Alert(severity=Severity.PAGE)

HEALTHY = Count(1000, 0)
BROKEN = Count(900, 100)


def reading(long: Count, short: Count) -> PairReading:
    """Put two counts into the pair."""
    return read_pair(WINDOW, OBJECTIVE, long=long, short=short)


def test_fires_when_both_windows_are_over() -> None:
    """A pair over its factor in both windows fires at once: the windows make a `for` unnecessary."""
    alert = step(CALM, (reading(BROKEN, BROKEN),), ALERTING, 7)
    expected = Alert(
        severity=Severity.PAGE, state=AlertState.FIRING, since_unix_nano=7, pending_unix_nano=7, fired_unix_nano=7
    )
    assert alert == expected


def test_one_window_is_not_enough() -> None:
    """A burn that is over, or one that only just began, does not fire."""
    assert step(CALM, (reading(BROKEN, HEALTHY),), ALERTING, 7) == CALM
    assert step(CALM, (reading(HEALTHY, BROKEN),), ALERTING, 7) == CALM


def test_compares_strictly_and_exactly() -> None:
    """A burn of exactly 14.4 is not over 14.4; one event more is."""
    at_factor = Count(10_000 - 144, 144)
    assert not reading(at_factor, at_factor).over
    above = Count(10_000 - 145, 145)
    assert reading(above, above).over


def test_one_error_never_pages() -> None:
    """Fewer bad events than the minimum only make an alert pending, however high the burn."""
    few = Count(0, 4)
    alert = step(CALM, (reading(few, few),), ALERTING, 7)
    assert (alert.state, alert.pending_unix_nano) == (AlertState.PENDING, 7)
    assert step(alert, (reading(Count(0, 5), few),), ALERTING, 8).state is AlertState.FIRING


def test_waits_for_the_time_it_is_told() -> None:
    """With `for`, a pair must stay over so long before it fires."""
    patient = replace(ALERTING, for_ns=10)
    alert = step(CALM, (reading(BROKEN, BROKEN),), patient, 100)
    assert alert.state is AlertState.PENDING
    assert step(alert, (reading(BROKEN, BROKEN),), patient, 109).state is AlertState.PENDING
    assert step(alert, (reading(BROKEN, BROKEN),), patient, 110).state is AlertState.FIRING


def test_pending_that_passes_leaves_no_trace() -> None:
    """A pending alert whose condition ends is inactive again."""
    alert = step(CALM, (reading(Count(0, 1), Count(0, 1)),), ALERTING, 7)
    assert step(alert, (reading(HEALTHY, HEALTHY),), ALERTING, 8).state is AlertState.INACTIVE


def test_resolves_when_the_short_window_clears() -> None:
    """A firing alert resolves as soon as the short window is below the factor, though the long one is still over."""
    firing = step(CALM, (reading(BROKEN, BROKEN),), ALERTING, 7)
    resolved = step(firing, (reading(BROKEN, HEALTHY),), ALERTING, 9)
    assert (resolved.state, resolved.resolved_unix_nano, resolved.fired_unix_nano) == (AlertState.RESOLVED, 9, 7)


def test_an_empty_short_window_does_not_resolve() -> None:
    """0/0 is no evidence that the trouble ended: the alert stays while the long window is over."""
    firing = step(CALM, (reading(BROKEN, BROKEN),), ALERTING, 7)
    assert step(firing, (reading(BROKEN, Count()),), ALERTING, 9) == firing
    assert step(firing, (reading(Count(), Count()),), ALERTING, 9).state is AlertState.RESOLVED


def test_no_data_freezes() -> None:
    """Without data an alert neither fires nor resolves."""
    firing = step(CALM, (reading(BROKEN, BROKEN),), ALERTING, 7)
    assert step(firing, (reading(HEALTHY, HEALTHY),), ALERTING, 9, frozen=True) == firing
    assert step(CALM, (reading(BROKEN, BROKEN),), ALERTING, 9, frozen=True) == CALM


def test_fires_again_after_it_resolved() -> None:
    """A second burn fires the same alert again and keeps when it last resolved."""
    firing = step(CALM, (reading(BROKEN, BROKEN),), ALERTING, 7)
    resolved = step(firing, (reading(BROKEN, HEALTHY),), ALERTING, 9)
    again = step(resolved, (reading(BROKEN, BROKEN),), ALERTING, 11)
    assert (again.state, again.fired_unix_nano, again.resolved_unix_nano) == (AlertState.FIRING, 11, 9)


def test_pairs_of_other_severities_do_not_count() -> None:
    """A ticket is not raised by the pair of a page."""
    ticket = Alert(severity=Severity.TICKET)
    assert step(ticket, (reading(BROKEN, BROKEN),), ALERTING, 7) == ticket
