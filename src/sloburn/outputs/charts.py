"""Geometry of the budget's charts: from points in time to coordinates, as text that a template puts into SVG.

Shapes live in a box of 1000 x 1000 that is stretched to whatever width the page has; labels are placed in percent of
it, so text keeps its size. Time runs to the right, the budget to the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.outputs.marks import Gap, Line, draw_gaps, draw_lines, exclusion_texts
from sloburn.outputs.wording import clock_text, count_text, moment, percent_text
from sloburn.sli.status import BudgetPoint, SloStatus
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.annotation import Annotation
from sloburn.slo.model import Severity

SIZE = 1000
# Steps of a time axis that people can read; the first that needs no more than _MOST_TICKS is taken.
_STEPS_NS = tuple(
    unit * count
    for unit, counts in ((SECOND, (1, 2, 5, 10, 15, 30)), (MINUTE, (1, 2, 5, 10, 15, 30)), (HOUR, (1, 2, 3, 6, 12)))
    for count in counts
) + tuple(DAY * count for count in (1, 2, 5, 7, 14, 30, 90, 365))
_MOST_TICKS = 7
# Further right a label would hang over the edge.
_LAST_LABEL = SIZE * 0.98
# A projection may take up so much of the chart to the right of now.
_FUTURE = Fraction(1, 4)
_MOST_TOLD = 5  # marks that are read aloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label of an axis.

    Args:
        place: Percent of the axis, as text.
        text: The label.
        at_ms: Milliseconds since the epoch, so that a script can write it in local time; 0 on the budget's axis.
        style: How the script writes it: ``seconds``, ``minutes`` or ``day``.
    """

    place: str
    text: str
    at_ms: int = 0
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A time during which an alert was firing."""

    severity: Severity
    x: str
    width: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The bad events of one step.

    Args:
        x: Left edge in the box.
        width: Width in the box.
        y: Top of the bar in the box.
        height: Its height; the tallest is as high as the box.
        text: What happened, for hovering.
    """

    x: str
    width: str
    y: str
    height: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """A small course of the budget without axes."""

    line: str
    area: str
    end_y: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The course of the budget, with axes.

    Args:
        line: Path of the remaining budget.
        area: The same, closed down to zero.
        projection: Path from now to where the budget is gone at the current burn; empty if that is far away.
        zero: Where the budget is gone, percent from the top.
        now: Where now is, percent from the left.
        y_ticks: Shares of the budget.
        x_ticks: Times.
        bands: When alerts fired.
        lines: What happened beside the telemetry.
        gaps: Time that does not count.
        told: Every exclusion in words.
        bars: Bad events.
        most_bad: Bad events of the tallest bar.
        text: What the chart shows, for those who cannot see it.
    """

    line: str
    area: str
    projection: str
    zero: str
    now: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...]
    told: tuple[str, ...]
    bars: tuple[Bar, ...]
    most_bad: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What the box shows: times from left to right, shares of the budget from bottom to top."""

    start: int
    end: int
    low: Fraction
    high: Fraction = Fraction(1)

    def x(self, at_unix_nano: int) -> float:
        share = (at_unix_nano - self.start) / (self.end - self.start)
        return SIZE * min(1.0, max(0.0, share))

    def place(self, at_unix_nano: int) -> float:
        return self.x(at_unix_nano) / (SIZE / 100)

    def y(self, remaining: Fraction) -> float:
        return SIZE * float((self.high - max(self.low, min(self.high, remaining))) / (self.high - self.low))


def covered(points: Sequence[BudgetPoint]) -> Sequence[BudgetPoint]:
    """Return the points from just before the first event on: a young ledger fills the chart, too."""
    first = next((index for index, point in enumerate(points) if point.count.total), len(points))
    return points[max(0, first - 1) :]


def draw_spark(points: Sequence[BudgetPoint]) -> Spark | None:
    """Draw a sparkline; None where there are not two points."""
    shown = covered(points)
    if len(shown) < 2 or shown[0].at_unix_nano >= shown[-1].at_unix_nano:
        return None
    frame = _Frame(start=shown[0].at_unix_nano, end=shown[-1].at_unix_nano, low=_lowest(shown))
    line = _path(frame, shown)
    return Spark(line=line, area=_closed(frame, line, shown), end_y=_number(frame.y(shown[-1].remaining) / 10))


def draw_chart(status: SloStatus, now_unix_nano: int, annotations: Sequence[Annotation] = ()) -> Chart | None:
    """Draw the burn-down; None where there are not two points.

    Args:
        status: Whose.
        now_unix_nano: Nanoseconds since the epoch.
        annotations: What happened beside the telemetry, oldest first.
    """
    shown = covered(status.budget)
    if len(shown) < 2 or shown[0].at_unix_nano >= shown[-1].at_unix_nano:
        return None
    frame = _frame_of(shown, status.exhaustion_ns, now_unix_nano)
    line, start, slo = _path(frame, shown), shown[0].at_unix_nano, status.slo
    lines = draw_lines(frame.place, annotations, start, now_unix_nano)
    told = exclusion_texts(slo.exclusions, start, now_unix_nano, slo.period.length_ns)
    return Chart(
        line=line,
        area=_closed(frame, line, shown),
        projection=_projection(frame, shown[-1], status.exhaustion_ns),
        zero=_percent(frame.y(Fraction(0))),
        now=_percent(frame.x(shown[-1].at_unix_nano)),
        y_ticks=_y_ticks(frame),
        x_ticks=_x_ticks(frame),
        bands=tuple(band for alert in status.alerts for band in _bands(frame, alert, now_unix_nano)),
        lines=lines,
        gaps=draw_gaps(frame.place, slo.exclusions, start, now_unix_nano),
        told=told,
        bars=_bars(frame, shown),
        most_bad=max(point.count.bad for point in shown),
        text=_described(shown, lines, told, now_unix_nano),
    )


def _frame_of(shown: Sequence[BudgetPoint], exhaustion_ns: int | None, now_unix_nano: int) -> _Frame:
    start, last = shown[0].at_unix_nano, max(shown[-1].at_unix_nano, now_unix_nano)
    future = int((last - start) * _FUTURE)
    if exhaustion_ns and shown[-1].remaining > 0:
        # The projection gets room, but history keeps most of the chart.
        last += min(future, exhaustion_ns * 11 // 10)
    return _Frame(start=start, end=last, low=_lowest(shown))


def _lowest(points: Sequence[BudgetPoint]) -> Fraction:
    return min(Fraction(0), min(point.remaining for point in points))


def _path(frame: _Frame, points: Sequence[BudgetPoint]) -> str:
    return "M" + "L".join(f"{_number(frame.x(p.at_unix_nano))} {_number(frame.y(p.remaining))}" for p in points)


def _closed(frame: _Frame, line: str, points: Sequence[BudgetPoint]) -> str:
    floor_y = _number(frame.y(Fraction(0)))
    return f"{line}V{floor_y}H{_number(frame.x(points[0].at_unix_nano))}Z"


def _projection(frame: _Frame, last: BudgetPoint, exhaustion_ns: int | None) -> str:
    room = frame.end - last.at_unix_nano
    if not exhaustion_ns or last.remaining <= 0 or room <= 0:
        return ""
    reach = min(room, exhaustion_ns)
    left = last.remaining * (1 - Fraction(reach, exhaustion_ns))
    x, y = frame.x(last.at_unix_nano), frame.y(last.remaining)
    return f"M{_number(x)} {_number(y)}L{_number(frame.x(last.at_unix_nano + reach))} {_number(frame.y(left))}"


def _y_ticks(frame: _Frame) -> tuple[Tick, ...]:
    step = _share_step(frame.high - frame.low)
    lowest = ceil(frame.low / step)
    values = [step * index for index in range(lowest, floor(frame.high / step) + 1)]
    return tuple(Tick(place=_percent(frame.y(value)), text=f"{percent_text(value, 0)} %") for value in values)


def _share_step(span: Fraction) -> Fraction:
    step = Fraction(1, 4)
    for factor in _growing():
        if span / (step * factor) <= 5:
            return step * factor
    return span  # pragma: no cover


def _growing() -> Sequence[int]:
    return [base * 10**power for power in range(12) for base in (1, 2, 4)]


def _x_ticks(frame: _Frame) -> tuple[Tick, ...]:
    span = frame.end - frame.start
    step = next((step for step in _STEPS_NS if span // step < _MOST_TICKS), _STEPS_NS[-1])
    style = "seconds" if step < MINUTE else "minutes" if step < DAY else "day"
    first = -(-frame.start // step) * step
    return tuple(
        Tick(place=_percent(frame.x(at)), text=axis_text(at, style), at_ms=at // 1_000_000, style=style)
        for at in range(first, frame.end + 1, step)
        if frame.x(at) <= _LAST_LABEL
    )


def axis_text(at_unix_nano: int, style: str) -> str:
    """Write a time as a label of the axis, in UTC."""
    at = moment(at_unix_nano)
    if style == "day":
        return f"{at.day} {at:%b}"
    return f"{at:%H:%M:%S}" if style == "seconds" else f"{at:%H:%M}"


def _bands(frame: _Frame, alert: Alert, now_unix_nano: int) -> list[Band]:
    if not alert.fired_unix_nano:
        return []
    firing = alert.state is AlertState.FIRING
    end = now_unix_nano if firing else max(alert.fired_unix_nano, alert.resolved_unix_nano)
    if end <= frame.start:
        return []
    left, right = frame.x(alert.fired_unix_nano), frame.x(end)
    until = "now" if firing else clock_text(end, now_unix_nano)
    text = f"{alert.title} fired {clock_text(alert.fired_unix_nano, now_unix_nano)} to {until} UTC"
    return [Band(severity=alert.severity, x=_number(left), width=_number(max(2.0, right - left)), text=text)]


def _bars(frame: _Frame, points: Sequence[BudgetPoint]) -> tuple[Bar, ...]:
    most = max(point.count.bad for point in points) or 1
    return tuple(_bar(frame, before.at_unix_nano, point, most) for before, point in pairwise(points))


def _bar(frame: _Frame, start: int, point: BudgetPoint, most: int) -> Bar:
    left, right = frame.x(start), frame.x(point.at_unix_nano)
    height = SIZE * point.count.bad / most
    bad = f"{count_text(point.count.bad)} bad of {count_text(point.count.total, 'event', 'events')}"
    text = f"{moment(point.at_unix_nano):%d %b %H:%M:%S} UTC: {percent_text(point.remaining)} % left, {bad}"
    return Bar(
        x=_number(left), width=_number(right - left), y=_number(SIZE - height), height=_number(height), text=text
    )


def _described(points: Sequence[BudgetPoint], lines: Sequence[Line], told: Sequence[str], now_unix_nano: int) -> str:
    first, last = (
        f"{percent_text(point.remaining)} % at {clock_text(point.at_unix_nano, now_unix_nano)} UTC"
        for point in (points[0], points[-1])
    )
    marks = [f"{one.text} {one.verb} {clock_text(one.at_unix_nano, now_unix_nano)} UTC" for one in lines[-_MOST_TOLD:]]
    budget = f"Budget left: {first}, {last}; {sum(point.count.bad for point in points):,} bad events between"
    return "; ".join([budget, *marks, *(f"not counted: {text}" for text in told)])


def _percent(coordinate: float) -> str:
    return f"{_number(coordinate / (SIZE / 100))}%"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
