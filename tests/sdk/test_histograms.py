"""Histograms of our own say what the SDK's say."""

from __future__ import annotations

import logging
import math
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.util.types import AnyValue

from sloburn.sdk.histograms import Histograms
from sloburn.sdk.limits import ExemplarFilter
from sloburn.sdk.meters import ForkSafeMeterProvider

_MOST_POINTS = 2000
Labels = Mapping[str, AnyValue]


class Twins:
    """The same instruments of ours and of the SDK.

    Args:
        exemplars: Which values lead to their traces.
    """

    def __init__(self, exemplars: ExemplarFilter = "trace_based") -> None:
        self.histograms = Histograms(exemplars)
        self._reader, self._upstream = InMemoryMetricReader(), InMemoryMetricReader()
        self.provider = ForkSafeMeterProvider(self._make, self.histograms)
        self._sdk = MeterProvider(metric_readers=[self._upstream], shutdown_on_exit=False)

    def _make(self) -> MeterProvider:
        self._reader = InMemoryMetricReader()
        resource = Resource({"service.name": "twins"})
        self.histograms.begin(resource)
        return MeterProvider([self._reader], resource, shutdown_on_exit=False)

    def histogram(self, bounds: Sequence[float] | None = None) -> tuple[metrics.Histogram, metrics.Histogram]:
        """Return a histogram of ours and its twin."""
        ours, theirs = (
            provider.get_meter("twins", "1").create_histogram("h", "s", explicit_bucket_boundaries_advisory=bounds)
            for provider in (self.provider, self._sdk)
        )
        return ours, theirs

    def ours(self) -> MetricsData | None:
        """Collect our metrics."""
        return self.histograms.add_to(self._reader.get_metrics_data())

    def theirs(self) -> MetricsData | None:
        """Collect the SDK's."""
        return self._upstream.get_metrics_data()


def points(data: MetricsData | None) -> list[HistogramDataPoint]:
    """Return the points of all histograms."""
    parts = data.resource_metrics if data is not None else []
    metrics = [metric for part in parts for scope in part.scope_metrics for metric in scope.metrics]
    return [point for metric in metrics for point in metric.data.data_points if isinstance(point, HistogramDataPoint)]


def timeless(data: MetricsData | None) -> list[str]:
    """Return the points in words and in order, without their times."""
    found = [replace(point, start_time_unix_nano=0, time_unix_nano=0) for point in points(data)]
    return sorted(str((sorted((point.attributes or {}).items()), replace(point, attributes={}))) for point in found)


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", 1, 2.5, ["p", "q"], ("p",)]), max_size=2)
values = st.one_of(st.integers(0, 12_000), st.floats(0, 12_000), st.sampled_from([5.0, 10.0, 0.0]))
bounds = st.one_of(st.none(), st.lists(st.floats(0, 900), unique=True, max_size=5).map(sorted))


@settings(deadline=None)
@given(bounds, st.lists(st.tuples(values, labels), max_size=30), st.lists(st.tuples(values, labels), max_size=5))
def test_points_equal_the_sdks(
    bounds: list[float] | None, first: list[tuple[float, Labels]], second: list[tuple[float, Labels]]
) -> None:
    """Whatever is recorded, in two rounds: counts, sums, extremes, bounds and attributes are the SDK's."""
    twins = Twins()
    ours, theirs = twins.histogram(bounds)
    for records in (first, second):
        for value, attributes in records:
            ours.record(value, attributes)
            theirs.record(value, attributes)
        assert timeless(twins.ours()) == timeless(twins.theirs())


def test_metric_describes_itself() -> None:
    """Name, unit, scope and resource are there, beside the SDK's metrics of the same scope and of others."""
    twins = Twins()
    ours, _ = twins.histogram()
    ours.record(1)
    alone = twins.ours()
    twins.provider.get_meter("twins", "1").create_counter("c").add(1)
    twins.provider.get_meter("other").create_histogram("o", description="about").record(1)
    beside = twins.ours()
    assert alone is not None
    assert beside is not None
    assert alone.resource_metrics[0].resource.attributes["service.name"] == "twins"
    assert [metric.unit for scope in alone.resource_metrics[0].scope_metrics for metric in scope.metrics] == ["s"]
    scopes = {
        scope.scope.name: [metric.name for metric in scope.metrics]
        for scope in beside.resource_metrics[0].scope_metrics
    }
    assert (scopes, len(beside.resource_metrics)) == ({"twins": ["c", "h"], "other": ["o"]}, 1)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_bad_values_are_refused_aloud(value: float, caplog: pytest.LogCaptureFixture) -> None:
    """A value that no histogram can hold is left out with the SDK's warning."""
    twins = Twins()
    with caplog.at_level(logging.WARNING):
        twins.histogram()[0].record(value)
    assert (twins.ours(), len(caplog.records)) == (None, 1)


def test_attributes_are_bounded() -> None:
    """Sets of attributes without end are counted in one point that says so; none is lost."""
    twins = Twins()
    ours, _ = twins.histogram()
    for number in range(_MOST_POINTS + 50):
        ours.record(1, {"user": number})
    found = points(twins.ours())
    overflow = [point for point in found if point.attributes == {"otel.metric.overflow": True}]
    assert (len(found), overflow[0].count) == (_MOST_POINTS + 1, 50)


@pytest.mark.parametrize(("exemplars", "expected"), [("trace_based", 2), ("always_on", 3), ("always_off", 0)])
def test_exemplars_lead_to_traces(exemplars: ExemplarFilter, expected: int) -> None:
    """Each bucket keeps its newest value with the ids of its span, until it has been read."""
    twins = Twins(exemplars)
    ours, _ = twins.histogram([1, 2])
    ours.record(0.5)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    for value in (1.5, 1.6, 2.5):
        with tracer.start_as_current_span("work") as span:
            ours.record(value)
    found = points(twins.ours())[0].exemplars
    assert len(found) == expected
    assert [one.value for one in found if one.trace_id] == ([1.6, 2.5] if expected else [])
    if expected:
        context = span.get_span_context()
        assert (found[-1].trace_id, found[-1].span_id) == (context.trace_id, context.span_id)
    assert points(twins.ours())[0].exemplars == []


def test_spans_out_of_the_sample_are_no_exemplars() -> None:
    """A trace that nobody can look at is not pointed at, in the context that is current or given."""
    twins = Twins()
    ours, _ = twins.histogram()
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test")
    with unsampled.start_as_current_span("work"):
        ours.record(1)
    ours.record(1, context=trace.set_span_in_context(trace.INVALID_SPAN))
    assert points(twins.ours())[0].exemplars == []


def test_threads_lose_nothing() -> None:
    """Eight threads that record at once, while others read, add up."""
    twins = Twins()
    ours, _ = twins.histogram()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: [ours.record(number, {"n": number % 3}) for number in range(2000)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            twins.ours()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert sum(point.count for point in points(twins.ours())) == 16_000
    assert sum(point.sum for point in points(twins.ours())) == 8 * sum(range(2000))
