"""Exemplars lead to traces that a sampler keeps: their spans are marked, and marks are few."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from sloburn.sdk.exemplars import (
    FRESH_NANOSECONDS,
    MARK_ATTRIBUTE,
    MARKS,
    SHOWN_NANOSECONDS,
    Kept,
    LastingReservoir,
    renew,
    view_of_counters,
)
from sloburn.sdk.exporters.metric_encoding import metrics_to_bytes
from sloburn.sdk.exporters.span_encoding import spans_to_bytes
from sloburn.sdk.prometheus.merge import merge
from sloburn.sdk.prometheus.series import Exemplar, Instrument
from sloburn.sdk.prometheus.store import Store
from sloburn.sdk.providers import SpanQueue
from tests.sdk.metric_processes import Measured

_START = 10**18
_SECOND = 10**9
_COUNTER = Instrument(name="work", kind="counter")


class Ended:
    """Keeps the spans that would be exported."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.processor = SpanQueue(self.spans.append)

    def marked(self) -> list[int]:
        """Return the traces of the marked spans."""
        contexts = [span.context for span in self.spans if (span.attributes or {}).get(MARK_ATTRIBUTE)]
        return [context.trace_id for context in contexts if context is not None]


@pytest.fixture
def ended() -> Iterator[Ended]:
    """Spans that have ended, in a process that has marked none."""
    MARKS.forget()
    yield Ended()
    MARKS.forget()


@pytest.fixture
def tracer(ended: Ended) -> trace.Tracer:
    """Makes spans."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ended.processor)
    return provider.get_tracer("test")


def test_a_mark_costs_a_span_nothing(ended: Ended) -> None:
    """The exported span has the mark and all that it had: a full span loses no attribute, and its losses stay known."""
    provider = TracerProvider(span_limits=SpanLimits(max_attributes=2, max_events=1), shutdown_on_exit=False)
    provider.add_span_processor(ended.processor)
    with provider.get_tracer("test").start_as_current_span("work") as span:
        span.set_attributes({"a": 1, "b": 2, "c": 3})
        span.add_event("first")
        span.add_event("second")
        assert renew(None, 1.0, _START, None) is not None
    (sent,) = ended.spans
    assert sent.attributes == {"b": 2, "c": 3, MARK_ATTRIBUTE: True}
    assert (sent.dropped_attributes, sent.dropped_events, sent.dropped_links) == (1, 1, 0)


def test_spans_that_never_end_are_forgotten(tracer: trace.Tracer) -> None:
    """What is remembered of marks is bounded, however many marked spans nobody ends."""
    for number in range(2000):
        span = tracer.start_span("endless")
        MARKS.mark(span, span.get_span_context().trace_id, _START + number * _SECOND)
    taken = [MARKS.take(trace.SpanContext(1, 1, is_remote=False)), MARKS.take(span.get_span_context())]
    assert taken == [False, True]
    assert max(len(known) for known in vars(MARKS).values() if isinstance(known, dict)) < 1100


def test_flags_that_are_a_plain_number_harm_nobody() -> None:
    """A span context with flags of another maker is an exemplar like any other."""
    context = trace.SpanContext(1, 2, is_remote=True, trace_flags=1)  # type: ignore[arg-type]
    store, measured = Store(now=lambda: _START), Measured(_COUNTER)
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert renew(None, 1.0, _START, None) == (1.0, _START, context, False)
        store.keep_exemplar(measured, store.add(measured, 1, None), 0, 1.0, None)
    assert store.own_series()[0].exemplars[0].trace_id == f"{1:032x}"


def test_old_exemplars_are_not_shown(tracer: trace.Tracer) -> None:
    """/metrics leaves out an exemplar after five minutes, as OTLP does; one from before the clock was set back goes."""
    now = _START
    store, measured = Store(now=lambda: now), Measured(_COUNTER)

    def count(value: float) -> None:
        with tracer.start_as_current_span("work"):
            store.keep_exemplar(measured, store.add(measured, 1, None), 0, value, None)

    def values() -> list[float]:
        return [one.value for one in store.collect()[0][0].exemplars.values()]

    count(1.0)
    shown = []
    for later in (0, SHOWN_NANOSECONDS - _SECOND, SHOWN_NANOSECONDS):
        now = _START + later
        shown.append(values())
    assert shown == [[1.0], [1.0], []]
    count(2.0)
    now -= SHOWN_NANOSECONDS
    count(3.0)
    assert values() == [3.0]


def test_at_most_one_trace_is_marked_in_a_second(ended: Ended, tracer: trace.Tracer) -> None:
    """A thousand series that are measured in a thousand traces in ten seconds mark ten of them, one in each second."""
    kept: list[Kept | None] = []
    for number in range(1000):
        with tracer.start_as_current_span("work"):
            kept.append(renew(None, 1.0, _START + number * _SECOND // 100, None))
    assert len(ended.marked()) == 10
    assert [one[2].trace_id for one in kept if one is not None and one[3]] == ended.marked()


def test_what_is_measured_in_one_trace_shares_its_mark(ended: Ended, tracer: trace.Tracer) -> None:
    """All that one request measures leads to it, whichever second it is by then."""
    with tracer.start_as_current_span("request"):
        kept = [renew(None, 1.0, _START + number * _SECOND, None) for number in range(3)]
    assert [one is not None and one[3] for one in kept] == [True] * 3
    assert len(ended.marked()) == 1


def test_a_series_is_marked_twice_a_minute(ended: Ended, tracer: trace.Tracer) -> None:
    """One series marks no more than one trace in half a minute, in memory as in the store of /metrics."""
    now = _START
    store, measured = Store(now=lambda: now), Measured(_COUNTER)
    kept: Kept | None = None
    for number in range(1200):
        now = _START + number * _SECOND // 10
        with tracer.start_as_current_span("work"):
            kept = renew(kept, 1.0, now, None)
            store.keep_exemplar(measured, store.add(measured, 1, None), 0, 1.0, None)
    assert len(ended.marked()) == 4
    assert kept is not None
    (series,) = store.own_series()
    assert (kept[3], f"{kept[2].trace_id:032x}") == (True, series.exemplars[0].trace_id)
    assert series.exemplars[0].is_marked


def test_a_marked_trace_is_not_given_up_for_one_that_may_be_dropped(ended: Ended, tracer: trace.Tracer) -> None:
    """Spans that are not recorded any more cannot be marked: they are exemplars only where no marked one is left."""
    now = _START
    store, measured = Store(now=lambda: now), Measured(_COUNTER)
    with tracer.start_as_current_span("marked") as span:
        first = kept = renew(None, 1.0, now, None)
        store.keep_exemplar(measured, store.add(measured, 1, None), 0, 1.0, None)
    over = tracer.start_span("over")
    over.end()
    for later in (1, FRESH_NANOSECONDS + 1, SHOWN_NANOSECONDS - 2):
        now = _START + later
        with trace.use_span(over):
            kept = renew(kept, 2.0, now, None)
            store.keep_exemplar(measured, store.add(measured, 1, None), 0, 2.0, None)
        assert kept is first
        assert store.own_series()[0].exemplars[0].trace_id == f"{span.get_span_context().trace_id:032x}"
    now = _START + SHOWN_NANOSECONDS + 1
    with trace.use_span(over):
        kept = renew(kept, 2.0, now, None)
        store.keep_exemplar(measured, store.add(measured, 1, None), 0, 2.0, None)
    assert kept is not None
    assert (kept[0], kept[3], store.own_series()[0].exemplars[0].value) == (2.0, False, 2.0)
    assert len(ended.marked()) == 1


def test_of_several_processes_the_marked_trace_is_shown() -> None:
    """Merging prefers a trace that is kept, unless it is minutes older."""

    def shown(*exemplars: Exemplar) -> float:
        store, measured = Store(), Measured(_COUNTER)
        store.add(measured, 1, None)
        (part,) = store.own_series()
        parts = [
            type(part)(instrument=_COUNTER, attributes=(), value=part.value, exemplars={0: one}) for one in exemplars
        ]
        return merge(parts)[0].exemplars[0].value

    def one(value: float, second: int, *, is_marked: bool) -> Exemplar:
        return Exemplar(
            trace_id="a" * 32, span_id="b" * 16, value=value, unix_nano=second * _SECOND, is_marked=is_marked
        )

    marked = one(1.0, 1000, is_marked=True)
    for newer, expected in ((one(2.0, 1010, is_marked=False), 1.0), (one(2.0, 1301, is_marked=False), 2.0)):
        assert shown(marked, newer) == shown(newer, marked) == expected


def test_counters_of_one_name_are_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    """Counters of two libraries that share a name are both counted, and the SDK, holding its lock, says nothing."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], views=[view_of_counters()], shutdown_on_exit=False)
    for library in ("one", "other"):
        meters.get_meter(library).create_counter("requests").add(1)
    data = reader.get_metrics_data()
    assert isinstance(data, MetricsData)
    assert [scope.scope.name for scope in data.resource_metrics[0].scope_metrics] == ["one", "other"]
    assert caplog.messages == []
    meters.shutdown()


def test_counters_keep_their_exemplar_for_minutes(ended: Ended, tracer: trace.Tracer) -> None:
    """A counter shows its exemplar in every export until a better one comes, or for five minutes."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=[view_of_counters()], shutdown_on_exit=False)
    counter = provider.get_meter("test").create_counter("work")
    with tracer.start_as_current_span("work"):
        counter.add(1)
    shown = [[one.trace_id for one in exemplars_of(reader.get_metrics_data())] for _ in range(3)]
    assert shown == [ended.marked()] * 3
    reservoir = LastingReservoir()
    reservoir.offer(1, time.time_ns() - SHOWN_NANOSECONDS, None, Context())
    assert reservoir.collect({}) == []


def exemplars_of(data: MetricsData | None) -> list[SdkExemplar]:
    """Return the exemplars of all points."""
    parts = data.resource_metrics if data is not None else []
    metrics = [metric for part in parts for scope in part.scope_metrics for metric in scope.metrics]
    return [one for metric in metrics for point in metric.data.data_points for one in getattr(point, "exemplars", ())]


def test_attributes_of_exemplars_and_links_hold_no_secrets(tracer: trace.Tracer) -> None:
    """What a view has taken off a series, and what a link says, is redacted like a span's attributes."""
    exemplar = SdkExemplar({"password": "hunter2", "plan": "gold"}, 1, 1, None, None)
    point = NumberDataPoint({}, 1, 2, 1, [exemplar])
    metric = Metric("work", "", "1", Sum([point], AggregationTemporality.CUMULATIVE, is_monotonic=True))
    scopes = [ScopeMetrics(InstrumentationScope("test"), [metric], "")]
    metrics = metrics_to_bytes(MetricsData([ResourceMetrics(Resource.get_empty(), scopes, "")]))
    link = trace.Link(trace.SpanContext(1, 1, is_remote=False), {"password": "hunter2", "plan": "gold"})
    span = tracer.start_span("work", links=[link])
    assert isinstance(span, ReadableSpan)
    for body in (metrics, spans_to_bytes([span])):
        assert (b"hunter2" in body, b"gold" in body) == (False, True)


def test_the_collector_keeps_what_is_marked() -> None:
    """The tail sampling of otel-collector.yaml has a policy for just this attribute and value."""
    text = (Path(__file__).parents[2] / "otel-collector.yaml").read_text()
    policies = yaml.safe_load(text)["processors"]["tail_sampling"]["policies"]
    kept = [policy["boolean_attribute"] for policy in policies if policy["type"] == "boolean_attribute"]
    assert {"key": MARK_ATTRIBUTE, "value": True} in kept
