"""A series at one moment: every look-back, the alerts, the state. Only what changed is worked out anew."""

from __future__ import annotations

from sloburn.sli.autopsy import Findings
from sloburn.sli.course import Course, take_course
from sloburn.sli.incomplete import Missed
from sloburn.sli.leads import lead_note
from sloburn.sli.live import Counts, LiveStatus, read_pairs
from sloburn.sli.sampled import guarded, sampling_notes, weight_at
from sloburn.sli.series import Series, look_back_ns
from sloburn.sli.shape import Pair
from sloburn.sli.status import SloState, SloStatus
from sloburn.slo.alerting import Alert, AlertState, step
from sloburn.slo.budget import Count, error_budget
from sloburn.slo.budget_alerts import step_budget
from sloburn.slo.exclusions import Interval, excluded
from sloburn.slo.model import Severity

_TURNS = 16


def evaluate(
    series: Series,
    now: int,
    heard_unix_nano: int,
    findings: Findings,
    *,
    course_every_ns: int,
    missed: Missed | None,
    clock_lead_ns: int = 0,
) -> SloStatus:
    """Move a series to `now` and return its status.

    Args:
        series: What is evaluated; its alerts and state move.
        now: Nanoseconds since the epoch.
        heard_unix_nano: When the service last sent anything; 0 if it never did.
        findings: What the service's autopsy knows.
        course_every_ns: How old the budget's course may be, nanoseconds.
        missed: The most events of the series that were lost on their way; None for none.
        clock_lead_ns: How far the clock of the service's senders is ahead of ours, nanoseconds.
    """
    shape = series.shape
    moved = series.ledger.move(shape.look_backs.at(now))
    silent = now - heard_unix_nano > shape.quiet_ns
    waiting = any(alert.state is AlertState.PENDING for alert in series.alerts)
    same = series.status is not None and series.status.clock_lead_ns == clock_lead_ns
    if series.status and same and not (moved or waiting or series.is_changed or silent is not series.is_silent):
        return series.status
    counts, odds = _counts(series, now)
    if not silent:
        _step(series, counts, odds, now)
    _enter(series, _state(series, odds, silent=silent), now)
    series.is_changed, series.is_silent = False, silent
    course = _course(series, counts, now, course_every_ns)
    series.status = _status(series, now, counts, odds, findings, course, missed, clock_lead_ns)
    return series.status


def _status(
    series: Series,
    now: int,
    counts: Counts,
    odds: Counts,
    findings: Findings,
    course: Course,
    missed: Missed | None,
    clock_lead_ns: int,
) -> LiveStatus:
    """Freeze what a series is now."""
    ledger, blend = series.ledger, series.blend
    source = series.source or series  # what is known of single events
    return LiveStatus(
        slo=guarded(series, now),
        group=series.key.group,
        shape=series.shape,
        counts=counts,
        odds=odds,
        lifetime=blend.lifetime() if blend else (ledger.good, ledger.bad),
        state=series.state,
        since_unix_nano=series.state_since_unix_nano,
        alerts=series.alerts,
        evidence=source.failing,
        findings=findings,
        number=source.number,
        course=course,
        last_event_unix_nano=blend.last_unix_nano() if blend else source.ledger.last_unix_nano,
        notes=(*series.slo.alerting.notes, *_fresh_notes(series, now), *_lead_notes(series, clock_lead_ns)),
        clock_lead_ns=clock_lead_ns,
        early=series.early.evidence if series.early else None,
        missed=missed,
        votes=blend.votes() if blend and missed else (),
        now=now,
        first_unix_nano=ledger.first_unix_nano,
    )


def _counts(series: Series, now: int) -> tuple[Counts, Counts]:
    """Return the events of every look-back, and what burn rates are made of: the same unless events are weighted."""
    reaches, exclusions = series.ledger.reaches, series.slo.exclusions
    hidden: tuple[Interval, ...] = ()
    if exclusions:
        begin = min(reach.first * reach.ring.tier.slice_ns for reach in reaches)
        hidden = excluded(exclusions, begin, now)
    if series.blend is not None:
        return series.blend.read(tuple((reach.first, reach.last) for reach in reaches), hidden)
    if not exclusions:
        counts = tuple([(reach.good, reach.bad) for reach in reaches])
    else:
        counts = tuple([reach.counts(hidden) for reach in reaches])
    return counts, counts


def _course(series: Series, counts: Counts, now: int, every_ns: int) -> Course:
    """Return the budget's course, taken anew if it is too old; not that of all series at once.

    Where events are counted there is a course: one that was taken before the first of them is not kept until its turn.
    """
    turn = (now + series.number % _TURNS * every_ns // _TURNS) // every_ns
    course = series.course
    if course is None or turn != series.course_turn or (course.is_empty and any(counts[-1])):
        begin = series.shape.look_backs.begin
        budget = error_budget(series.slo.objective)
        hidden = excluded(series.slo.exclusions, begin, now)
        if series.blend is not None:
            course = series.blend.course(begin, now, budget=budget, excluded=hidden)
        else:
            course = take_course(series.ledger, begin, now, allowed=budget * sum(counts[-1]), excluded=hidden)
        series.course, series.course_turn = course, turn
    return course


def _step(series: Series, counts: Counts, odds: Counts, now: int) -> None:
    """Move the alerts; the machine itself is asked only where something can happen."""
    bad = counts[-1][1]
    if series.shape.levels and _may_budget_move(series, odds[-1], bad):
        series.alerts = step_budget(series.alerts, guarded(series, now), Count(*odds[-1]), now, bad=bad)
    over: set[Severity] = set()
    undecided: set[Severity] = set()
    for pair in series.shape.pairs:
        if _is_above(pair, odds[pair.long]):
            if _is_above(pair, odds[pair.short]):
                over.add(pair.severity)
            elif odds[pair.short] == (0, 0):
                undecided.add(pair.severity)
    early = _is_early(series, counts, now)
    if early:
        over.add(Severity.PAGE)
    if not any(_may_move(alert, over, undecided) for alert in series.alerts if alert.left is None):
        return
    pairs, alerting = read_pairs(series.slo, series.shape, counts, odds), guarded(series, now).alerting
    series.alerts = tuple(
        step(alert, pairs, alerting, now, early=early) if alert.left is None else alert for alert in series.alerts
    )


def _may_budget_move(series: Series, odds: tuple[int, int], bad_events: int) -> bool:
    """Tell whether a budget alert can become something else; see `sloburn.slo.budget_alerts`."""
    good, bad = odds
    total, is_enough = good + bad, bad_events >= max(1, series.slo.alerting.min_bad_events)
    budget_alerts = series.alerts[-len(series.shape.levels) :]  # the burn alerts come first
    for alert, level in zip(budget_alerts, series.shape.levels, strict=False):
        if alert.state is AlertState.FIRING:
            if not total or bad * level.clear_denominator < total * level.clear_numerator:
                return True
        elif is_enough and bad * level.denominator >= total * level.numerator:
            return True
    return False


def _is_early(series: Series, counts: Counts, now: int) -> bool:
    """Tell whether noise cannot explain what the newest seconds hold."""
    watch = series.early
    if watch is None or not series.alerts:
        return False
    if weight_at(series, now) > 1:  # the test's bound holds for events that come one by one
        watch.evidence = None
        return False
    page = (Severity.PAGE, None)
    firing = any(alert.identity == page and alert.state is AlertState.FIRING for alert in series.alerts)
    long = counts[series.shape.look_backs.lengths.index(watch.rule.long_ns)]
    hidden = excluded(series.slo.exclusions, now - watch.rule.long_ns, now) if series.slo.exclusions else ()
    return watch.look(series.ledger, Count(*long), now, firing=firing, hidden=hidden) is not None


def _may_move(alert: Alert, over: set[Severity], undecided: set[Severity]) -> bool:
    """Tell whether the alert can become something else; see `sloburn.slo.alerting.step`."""
    if alert.state is AlertState.FIRING:
        return alert.severity not in over and alert.severity not in undecided
    return alert.state is AlertState.PENDING or alert.severity in over


def _is_above(pair: Pair, count: tuple[int, int]) -> bool:
    """Tell whether the burn rate is strictly above the factor; exact, and never without events."""
    good, bad = count
    return bad * pair.denominator > (good + bad) * pair.numerator


def _fresh_notes(series: Series, now: int) -> list[str]:
    """Return what was true a short while ago: a note goes when its cause does."""
    fresh = [note for note, at in series.notes.items() if now - at <= look_back_ns(series.slo)]
    return [*fresh, *sampling_notes(series, now)]


def _lead_notes(series: Series, lead_ns: int) -> tuple[str, ...]:
    return (lead_note(series.slo.service, lead_ns),) if lead_ns else ()


def _state(series: Series, counts: Counts, *, silent: bool) -> SloState:
    if silent:
        return SloState.NO_DATA
    if any(alert.left is None and alert.state is AlertState.FIRING for alert in series.alerts):
        return SloState.BURNING
    shape = series.shape
    good, bad = counts[-1]
    if not good + bad:
        return SloState.NO_TRAFFIC
    if bad * shape.budget_denominator >= (good + bad) * shape.budget_numerator:
        return SloState.EXHAUSTED
    if shape.pairs and counts[shape.pairs[0].short] == (0, 0):
        return SloState.NO_TRAFFIC
    return SloState.OK


def _enter(series: Series, state: SloState, now: int) -> None:
    if state is not series.state or not series.state_since_unix_nano:
        series.state, series.state_since_unix_nano = state, now
