"""One SLO: why it burns, since when, and what to look at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sloburn.outputs.alert_rows import AlertRow, alert_row, deploy_text
from sloburn.outputs.charts import Chart, draw_chart
from sloburn.outputs.rows import Figure, Row, address, budget_time, group_text, row_of
from sloburn.outputs.standing import Outlook, Standing, by_urgency, outlook_of, standing_of
from sloburn.outputs.wording import NOTHING, TIMES, burn_text, clip, count_text, factor_text, percent_text, window_text
from sloburn.sli.status import FailingTrace, SloState, SloStatus, Snapshot, Suspect
from sloburn.slo.alerting import PairReading
from sloburn.slo.annotation import concerning
from sloburn.slo.budget import Count
from sloburn.slo.low_traffic import low_traffic_now
from sloburn.slo.model import Severity, Slo
from sloburn.slo.naming import group_label
from sloburn.slo.timed import nouns_of, promise_text

_CELL_LIMIT = 200
_MESSAGE_LIMIT = 400
_PROSE_LIMIT = 1_000
_MOST_ATTRIBUTES = 8
_MOST_TRACES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The burn of one look-back.

    Args:
        window: Its length, as people say it.
        stands_for: The document's length where the clock runs faster; empty otherwise.
        burn: The burn rate and the counts behind it.
        place: End of the bar, percent; 50 % is the threshold.
        over: It is above the threshold.
    """

    window: str
    stands_for: str
    burn: Figure
    place: str
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair of windows against its threshold.

    Args:
        severity: What it raises.
        long: Its long look-back.
        short: Its short look-back.
        threshold: Burn that both must be above.
        over: Both are.
        verdict: What that means, in words.
    """

    severity: Severity
    long: Reading
    short: Reading
    threshold: str
    over: bool
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectRow:
    """An attribute value that stands out."""

    key: str
    value: str
    title: str
    bad_share: str
    good_share: str
    lift: str
    bad_place: str
    good_place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """A failing trace.

    Args:
        at_unix_nano: When its span ended.
        trace_id: For looking it up.
        span_id: The same.
        name: The span's name.
        status: Its status.
        cause: Type of its exception; may be empty.
        message: What the exception said; may be empty.
        duration: How long it took; empty for a log record.
        attributes: What else is known and not said by the fields above.
        more: How many attributes are not shown.
    """

    at_unix_nano: int
    trace_id: str
    span_id: str
    name: str
    status: str
    cause: str
    message: str
    duration: str
    attributes: tuple[tuple[str, str], ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Another group of the same SLO."""

    href: str
    text: str
    standing: Standing
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Everything that the page of one SLO shows.

    Args:
        row: Its figures.
        state: What it is since `row.since_unix_nano`; the row's standing may be more urgent.
        outlook: What becomes of the budget.
        description: What is promised, in the words of its document.
        runbook: Address of what to do; empty unless it is an address that a browser may follow.
        runbook_text: The runbook as text where it is no address.
        period: The period that runs.
        period_stands_for: The document's period where the clock runs faster; empty otherwise.
        events: Good and bad events of the period.
        chart: The course of the budget; None before there are two points.
        deploy: Which deploy came shortly before the burn began, in words; empty if none did or nothing burns.
        pairs: The alert pairs.
        nouns: What is counted: one and many.
        promise: Of what a share is promised, in words.
        budget_time: What is left of the budget as time, in words; empty if that is not known.
        min_bad_events: Bad events below which no pair fires.
        early: Why the early page fires, in words; empty unless it does.
        low_traffic: That one failure would be over, and what guards against it; empty while there is traffic enough.
        spoken_for: This group raises no alert of its own: all groups alert together.
        speaks_for_groups: This is the whole of an SLO whose groups alert together.
        alerts: The alerts.
        suspects: What stands out among the bad events.
        failing: The newest failing traces.
        more_failing: How many failing traces are known beside.
        siblings: The groups of the SLO; empty without groups.
        notes: What else must be known.
        last_event_unix_nano: When the newest event ended; 0 if there was none.
    """

    row: Row
    state: SloState
    outlook: Outlook
    description: str
    runbook: str
    runbook_text: str
    period: str
    period_stands_for: str
    events: Count
    chart: Chart | None
    deploy: str
    pairs: tuple[PairRow, ...]
    nouns: tuple[str, str]
    promise: str
    budget_time: str
    min_bad_events: int
    early: str
    low_traffic: str
    spoken_for: bool
    speaks_for_groups: bool
    alerts: tuple[AlertRow, ...]
    suspects: tuple[SuspectRow, ...]
    failing: tuple[TraceRow, ...]
    more_failing: int
    siblings: tuple[Sibling, ...]
    notes: tuple[str, ...]
    last_event_unix_nano: int


def find_status(snapshot: Snapshot, name: str, group: str) -> SloStatus | None:
    """Return the SLO or group with this name and group label; None if there is none."""
    for status in snapshot.statuses:
        if status.slo.name == name and group_label(status.group) == group:
            return status
    return None


def detail_of(snapshot: Snapshot, status: SloStatus) -> Detail:
    """Put one SLO into words, figures and shapes."""
    slo, scale = status.slo, snapshot.time_scale
    followable = slo.runbook.startswith(("https://", "http://"))
    return Detail(
        row=row_of(status),
        state=status.state,
        outlook=outlook_of(status),
        description=clip(slo.description, _PROSE_LIMIT),
        runbook=slo.runbook if followable else "",
        runbook_text="" if followable else clip(slo.runbook, _PROSE_LIMIT),
        period=window_text(slo.period.length_ns),
        period_stands_for=_stands_for(slo.period.length_ns, scale),
        events=status.count,
        chart=draw_chart(status, snapshot.at_unix_nano, concerning(snapshot.annotations, slo.service)),
        deploy=deploy_text(snapshot, status),
        pairs=tuple(pair_row(pair, slo, scale) for pair in status.pairs),
        nouns=nouns_of(slo.indicator),
        promise=clip(promise_text(slo.indicator), _PROSE_LIMIT),
        budget_time=budget_time(status),
        min_bad_events=slo.alerting.min_bad_events,
        early=status.early.text if status.early else "",
        low_traffic=low_traffic_now(slo, status.pairs),
        spoken_for=slo.alerting.together and bool(status.group),
        speaks_for_groups=slo.alerting.together and not status.group,
        alerts=tuple(alert_row(alert, slo.alerting) for alert in status.alerts),
        suspects=tuple(_suspect_row(suspect) for suspect in status.suspects),
        failing=tuple(_trace_row(trace) for trace in status.failing[:_MOST_TRACES]),
        more_failing=max(0, len(status.failing) - _MOST_TRACES),
        siblings=_siblings(snapshot, status),
        notes=tuple(clip(note, _PROSE_LIMIT) for note in status.notes),
        last_event_unix_nano=status.last_event_unix_nano,
    )


def _stands_for(length_ns: int, scale: int) -> str:
    return window_text(length_ns * scale) if scale > 1 else ""


def pair_row(pair: PairReading, slo: Slo, scale: int) -> PairRow:
    """Put a pair of windows beside its threshold."""
    window, nouns = pair.window, nouns_of(slo.indicator)
    return PairRow(
        severity=window.severity,
        long=_reading(window.long_ns, nouns, pair.long, pair.long_burn, window.factor, scale),
        short=_reading(window.short_ns, nouns, pair.short, pair.short_burn, window.factor, scale),
        threshold=factor_text(window.factor),
        over=pair.over,
        verdict=verdict(pair, slo.alerting.min_bad_events, nouns[1]),
    )


def _reading(
    length_ns: int, nouns: tuple[str, str], count: Count, burn: Fraction | None, factor: Fraction, scale: int
) -> Reading:
    title = f"{count.bad:,} bad of {count_text(count.total, *nouns)} in the last {window_text(length_ns)}"
    # r / (1 + r) puts the threshold in the middle of every bar and infinity at its end.
    ratio = burn / factor if burn else Fraction(0)
    return Reading(
        window=window_text(length_ns),
        stands_for=_stands_for(length_ns, scale),
        burn=Figure(text=burn_text(burn), title=title),
        place=f"{float(ratio / (1 + ratio) * 100):.1f}%",
        over=burn is not None and burn > factor,
    )


def verdict(pair: PairReading, min_bad_events: int, events: str = "events") -> str:
    """Say in words where a pair stands and by how much; `events` is what is counted."""
    factor, long_burn, short_burn = pair.window.factor, pair.long_burn, pair.short_burn
    if long_burn is None:
        return f"no {events}"
    if pair.over and short_burn is not None:
        excess = f"{_times(min(long_burn, short_burn) / factor)} the threshold"
        if pair.long.bad < min_bad_events:
            return f"over, but {pair.long.bad} of {min_bad_events} bad {events} needed"
        return f"over: {excess}"
    if long_burn > factor:
        return "short window is silent" if short_burn is None else "easing: short window is below"
    if short_burn is not None and short_burn > factor:
        return f"rising: long window at {percent_text(long_burn / factor, 0)} %"
    return f"below: {percent_text(long_burn / factor, 0)} % of the threshold"


def _times(ratio: Fraction) -> str:
    text = f"{float(ratio):,.0f}" if ratio >= 10 else f"{float(ratio):.2f}" if ratio < 2 else f"{float(ratio):.1f}"
    return f"{text}{TIMES}"


def _suspect_row(suspect: Suspect) -> SuspectRow:
    lift, good = suspect.lift, suspect.good_share
    return SuspectRow(
        key=clip(suspect.key, _CELL_LIMIT),
        value=clip(suspect.value, _CELL_LIMIT),
        title=f"{suspect.count.bad:,} bad and {suspect.count.good:,} good events have it",
        bad_share=percent_text(suspect.bad_share, 0),
        good_share=percent_text(good, 0),
        lift=_times(lift) if lift is not None else "only bad" if good == 0 else NOTHING,
        bad_place=f"{float(suspect.bad_share * 100):.1f}%",
        good_place=f"{float((good or Fraction(0)) * 100):.1f}%",
    )


def _trace_row(trace: FailingTrace) -> TraceRow:
    told = {trace.status, trace.exception, trace.name}
    attributes = [(key, value) for key, value in trace.attributes if value not in told]
    shown = attributes[:_MOST_ATTRIBUTES]
    return TraceRow(
        at_unix_nano=trace.at_unix_nano,
        trace_id=clip(trace.trace_id, _CELL_LIMIT),
        span_id=clip(trace.span_id, _CELL_LIMIT),
        name=clip(trace.name, _CELL_LIMIT),
        status=clip(trace.status, _CELL_LIMIT),
        cause=clip(trace.exception, _CELL_LIMIT),
        message=clip(trace.message, _MESSAGE_LIMIT),
        duration=window_text(trace.duration_ns) if trace.duration_ns else "",  # a log record has none
        attributes=tuple((clip(key, _CELL_LIMIT), clip(value, _CELL_LIMIT)) for key, value in shown),
        more=len(attributes) - len(shown),
    )


def _siblings(snapshot: Snapshot, status: SloStatus) -> tuple[Sibling, ...]:
    if not status.slo.group_by:
        return ()
    groups = [other for other in snapshot.statuses if other.slo.name == status.slo.name]
    return tuple(
        Sibling(
            href=address(other),
            text=group_text(other),
            standing=standing_of(other),
            current=other.group == status.group,
        )
        for other in sorted(by_urgency(groups), key=lambda one: bool(one.group))  # the whole stands first
    )
