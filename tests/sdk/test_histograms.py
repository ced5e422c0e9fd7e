"""Histograms of our own say what the SDK's say."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

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

from sloburn.sdk.exemplars import MARKS
from sloburn.sdk.exporters.metric_encoding import Refuse, metrics_to_bytes
from sloburn.sdk.exporters.source import MetricSource
from sloburn.sdk.histograms import Histograms, LeanHistogram
from sloburn.sdk.limits import ExemplarFilter
from sloburn.sdk.meters import ForkSafeMeterProvider
from sloburn.sdk.prometheus.meters import MirroredMeterProvider
from sloburn.sdk.prometheus.mirror import Mirror

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
    """Return the points in words and in order, without their times, and with 0 and 0.0 alike."""
    found = [
        replace(
            point,
            start_time_unix_nano=0,
            time_unix_nano=0,
            sum=float(point.sum),
            min=float(point.min),
            max=float(point.max),
        )
        for point in points(data)
    ]
    return sorted(str((sorted((point.attributes or {}).items()), replace(point, attributes={}))) for point in found)


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", 1, 2.5, ["p", "q"], ("p",)]), max_size=2)
# Eighths add up to the same in whatever order: the SDK adds up the rounds, and we the values.
eighths = st.integers(0, 96_000).map(lambda number: number / 8)
values = st.one_of(st.integers(0, 12_000), eighths, st.sampled_from([5.0, 10.0, 0.0]))
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


@pytest.fixture
def _unmarked() -> Iterator[None]:
    """A process that has marked no trace, before and after."""
    MARKS.forget()
    yield
    MARKS.forget()


@pytest.mark.usefixtures("_unmarked")
@pytest.mark.parametrize(("exemplars", "expected"), [("trace_based", 2), ("always_on", 3), ("always_off", 0)])
def test_exemplars_lead_to_traces(exemplars: ExemplarFilter, expected: int) -> None:
    """Each bucket keeps a value with the ids of its span, the one of a marked trace first, however often it is read."""
    twins = Twins(exemplars)
    ours, _ = twins.histogram([1, 2])
    ours.record(0.5)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    for value in (1.5, 1.6, 2.5):
        with tracer.start_as_current_span("work") as span:
            ours.record(value)
    found = points(twins.ours())[0].exemplars
    assert len(found) == expected
    assert [one.value for one in found if one.trace_id] == ([1.5, 2.5] if expected else [])
    if expected:
        context = span.get_span_context()
        assert (found[-1].trace_id, found[-1].span_id) == (context.trace_id, context.span_id)
    assert points(twins.ours())[0].exemplars == found


def test_old_exemplars_are_not_sent_for_ever() -> None:
    """A series that rests leads to its last traces for minutes, not for as long as the process lives."""
    histogram = LeanHistogram(metrics.NoOpMeter("test").create_histogram("h"), [1], "always_on")
    histogram.record(0.5)
    now = time.time_ns()
    sent = [len(histogram.collect(now + minutes * 60_000_000_000)[0].exemplars) for minutes in (0, 4, 6)]
    assert sent == [1, 1, 0]


def test_a_span_that_raises_costs_its_exemplar_only() -> None:
    """A value is counted, and the host goes on, whatever the current span does when it is asked who it is."""

    class Broken(trace.NonRecordingSpan):
        def get_span_context(self) -> trace.SpanContext:
            raise RuntimeError("broken")

    twins = Twins()
    ours, _ = twins.histogram()
    ours.record(1, context=trace.set_span_in_context(Broken(trace.INVALID_SPAN_CONTEXT)))
    assert [(point.count, point.exemplars) for point in points(twins.ours())] == [(1, [])]


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


@pytest.mark.parametrize("value", [10**400, -(10**400), Decimal("Infinity"), "1", None])
def test_what_is_no_float_is_refused_aloud(value: float, caplog: pytest.LogCaptureFixture) -> None:
    """What floats cannot hold is left out with a warning, raises nothing, and leaves the histogram as it was."""
    twins = Twins()
    ours, _ = twins.histogram()
    ours.record(1)
    with caplog.at_level(logging.WARNING):
        ours.record(value)
    (point,) = points(twins.ours())
    assert (point.count, point.sum, len(caplog.records)) == (1, 1, 1)
    assert metrics_to_bytes(twins.ours() or MetricsData([]))


def test_numbers_of_other_types_are_floats() -> None:
    """A Decimal, a fraction and a whole number beyond the exact ones are counted and summed."""
    twins = Twins()
    ours, _ = twins.histogram()
    for value in (0.5, Decimal("1.5"), Fraction(1, 2), 2**60):
        ours.record(value)  # type: ignore[arg-type]
    (point,) = points(twins.ours())
    assert (point.count, point.sum) == (4, 2.5 + 2**60)


@pytest.mark.parametrize("attributes", [{None: 1}])
def test_attributes_that_cannot_be_sent_are_left_out(
    attributes: dict[str, AnyValue], caplog: pytest.LogCaptureFixture
) -> None:
    """An attribute that OTLP cannot carry is left out with one warning; the value is counted with the others."""
    twins = Twins()
    ours, _ = twins.histogram()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            ours.record(1, {"kept": "y", **attributes})
    ours.record(1, {"kept": "y"})
    (point,) = points(twins.ours())
    assert (point.attributes, point.count, len(caplog.records)) == ({"kept": "y"}, 4, 1)
    assert metrics_to_bytes(twins.ours() or MetricsData([]))


def test_names_become_text_as_in_the_sdk() -> None:
    """A name that is no text is treated as the SDK treats it, and can be sent."""
    twins = Twins()
    for histogram in twins.histogram():
        histogram.record(1, {1: "x", "a": ["p", {"q": 1}]})  # type: ignore[dict-item]
    (ours,), (theirs,) = points(twins.ours()), points(twins.theirs())
    assert (ours.attributes or {})["1"] == "x" == (theirs.attributes or {})["1"]
    assert metrics_to_bytes(twins.ours() or MetricsData([]))


def test_attributes_that_are_none_raise_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What is no mapping costs its value, with a warning."""
    twins = Twins()
    with caplog.at_level(logging.WARNING):
        twins.histogram()[0].record(1, ["no", "mapping"])  # type: ignore[arg-type]
    assert (twins.ours(), len(caplog.records)) == (None, 1)


def _refusing_bad(data: MetricsData, refuse: Refuse) -> bytes:
    """Encode the names, but for one metric."""
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    for metric in metrics:
        if metric.name == "bad":
            refuse(metric, ValueError("secret"))
    return b" ".join(metric.name.encode() for metric in metrics if metric.name != "bad")


def test_metric_that_cannot_be_encoded_costs_itself(caplog: pytest.LogCaptureFixture) -> None:
    """The other metrics are sent; its points are counted in every cycle, and it is named once."""
    twins = Twins()
    meter = twins.provider.get_meter("twins")
    meter.create_counter("good").add(1)
    meter.create_counter("bad").add(1)
    source = MetricSource(read=twins.ours, encode=_refusing_bad)
    with caplog.at_level(logging.WARNING):
        requests = [request for _ in range(2) for request in source.requests()]
    assert [(request.items, b"good" in request.body, b"bad" in request.body) for request in requests] == [
        (1, True, False)
    ] * 2
    assert source.dropped == {"not_encodable": 2}
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "metric bad cannot be encoded and is not sent"
    ]


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_threads_make_one_histogram(is_mirrored: bool) -> None:
    """Threads that ask for the same histogram at once get the same one, and it is exported once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            twins = Twins()
            provider = MirroredMeterProvider(twins.provider, Mirror()) if is_mirrored else twins.provider
            meter, barrier = provider.get_meter("twins"), threading.Barrier(4)
            record_at_once(meter, barrier)
            (point,) = points(twins.ours())
            assert point.count == 4
    finally:
        sys.setswitchinterval(before)


def record_at_once(meter: metrics.Meter, barrier: threading.Barrier) -> None:
    """Let as many threads as a barrier has places make a histogram and record a value."""

    def record() -> None:
        barrier.wait(30)
        meter.create_histogram("x").record(1)

    threads = [threading.Thread(target=record) for _ in range(barrier.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
