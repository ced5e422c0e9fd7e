"""The list: every SLO as a row, in the words and figures that the page shows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2s
from urllib.parse import quote

from sloburn.outputs.charts import Spark, draw_spark
from sloburn.outputs.standing import Standing, burns, by_urgency, fires, standing_of
from sloburn.outputs.wording import (
    NOTHING,
    burn_text,
    clip,
    count_text,
    decimal_text,
    objective_text,
    percent_text,
    sli_digits,
    window_text,
)
from sloburn.sli.status import SloStatus, Snapshot, Suspect
from sloburn.slo.alerting import AlertState, share_text
from sloburn.slo.budget_time import budget_time_text
from sloburn.slo.model import Severity, WeightedIndicator
from sloburn.slo.naming import group_label
from sloburn.slo.timed import nouns_of, slice_ns_of

_TEXT_LIMIT = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number for people.

    Args:
        text: The number.
        title: The exact value and the raw counts behind it, for hovering.
        unit: What is written small behind the number.
    """

    text: str
    title: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetBar:
    """What is left of the budget.

    Args:
        figure: The number.
        left: Filled part of the bar, percent of its length.
        overspent: More than the budget is spent.
        known: There were events.
    """

    figure: Figure
    left: str
    overspent: bool
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One SLO or group.

    Args:
        key: Stable name of the row in the page.
        href: The address of its page.
        standing: How urgent it is.
        name: The SLO's.
        service: The SLO's.
        group: Names and values, cut to what a row can hold.
        sli: Good share of the period.
        objective: What was promised, percent.
        budget: What is left.
        burn: Burn of the first long window, whose length is `burn_window`.
        burn_window: As people say it.
        gone: When the budget is gone at this pace.
        spark: The course of the budget.
        because: What stands out among the bad events; empty if nothing does.
        trace_id: The newest failing trace while it burns; empty otherwise.
        remark: What else a row must say, for instance that a page is frozen.
        since_unix_nano: Since when it is in its state.
    """

    key: str
    href: str
    standing: Standing
    name: str
    service: str
    group: str
    sli: Figure
    objective: str
    budget: BudgetBar
    burn: Figure
    burn_window: str
    gone: Figure
    spark: Spark | None
    because: str
    trace_id: str
    remark: str
    since_unix_nano: int


def list_rows(snapshot: Snapshot) -> tuple[Row, ...]:
    """Return every SLO and group as a row, most urgent first."""
    return tuple(row_of(status) for status in by_urgency(snapshot.statuses))


def row_of(status: SloStatus) -> Row:
    """Put one SLO into words and figures."""
    standing = standing_of(status)
    loud = standing in {Standing.PAGE, Standing.TICKET, Standing.EXHAUSTED}
    return Row(
        key=_key(status),
        href=address(status),
        standing=standing,
        name=status.slo.name,
        service=status.slo.service,
        group=group_text(status),
        sli=sli_figure(status),
        objective=objective_text(status.slo.objective),
        budget=budget_bar(status),
        burn=burn_figure(status),
        burn_window=burn_window(status),
        gone=gone_figure(status),
        spark=draw_spark(status.budget),
        because=because(status.suspects[0]) if loud and status.suspects else "",
        trace_id=status.failing[0].trace_id if loud and status.failing else "",
        remark=_remark(status, standing),
        since_unix_nano=status.since_unix_nano,
    )


def address(status: SloStatus) -> str:
    """Return the path of the SLO's page."""
    path = f"/slos/{quote(status.slo.name, safe='')}"
    label = group_label(status.group)
    return f"{path}?group={quote(label, safe='')}" if label else path


def _key(status: SloStatus) -> str:
    identity = f"{status.slo.name}\0{group_label(status.group)}"
    return f"slo-{blake2s(identity.encode(), digest_size=8).hexdigest()}"


def group_text(status: SloStatus) -> str:
    """Return the group's names and values for people; of an SLO whose groups alert together also the whole has one."""
    if status.slo.group_by and not status.group:
        return "all groups"
    return clip(" · ".join(f"{key}={value}" for key, value in status.group), _TEXT_LIMIT)


def because(suspect: Suspect) -> str:
    """Return how much of the bad an attribute value explains; the number first, because rows cut what is long."""
    return f"{percent_text(suspect.bad_share, 0)} % of bad: {clip(f'{suspect.key}={suspect.value}', _TEXT_LIMIT)}"


def sli_figure(status: SloStatus) -> Figure:
    """Return the SLI with as many digits as its objective deserves."""
    one, many = nouns_of(status.slo.indicator)
    if status.sli is None:
        return Figure(text=NOTHING, title=f"no {many} in the period")
    count = status.count
    title = (
        f"{_exact(status.sli * 100)} %: {count.good:,} good of {count_text(count.total, one, many)}, {count.bad:,} bad"
    )
    return Figure(text=percent_text(status.sli, sli_digits(status.slo.objective)), title=title, unit="%")


def budget_bar(status: SloStatus) -> BudgetBar:
    """Return what is left of the budget, as bar and number."""
    left = status.budget_remaining
    if left is None:
        figure = Figure(text=NOTHING, title=f"no {nouns_of(status.slo.indicator)[1]} in the period")
        return BudgetBar(figure=figure, left="0%", overspent=False, known=False)
    title = "; ".join(part for part in (f"{_exact(left * 100)} % left: {_spent(status)}", budget_time(status)) if part)
    figure = Figure(text=percent_text(left), title=title, unit="%")
    filled = float(min(Fraction(1), max(Fraction(0), left)) * 100)
    return BudgetBar(figure=figure, left=f"{filled:.1f}%", overspent=left < 0, known=True)


def _spent(status: SloStatus) -> str:
    if isinstance(status.slo.indicator, WeightedIndicator):
        return "the members' bad shares by their weights"
    many = nouns_of(status.slo.indicator)[1]
    allowed = float(status.count.total * (1 - status.slo.objective))
    return f"{status.count.bad:,} bad {many} of {allowed:,.1f} that {status.count.total:,} {many} allow"


def budget_time(status: SloStatus) -> str:
    """Return what is left of the budget as time, for people; empty where that is not known."""
    return budget_time_text(status.outage_ns, is_time=bool(slice_ns_of(status.slo.indicator)))


def burn_figure(status: SloStatus) -> Figure:
    """Return the burn of the first long window."""
    if not status.pairs:
        return Figure(text=NOTHING, title="no alert windows")
    pair = status.pairs[0]
    window = window_text(pair.window.long_ns)
    one, many = nouns_of(status.slo.indicator)
    if pair.long_burn is None:
        return Figure(text=NOTHING, title=f"no {many} in the last {window}")
    counts = f"{pair.long.bad:,} bad of {count_text(pair.long.total, one, many)} in the last {window}"
    return Figure(text=burn_text(pair.long_burn), title=f"{_exact(pair.long_burn)} times the budget's pace: {counts}")


def burn_window(status: SloStatus) -> str:
    """Return the length of the first long window; empty without windows."""
    return window_text(status.pairs[0].window.long_ns) if status.pairs else ""


def gone_figure(status: SloStatus) -> Figure:
    """Return when the budget is gone at the current pace."""
    left, period, assumed = status.exhaustion_ns, status.slo.period.length_ns, _assumption(status)
    if status.budget_remaining is not None and status.budget_remaining <= 0:
        return Figure(text="gone", title="the period's budget is spent")
    if left is None:
        return Figure(text=NOTHING, title="at this pace it lasts")
    if left > period:
        return Figure(text=f">{window_text(period)}", title=f"at this pace it lasts {window_text(left)}{assumed}")
    return Figure(text=window_text(left), title=f"{left / 1e9:,.0f} s at the current pace{assumed}")


def _assumption(status: SloStatus) -> str:
    """Say what the time until the budget is gone takes for granted."""
    return ", every member's period taken for full" if isinstance(status.slo.indicator, WeightedIndicator) else ""


def _remark(status: SloStatus, standing: Standing) -> str:
    missing = status.incomplete.remark if status.incomplete else ""
    return " · ".join(part for part in (_plight(status, standing), missing) if part)


def _plight(status: SloStatus, standing: Standing) -> str:
    firing = next((severity for severity in Severity if fires(status, severity)), None)
    if standing is Standing.NO_DATA:
        return f"{firing.value} frozen" if firing else "alerts frozen"
    if standing is Standing.EXHAUSTED and firing:
        return f"{firing.value} firing"
    low = [alert for alert in status.alerts if alert.left is not None and alert.state is AlertState.FIRING]
    if low and not burns(status):
        return f"at most {share_text(min(filter(None, (alert.left for alert in low)), default=Fraction(0)))} % left"
    pending = [alert.severity.value for alert in status.alerts if alert.state is AlertState.PENDING]
    return f"{pending[0]} pending" if pending else ""


def _exact(value: Fraction) -> str:
    text = decimal_text(value)
    return text if len(text) <= 12 and "/" not in text else f"{float(value):.6f}"
