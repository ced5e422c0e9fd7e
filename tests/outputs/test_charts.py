"""The geometry of the budget's charts."""
# ruff: noqa: RUF001  minus, dash and times signs are what the page shows

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.outputs.charts import Chart, axis_text, covered, draw_chart, draw_spark
from sloburn.sli.status import BudgetPoint
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import Severity
from tests.outputs.snapshots import NOW, build_status, burning_status, course, firing

NUMBER = re.compile(r"-?\d+(?:\.\d+)?|nan|inf")
shares = st.lists(st.fractions(min_value=-50, max_value=1), min_size=2, max_size=40)


def chart_of(points: tuple[BudgetPoint, ...], **changes: object) -> Chart:
    """Draw an SLO with this course of its budget."""
    chart = draw_chart(build_status(budget=points, **changes), NOW)  # type: ignore[arg-type]  # names real fields
    assert chart is not None
    return chart


def coordinates(chart: Chart) -> list[float]:
    """Return every number of a chart's paths, ticks, bands and bars; bar and band numbers are in the same box."""
    paths = " ".join((chart.line, chart.area, chart.projection))
    bars = " ".join(f"{bar.x} {bar.width} {bar.y} {bar.height}" for bar in chart.bars)
    bands = " ".join(f"{band.x} {band.width}" for band in chart.bands)
    ticks = " ".join(tick.place.removesuffix("%") for tick in (*chart.x_ticks, *chart.y_ticks))
    return [float(number) for number in NUMBER.findall(f"{paths} {bars} {bands} {ticks} {chart.zero} {chart.now}")]


@pytest.mark.parametrize("points", [(), course(1.0), course(1, 1, total=0)], ids=["none", "one", "no events"])
def test_fewer_than_two_points_are_no_chart(points: tuple[BudgetPoint, ...]) -> None:
    """A chart needs two moments with something between them."""
    assert draw_spark(points) is None
    assert draw_chart(build_status(budget=points), NOW) is None


def test_two_points_of_one_moment_are_no_chart() -> None:
    """Without a span of time there is no axis, and no division by zero."""
    points = tuple(replace(point, at_unix_nano=NOW, count=Count(1, 0)) for point in course(1, 0.5))
    assert draw_spark(points) is None
    assert draw_chart(build_status(budget=points), NOW) is None


def test_a_course_that_never_moves_is_a_line_at_the_top() -> None:
    """All points the same: a flat line, not a division by zero."""
    spark = draw_spark(course(1, 1, 1))
    assert spark is not None
    assert (spark.line, spark.end_y) == ("M0 0L500 0L1000 0", "0")


def test_the_line_runs_from_left_to_right_and_down() -> None:
    """Time goes to the right; half of the budget is half-way down."""
    spark = draw_spark(course(1, 0.5, 0))
    assert spark is not None
    assert spark.line == "M0 0L500 500L1000 1000"
    assert spark.area == "M0 0L500 500L1000 1000V1000H0Z"


def test_an_overspent_budget_has_its_zero_inside() -> None:
    """Below zero the axis grows, so the line of no budget is visible above the bottom."""
    chart = chart_of(course(1, 0, -1))
    assert chart.zero == "50%"
    assert [tick.text for tick in chart.y_ticks] == ["−100 %", "−50 %", "0 %", "50 %", "100 %"]


@given(shares, st.one_of(st.none(), st.integers(1, 100 * DAY)))
def test_everything_is_inside_the_box(values: list[Fraction], exhaustion_ns: int | None) -> None:
    """Whatever the course and the projection, every coordinate is a number inside the box."""
    points = tuple(
        BudgetPoint(at_unix_nano=NOW - (len(values) - index) * HOUR, remaining=value, count=Count(3, index % 3))
        for index, value in enumerate(values)
    )
    chart = chart_of(points, exhaustion_ns=exhaustion_ns, alerts={Severity.PAGE: firing(Severity.PAGE)})
    assert all(0 <= number <= 1000 for number in coordinates(chart))
    assert len(chart.y_ticks) <= 6


def test_history_before_the_first_event_is_cut_off() -> None:
    """A young ledger fills the chart instead of hugging its right edge."""
    empty = tuple(replace(point, count=Count()) for point in course(*[1] * 10, end=NOW - DAY, span=9 * DAY))
    points = (*empty, *course(1, 0.9, span=HOUR)[1:])
    assert covered(points) == points[-2:]
    assert covered(empty) == empty[-1:]


@pytest.mark.parametrize(
    ("span", "style", "step"),
    [
        (10 * SECOND, "seconds", 2),
        (50 * MINUTE, "minutes", 600),
        (DAY, "minutes", 6 * 3600),
        (30 * DAY, "day", 5 * 86_400),
    ],
)
def test_time_axes_have_round_steps(span: int, style: str, step: int) -> None:
    """Labels stand at whole seconds, minutes or days that people can read, and there are at most seven."""
    chart = chart_of(course(1, 0.9, span=span), exhaustion_ns=None)
    times = [tick.at_ms for tick in chart.x_ticks]
    assert {tick.style for tick in chart.x_ticks} == {style}
    assert {later - sooner for sooner, later in pairwise(times)} == {step * 1000}
    assert len(times) <= 7


def test_axis_labels_are_utc() -> None:
    """A label is as coarse as its axis."""
    assert [axis_text(NOW, style) for style in ("seconds", "minutes", "day")] == ["14:02:11", "14:02", "21 Nov"]


def test_a_burning_budget_is_projected_to_its_end() -> None:
    """At the current pace the dotted line reaches zero where the budget is gone, right of now."""
    chart = chart_of(course(1, 0.5, span=10 * HOUR), exhaustion_ns=HOUR)
    assert chart.projection.endswith(" 1000")
    assert chart.now == "90.1%"


def test_a_far_end_is_projected_as_far_as_the_chart_goes() -> None:
    """History keeps four fifths of the chart; the projection just points down."""
    chart = chart_of(course(1, 0.5, span=10 * HOUR), exhaustion_ns=20 * DAY)
    assert chart.now == "80%"
    x, y = chart.projection.rsplit("L", 1)[1].split()
    assert (x, 500 < float(y) < 510) == ("1000", True)


def test_a_spent_budget_has_no_projection() -> None:
    """What is gone cannot be gone again."""
    assert chart_of(course(1, 0, -1), exhaustion_ns=0).projection == ""


def test_firing_alerts_are_bands() -> None:
    """A firing alert's band reaches to now, a resolved one's to where it resolved, and one long ago is not drawn."""
    chart = draw_chart(burning_status(), NOW)
    assert chart is not None
    assert [(band.severity, band.text) for band in chart.bands] == [
        (Severity.PAGE, "page fired 13:59:11 to now UTC"),
        (Severity.TICKET, "ticket fired 19 Nov 14:02:11 to 19 Nov 19:02:11 UTC"),
    ]
    old = Alert(
        severity=Severity.PAGE,
        state=AlertState.RESOLVED,
        fired_unix_nano=NOW - 90 * DAY,
        resolved_unix_nano=NOW - 89 * DAY,
    )
    assert chart_of(course(1, 0.9), alerts={Severity.PAGE: old}).bands == ()


def test_bars_count_bad_events() -> None:
    """The worst step is as high as the box, the others in proportion, and each says what happened."""
    points = course(1, 0.9, 0.7, 0.7)
    chart = chart_of(points, exhaustion_ns=None)
    assert chart.most_bad == 20
    assert [(bar.y, bar.height) for bar in chart.bars] == [("500", "500"), ("0", "1000"), ("1000", "0")]
    assert chart.bars[1].text == "11 Nov 14:02:11 UTC: 70.0 % left, 20 bad of 1,000 events"


def test_the_chart_can_be_read_aloud() -> None:
    """Who cannot see the chart gets its beginning, its end and the bad events between."""
    text = chart_of(course(1, 0.9, span=HOUR)).text
    assert text == "Budget left: 100.0 % at 13:02:11 UTC, 90.0 % at 14:02:11 UTC; 10 bad events between"
