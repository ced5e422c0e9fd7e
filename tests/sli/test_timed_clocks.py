"""Slices of time on a fast clock, of metrics, by calendar, and beside SLOs with an early page."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.slo.budget import Count
from sloburn.slo.model import (
    CalendarUnit,
    EventIndicator,
    FreshnessIndicator,
    JourneyIndicator,
    Period,
    SlicedIndicator,
)
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW, Bench
from tests.sli.lives import Life, spans
from tests.telemetry import DELTA, PointSpec, metric_request, trace_request

SOURCE: EventIndicator = span_slo().indicator  # type: ignore[assignment]
SLICED = SlicedIndicator(source=SOURCE, slice_ns=MINUTE, target=Fraction(1, 2))
BEGIN = NOW // HOUR * HOUR


@pytest.mark.parametrize("scale", [7, 60, 3600])
def test_slices_on_a_fast_clock(tmp_path: Path, scale: int) -> None:
    """However fast the windows run, three scaled minutes with spans are three slices, one of them bad."""
    slo = replace(span_slo("minutes"), indicator=SLICED)
    life = Life(tmp_path, slo, time_scale=scale)
    step = 12 * (5 * SECOND // scale)
    begin = life.now = (NOW // step + 1) * step
    life.look()
    for minute in range(3):
        life.now = begin + minute * step + step // 2
        life.send(*spans([life.now], first=10 * minute + 1, error=minute == 1))
        life.look()
    life.now = begin + 4 * step
    assert life.status("minutes").count == Count(2, 1)
    life.kill()
    assert life.status("minutes").count == Count(2, 1)
    life.close()


def test_slices_of_a_metric() -> None:
    """The share of a histogram's fast requests judges each slice, one sum of buckets for each."""
    plain = metric_slo(threshold="0.3")
    indicator = SlicedIndicator(source=plain.indicator, slice_ns=MINUTE, target=Fraction(9, 10))  # type: ignore[arg-type]
    bench = Bench(replace(plain, indicator=indicator))
    bench.now = BEGIN + 3 * MINUTE
    points = [
        PointSpec(time=BEGIN + n * MINUTE + SECOND, start=BEGIN - HOUR, bounds=(0.3, 1.0), buckets=(90, slow, 0))
        for n, slow in ((0, 10), (1, 11))
    ]
    bench.metrics(metric_request("http.server.request.duration", points, temporality=DELTA))
    assert bench.count() == Count(1, 1)


def test_a_calendar_month_begins_with_its_first_slice() -> None:
    """A slice belongs to the month in which it ends its last seconds: the one before midnight is the old month's."""
    month = Period(length_ns=30 * DAY, unit=CalendarUnit.MONTH, timezone="Europe/Prague")
    slo = replace(span_slo("minutes"), indicator=SLICED, period=month)
    bench = Bench(slo)
    midnight = 1_761_951_600 * SECOND  # 2025-11-01T00:00 in Prague
    bench.now = midnight + 2 * MINUTE
    bench.traces(trace_request(spans([midnight - SECOND, midnight + SECOND])))
    bench.now += MINUTE
    assert bench.count() == Count(1, 0)
    assert bench.status().lifetime == Count(2, 0)


def test_an_early_page_beside_slices() -> None:
    """An SLO with an early page makes the cells of all shorter; slices beside it stay exact."""
    early = span_slo("early")
    early = replace(early, alerting=replace(early.alerting, early_page=True))
    fresh = FreshnessIndicator(source=SOURCE, within_ns=2 * MINUTE, slice_ns=10 * SECOND)
    journey = JourneyIndicator(members=("early", "minutes"), slice_ns=MINUTE, target=Fraction(1, 2))
    bench = Bench(
        early,
        replace(span_slo("minutes"), indicator=SLICED),
        replace(span_slo("fresh"), indicator=fresh),
        replace(span_slo("journey"), indicator=journey),
    )
    bench.now = BEGIN
    bench.snapshot()
    for second in range(0, 180, 7):
        bench.now = BEGIN + second * SECOND
        bench.traces(trace_request(spans([bench.now], first=second + 1, error=60 <= second < 120)))
        bench.snapshot()
    bench.now = BEGIN + 3 * MINUTE + 20 * SECOND
    assert bench.count("minutes") == bench.count("journey") == Count(2, 1)
    assert bench.count("fresh") == Count(19, 0)
