"""The frozen models of the domain: `Slo`, its indicator, its period and its alert windows.

Ratios are `Fraction`, time is whole nanoseconds: nothing here is a float, so nothing here rounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from sloburn.duration import SECOND
from sloburn.slo.conditions import Condition
from sloburn.slo.exclusions import Exclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanIndicator:
    """Each span that `where` selects is one event, bad where `bad` holds and good otherwise."""

    where: Condition
    bad: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIndicator:
    """Each log record that `where` selects is one event, bad where `bad` holds and good otherwise."""

    where: Condition
    bad: Condition


class Snap(StrEnum):
    """What becomes of a threshold that is no bucket bound."""

    REFUSED = ""
    DOWN = "down"  # the next bound below takes its place
    UP = "up"  # the next bound above takes its place


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricIndicator:
    """Each count of a metric's data points that `where` selects is one event.

    Args:
        metric: Instrument name, for instance ``http.server.request.duration``: a monotonic sum or a histogram.
        where: Selects data points by their attributes.
        bad: Points whose whole count is bad; None where a histogram's `threshold` judges.
        threshold: Upper bound of what is good, in seconds where `is_duration`, else in the metric's own unit. It must
            be one of the histogram's bucket bounds: anything between two bounds cannot be judged exactly.
        is_duration: The threshold was written as a duration.
        snap: Which bound takes the place of a threshold that is none.
    """

    metric: str
    where: Condition
    bad: Condition | None = None
    threshold: Fraction | None = None
    is_duration: bool = False
    snap: Snap = Snap.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A monotonic sum, or the count of a histogram, and which of its data points are taken."""

    metric: str
    where: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterIndicator:
    """Two counters of different metrics: exactly two of the three are there.

    Args:
        good: Counts good events.
        bad: Counts bad events.
        total: Counts good and bad events together.
    """

    good: Counter | None = None
    bad: Counter | None = None
    total: Counter | None = None


EventIndicator = SpanIndicator | LogIndicator | MetricIndicator | CounterIndicator
"""What tells of single events which of them are bad."""


SLICE_STEP_NS = 5 * SECOND
"""A slice of time that is judged is a whole number of these: of the ledger's finest slices."""


class NoEvents(StrEnum):
    """What a slice of time is in which nothing happened."""

    GOOD = "good"
    BAD = "bad"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicedIndicator:
    """Each slice of time is one event, good where a large enough share of the source's events in it is good.

    Args:
        source: How the events are judged.
        slice_ns: Length of a slice, nanoseconds; slices begin at whole multiples of it since the epoch.
        target: Share of good events that makes a slice good, 0 < target <= 1.
        no_events: What a slice without events is.
    """

    source: EventIndicator
    slice_ns: int
    target: Fraction
    no_events: NoEvents = NoEvents.IGNORED


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessIndicator:
    """Each slice of time is one event, good while the source's last good event is not too old at its end.

    Args:
        source: Which events keep it fresh: the good ones.
        within_ns: How old the last good event may be, nanoseconds; of a heartbeat interval and grace together.
        slice_ns: Length of a slice, nanoseconds.
        every_ns: Interval of a heartbeat, nanoseconds; 0 where no interval is promised, only freshness.
    """

    source: EventIndicator
    within_ns: int
    slice_ns: int
    every_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyIndicator:
    """Each slice of time is one event, good where every member keeps its target within the slice.

    Args:
        members: Names of other SLOs.
        slice_ns: Length of a slice, nanoseconds.
        target: Share of good events that a member needs; None: each its own objective.
        no_events: What a member's slice without events is.
    """

    members: tuple[str, ...]
    slice_ns: int
    target: Fraction | None = None
    no_events: NoEvents = NoEvents.IGNORED


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedIndicator:
    """The good share is the weighted mean of the members' good shares, exact; members without events do not vote.

    Args:
        members: Names of other SLOs and their weights, above zero.
    """

    members: tuple[tuple[str, Fraction], ...]


Indicator = EventIndicator | SlicedIndicator | FreshnessIndicator | JourneyIndicator | WeightedIndicator


class Severity(StrEnum):
    """How loud an alert is."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A pair of look-backs and the burn rate above which both must be for the pair to be over.

    Args:
        severity: What the pair raises.
        long_ns: Long look-back, nanoseconds: shows that the burn matters.
        short_ns: Short look-back, nanoseconds: shows that it still goes on.
        factor: Burn rate; the pair is over while both burn rates are strictly above it.
    """

    severity: Severity
    long_ns: int
    short_ns: int
    factor: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLevel:
    """A share of the period's budget whose reaching raises an alert.

    Args:
        severity: What it raises.
        left: It fires while at most this share of the budget is left; 0 is the exhausted budget.
        clear: It ends once more than this share is left; above `left`, so that a rolling period does not make it flap.
    """

    severity: Severity
    left: Fraction
    clear: Fraction


class CalendarUnit(StrEnum):
    """Spans of a calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The span of time that the objective is promised over: rolling, or aligned with a calendar.

    Args:
        length_ns: Its length, nanoseconds; of a calendar unit the usual one (`slo.periods.NOMINAL_NS`).
        unit: The calendar unit; None for a rolling period.
        timezone: IANA name of the zone whose midnight begins a calendar period.
    """

    length_ns: int
    unit: CalendarUnit | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """When an SLO alerts.

    Args:
        windows: The pairs, fastest first.
        min_bad_events: Bad events that the long window must hold before a pair may fire: one error never pages.
        for_ns: How long a pair must stay over before it fires, nanoseconds; the windows make it unnecessary.
        early_page: Page as soon as noise cannot explain what is seen (`slo.early`), before a pair is over; `for_ns`
            does not hold it back.
        together: The groups of the SLO alert as one: every alert looks at the sum of their events (`slo.low_traffic`).
        budget: Shares of the budget whose reaching raises an alert of its own, the highest first.
        notes: What was changed so that every window can fire, for people.
    """

    windows: tuple[Window, ...]
    min_bad_events: int = 5
    for_ns: int = 0
    early_page: bool = False
    together: bool = False
    budget: tuple[BudgetLevel, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """A promise: so large a share of events is good over the period.

    Args:
        name: Unique in the processor; letters, digits and hyphens.
        service: The resource attribute ``service.name`` whose telemetry counts.
        objective: Share of good events, 0 < objective < 1, exact.
        period: The span of time.
        indicator: How events are judged.
        group_by: Attributes whose values split the SLO into groups, each with a budget of its own.
        alerting: When it alerts.
        description: For people.
        runbook: Address of what to do.
        exclusions: Time that does not count.
        autopsy: Attributes that the autopsy compares beside the usual ones and those of `group_by`.
    """

    name: str
    service: str
    objective: Fraction
    period: Period
    indicator: Indicator
    alerting: Alerting
    group_by: tuple[str, ...] = ()
    description: str = ""
    runbook: str = ""
    exclusions: tuple[Exclusion, ...] = ()
    autopsy: tuple[str, ...] = ()

    def scaled(self, scale: int) -> Slo:
        """Return the same promise on a clock that runs `scale` times as fast: for demos and tests.

        Every window and the period shrink alike, so the burn factors stay what they are. A calendar period becomes a
        rolling one: no calendar runs faster.
        """
        if scale == 1:
            return self
        windows = tuple(
            replace(window, long_ns=window.long_ns // scale, short_ns=window.short_ns // scale)
            for window in self.alerting.windows
        )
        alerting = replace(self.alerting, windows=windows, for_ns=self.alerting.for_ns // scale)
        period = Period(length_ns=self.period.length_ns // scale)
        return replace(self, period=period, alerting=alerting, indicator=_scaled(self.indicator, scale))


def _scaled(indicator: Indicator, scale: int) -> Indicator:
    match indicator:
        case SlicedIndicator() | JourneyIndicator():
            return replace(indicator, slice_ns=_scaled_slice(indicator.slice_ns, scale))
        case FreshnessIndicator():
            slice_ns, within_ns = _scaled_slice(indicator.slice_ns, scale), indicator.within_ns // scale
            return replace(indicator, slice_ns=slice_ns, within_ns=within_ns, every_ns=indicator.every_ns // scale)
        case _:
            return indicator


def _scaled_slice(slice_ns: int, scale: int) -> int:
    return slice_ns // SLICE_STEP_NS * (SLICE_STEP_NS // scale)  # as the ledger scales its own
