"""The early page's test: how soon it knows, what it never takes for an outage, and what it says."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sloburn.duration import HOUR, SECOND
from sloburn.slo.alerting import Alert, AlertState, step
from sloburn.slo.budget import Count
from sloburn.slo.early import (
    FLOOR_SLICES,
    WINDOWS,
    EarlyRule,
    Slice,
    early_rule,
    judge,
    thresholds,
    tolerated_burst,
)
from sloburn.slo.model import Alerting, Severity
from tests.promises import span_slo

LONG = Count(18_000, 0)  # an hour of 5 events a second


def rule(objective: str = "0.999") -> EarlyRule:
    """Return the test of an SLO that asks for an early page."""
    slo = span_slo(objective=objective)
    made = early_rule(replace(slo, alerting=replace(slo.alerting, early_page=True)))
    assert made is not None
    return made


def seconds(*bad: int, per_second: int = 5, history: int = 60) -> list[Slice]:
    """Return a clean minute and then seconds with so many bad events each."""
    counts = [*([0] * history), *bad]
    return [Slice(number, count, max(count, per_second)) for number, count in enumerate(counts)]


@pytest.mark.parametrize("objective", ["0.99", "0.995", "0.999", "0.9999"])
def test_a_total_outage_is_known_within_four_seconds(objective: str) -> None:
    """Four failing seconds at 5 events a second are evidence; three are not, however strict the objective."""
    assert judge(rule(objective), seconds(5, 5, 5), LONG) is None
    assert judge(rule(objective), seconds(5, 5, 5, 5), LONG) is not None


@pytest.mark.parametrize("phase", range(1, 5))
def test_an_outage_may_begin_anywhere_in_a_second(phase: int) -> None:
    """Whatever part of its first second fails, 20 failures in a row are evidence, and that is before 5 s."""
    last = 5 - phase
    assert judge(rule(), seconds(phase, 5, 5, 5, *([last] if last else [])), LONG) is not None


def test_half_an_outage_is_known_within_nine_seconds() -> None:
    """Half of all events failing, second after second, is evidence after nine seconds at 99 %."""
    assert judge(rule("0.99"), seconds(*[10] * 7, per_second=20), LONG) is None
    assert judge(rule("0.99"), seconds(*[10] * 9, per_second=20), LONG) is not None


def test_a_short_blip_never_pages_whatever_its_volume() -> None:
    """Two seconds touch three slices at the most: a retry storm of a million failures in them is no evidence."""
    storm = [*seconds(), Slice(60, 10**6, 10**6), Slice(61, 10**6, 10**6), Slice(62, 10**6, 10**6)]
    assert judge(rule(), storm, LONG) is None


def test_bursts_far_apart_are_noise() -> None:
    """A burst of half a second every quarter of a minute is within what noise may do at 99 %."""
    assert judge(rule("0.99"), seconds(*[10, *[0] * 14] * 4, per_second=20), LONG) is None


def test_the_newest_second_is_not_taken_for_whole() -> None:
    """The newest slice's ratio is of a usual second's events: one early failure in it is not a failing second."""
    begun = [*seconds(5, 5, 5), Slice(63, 1, 1)]
    whole = [*seconds(5, 5, 5), Slice(63, 1, 1), Slice(64, 0, 5)]
    assert judge(rule(), begun, LONG) is None
    assert judge(rule(), whole, LONG) is not None


def test_slow_traffic_needs_failures_one_after_the_other() -> None:
    """At one event a minute single failures are noise; a row of them is an outage: 8 at 99 %, 5 at 99.9 %."""
    for objective, needed in (("0.99", 8), ("0.999", 5)):
        row = [Slice(60 * number, 1, 1) for number in range(needed)]
        assert judge(rule(objective), row[1:], Count(60, 0)) is None
        assert judge(rule(objective), row, Count(60, 0)) is not None


def test_single_failures_side_by_side_count_half() -> None:
    """One burst may touch two neighbouring seconds, so of single events it takes twice as many."""
    beside = [Slice(number, 1, 1) for number in range(5)]
    apart = [Slice(2 * number, 1, 1) for number in range(5)]
    assert judge(rule(), beside, Count(60, 0)) is None
    assert judge(rule(), apart, Count(60, 0)) is not None


def test_a_late_slice_is_judged_in_its_place() -> None:
    """Good events that come late take the evidence away: sums are taken anew from the slices as they are."""
    slices = seconds(5, 5, 5, 5)
    assert judge(rule(), slices, LONG) is not None
    late = [one._replace(total=one.total + 20) if one.bad else one for one in slices]
    assert judge(rule(), late, LONG) is None


def test_it_comes_before_the_workbook_and_never_instead() -> None:
    """Where the workbook's page could never come, at a burn below its factor, neither does the early one."""
    strict = replace(rule("0.9"), allowed_ratio=Fraction(9, 10), thresholds=((64, 1),))
    assert judge(strict, seconds(*[4] * 64, history=0), LONG) is None  # 80 % bad; the clamped factor needs 90 %
    assert judge(strict, seconds(*[5] * 64, history=0), LONG) is not None


def test_too_few_bad_events_never_page() -> None:
    """The SLO's minimum of bad events guards this rule as it guards every other."""
    slo = span_slo(min_bad_events=30)
    careful = early_rule(replace(slo, alerting=replace(slo.alerting, early_page=True)))
    assert careful is not None
    assert judge(careful, seconds(5, 5, 5, 5, 5), LONG) is None
    assert judge(careful, seconds(5, 5, 5, 5, 5, 5), LONG) is not None


def test_words() -> None:
    """Evidence says what was seen and when the workbook's page would come: the 51.84 s of 99.9 % less what is gone."""
    long = Count(18_000 - 20, 20)
    evidence = judge(rule(), seconds(5, 5, 5, 5), long)
    assert evidence is not None
    assert evidence.text == "20 of the last 20 events failed; at this pace 2 % of the budget is gone in 48 s"
    assert (evidence.gone_ns, evidence.span_ns) == (4784 * SECOND // 100, 4 * SECOND)
    gone = judge(rule(), seconds(5, 5, 5, 5), Count(1_000, 20))
    assert gone is not None
    assert gone.text == "20 of the last 20 events failed; 2 % of the budget is gone"


def test_who_asks_for_none_gets_none() -> None:
    """The test is an option, and an SLO without a page has nothing to come before."""
    assert early_rule(span_slo()) is None
    assert early_rule(replace(span_slo(), alerting=Alerting(windows=(), early_page=True))) is None


@pytest.mark.parametrize(
    ("objective", "burst"), [("0.95", "0.5"), ("0.99", "0.52"), ("0.995", "0.63"), ("0.999", "0.88"), ("0.9999", "1")]
)
def test_documented_bursts(objective: str, burst: str) -> None:
    """The longest burst that noise may hold is what the documentation says."""
    assert tolerated_burst(Fraction(objective)) == Fraction(burst)


def test_a_loose_objective_waits_longer() -> None:
    """At 95 % four or five failing seconds may be noise: those windows are left out, not made to fire."""
    assert [size for size, _ in thresholds(Fraction("0.95"))] == list(WINDOWS[2:])
    assert all(needed >= FLOOR_SLICES * 10**6 for _, needed in thresholds(Fraction("0.99999")))


def test_a_page_fires_at_once_and_resolves_with_its_evidence() -> None:
    """Early evidence fires the page without a pair, `for` or not; a ticket is none of its business."""
    alerting = Alerting(windows=(), early_page=True, for_ns=HOUR)
    page, ticket = Alert(severity=Severity.PAGE), Alert(severity=Severity.TICKET)
    fired = step(page, (), alerting, 7, early=True)
    assert (fired.state, fired.fired_unix_nano) == (AlertState.FIRING, 7)
    assert step(fired, (), alerting, 8, early=True) == fired
    assert step(fired, (), alerting, 9).state is AlertState.RESOLVED
    assert step(fired, (), alerting, 9, frozen=True) == fired
    assert step(ticket, (), alerting, 7, early=True) == ticket
