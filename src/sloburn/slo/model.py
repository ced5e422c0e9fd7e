"""The frozen models of the domain: `Slo`, its indicator, its period and its alert windows.

Ratios are `Fraction`, time is whole nanoseconds: nothing here is a float, so nothing here rounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from sloburn.slo.exclusions import Exclusion

Scalar = str | int | float | bool


class Op(StrEnum):
    """How a `Match` compares what it found."""

    EQ = "eq"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    REGEX = "regex"
    EXISTS = "exists"


class Source(StrEnum):
    """Where a `Match` looks."""

    ATTRIBUTE = "attribute"  # of the span or data point, else of its resource
    NAME = "name"
    KIND = "kind"
    STATUS = "status"
    DURATION = "duration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One comparison. A missing attribute matches nothing, whatever the operator.

    Args:
        source: Where to look.
        key: Attribute name; empty for every other source.
        op: The comparison.
        operands: What to compare with; more than one only for `Op.IN`. Durations are nanoseconds.
    """

    source: Source
    key: str = ""
    op: Op
    operands: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where its part is not."""

    part: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are; of no parts: always."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where at least one part is; of no parts: never."""

    parts: tuple[Condition, ...] = ()


Condition = Match | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanIndicator:
    """Each span that `where` selects is one event, bad where `bad` holds and good otherwise."""

    where: Condition
    bad: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricIndicator:
    """Each count of a metric's data points that `where` selects is one event.

    Args:
        metric: Instrument name, for instance ``http.server.request.duration``: a monotonic sum or an explicit
            histogram.
        where: Selects data points by their attributes.
        bad: Points whose whole count is bad; None where a histogram's `threshold` judges.
        threshold: Upper bound of what is good, in seconds where `is_duration`, else in the metric's own unit. It must
            be one of the histogram's bucket bounds: anything between two bounds cannot be judged exactly.
        is_duration: The threshold was written as a duration.
    """

    metric: str
    where: Condition
    bad: Condition | None = None
    threshold: Fraction | None = None
    is_duration: bool = False


Indicator = SpanIndicator | MetricIndicator


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
        notes: What was changed so that every window can fire, for people.
    """

    windows: tuple[Window, ...]
    min_bad_events: int = 5
    for_ns: int = 0
    early_page: bool = False
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
        return replace(self, period=Period(length_ns=self.period.length_ns // scale), alerting=alerting)
