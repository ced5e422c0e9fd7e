"""The bytes we write say what upstream's encoder says."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Exemplar, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    Gauge,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from sloburn.sdk.exporters import wire
from sloburn.sdk.exporters.answers import refused_items
from sloburn.sdk.exporters.log_encoding import logs_to_bytes
from sloburn.sdk.exporters.metric_encoding import metrics_to_bytes
from sloburn.sdk.exporters.span_encoding import spans_to_bytes
from sloburn.sdk.redaction import Redactor, use_redactor


@pytest.fixture(autouse=True, scope="module")
def without_redaction() -> Iterator[None]:
    """Let secrets through: upstream does, and Hypothesis finds words such as Authorization."""
    use_redactor(Redactor(is_enabled=False))
    yield
    use_redactor(Redactor())


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=80),
    st.binary(max_size=20),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=20), _VALUES, max_size=8)
_CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.integers(min_value=1, max_value=2**128 - 1),
    span_id=st.integers(min_value=1, max_value=2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    trace_state=st.sampled_from([TraceState(), TraceState([("ot", "th:8"), ("vendor", "x")])]),
)
_RESOURCES = [Resource({"service.name": "a", "n": 1}), Resource({"service.name": "b"}, "https://schema")]
_SCOPES = [None, InstrumentationScope("lib"), InstrumentationScope("lib", "1", "https://schema", {"a": [1, 2]})]


def spans_by_hand(drawn: Sequence[tuple[dict[str, Any], SpanContext, SpanContext | None]]) -> list[ReadableSpan]:
    """Make finished spans with everything that a span can have."""
    memory = InMemorySpanExporter()
    for number, (attributes, context, parent) in enumerate(drawn):
        provider = TracerProvider(resource=_RESOURCES[number % 2], shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(memory))
        tracer = provider.get_tracer("lib", "1" if number % 3 else None, "https://schema" if number % 2 else None)
        under = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None
        kind = list(SpanKind)[number % 5]
        span = tracer.start_span(f"span {number}", under, kind, attributes, [Link(context, attributes)])
        span.add_event("event", attributes, timestamp=number)
        if number % 2:
            span.record_exception(ValueError("no"))
            span.set_status(StatusCode.ERROR, "no")
        elif number % 3:
            span.set_status(StatusCode.OK)
        span.end()
    return list(memory.get_finished_spans())


@given(st.lists(st.tuples(_ATTRIBUTES, _CONTEXTS, st.none() | _CONTEXTS), min_size=1, max_size=4))
def test_spans(drawn: list[tuple[dict[str, Any], SpanContext, SpanContext | None]]) -> None:
    """Spans with events, links, statuses, parents and attributes of every type parse to what upstream writes."""
    spans = spans_by_hand(drawn)
    assert ExportTraceServiceRequest.FromString(spans_to_bytes(spans)) == encode_spans(spans)


def test_dropped_counts() -> None:
    """What the SDK's limits have dropped is said."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("lib").start_as_current_span("many") as span:
        for number in range(300):
            span.add_event(f"event {number}")
            span.add_link(SpanContext(number + 1, 1, is_remote=False))
    spans = memory.get_finished_spans()
    written = ExportTraceServiceRequest.FromString(spans_to_bytes(spans))
    assert written == encode_spans(spans)
    assert written.resource_spans[0].scope_spans[0].spans[0].dropped_events_count == 172


@given(
    body=_VALUES,
    attributes=_ATTRIBUTES,
    ids=st.sampled_from([(0, 0, 0), (2**127 + 1, 7, 1)]),
    severity=st.sampled_from([None, *SeverityNumber]),
    scope=st.sampled_from(_SCOPES),
)
def test_logs(
    body: Any,
    attributes: dict[str, Any],
    ids: tuple[int, int, int],
    severity: SeverityNumber | None,
    scope: InstrumentationScope | None,
) -> None:
    """Log records with bodies and attributes of every type parse to what upstream writes."""
    record = LogRecord(
        timestamp=1_700_000_000_000_000_000,
        observed_timestamp=1,
        severity_number=severity,
        severity_text="WARN",
        body=body,
        attributes=attributes,
        event_name="event",
    )
    record.trace_id, record.span_id, record.trace_flags = ids[0], ids[1], TraceFlags(ids[2])
    records = [ReadableLogRecord(record, resource, scope) for resource in _RESOURCES]
    assert ExportLogsServiceRequest.FromString(logs_to_bytes(records)) == encode_logs(records)


def collected(numbers: Sequence[float]) -> MetricsData:
    """Return metrics of every kind that have seen these numbers, with exemplars."""
    reader = InMemoryMetricReader()
    view = View(instrument_type=Histogram, instrument_name="exp*", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider(metric_readers=[reader], views=[view], resource=_RESOURCES[1], shutdown_on_exit=False)
    meter = provider.get_meter("lib", "1", "https://schema")

    def observe(options: CallbackOptions) -> list[Observation]:
        return [Observation(number, {"n": str(number)}) for number in numbers]

    meter.create_observable_gauge("gauge", [observe], unit="s", description="seconds")
    meter.create_observable_counter("observed", [observe])
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        for number in numbers:
            meter.create_counter("counter").add(abs(number), {"route": "/a"})
            meter.create_up_down_counter("up_down").add(number)
            meter.create_histogram("histogram", explicit_bucket_boundaries_advisory=[0.1, 1]).record(abs(number))
            meter.create_histogram("exponential").record(abs(number))
    data = reader.get_metrics_data()
    assert data is not None
    return data


@given(
    st.lists(
        st.integers(min_value=-(2**31), max_value=2**31) | st.floats(min_value=-1e9, max_value=1e9),
        min_size=1,
        max_size=5,
    )
)
def test_metrics(numbers: list[float]) -> None:
    """Metrics of every kind, with exemplars, parse to what upstream writes."""
    data = collected(numbers)
    assert ExportMetricsServiceRequest.FromString(metrics_to_bytes(data)) == encode_metrics(data)


def test_metric_that_cannot_be_encoded_is_left_out() -> None:
    """The others are written as without it, whoever asks is told which it was, and who does not gets the error."""
    data = collected([1.5, 2])
    part, scope = data.resource_metrics[0], data.resource_metrics[0].scope_metrics[0]
    point: Any = NumberDataPoint(attributes={}, start_time_unix_nano=1, time_unix_nano=2, value="no number")  # type: ignore[arg-type]
    bad = Metric("bad", "", "", Gauge([point]))
    mixed = replace(scope, metrics=[scope.metrics[0], bad, *scope.metrics[1:]])
    damaged = replace(data, resource_metrics=[replace(part, scope_metrics=[mixed])])
    refused: list[str] = []
    written = metrics_to_bytes(damaged, lambda metric, _error: refused.append(metric.name))
    assert ExportMetricsServiceRequest.FromString(written) == encode_metrics(data)
    assert refused == ["bad"]
    with pytest.raises(struct.error):
        metrics_to_bytes(damaged)


def nested(levels: int, *, is_mapping: bool) -> object:
    """Return a value that is so many levels deep."""
    value: object = "end"
    for _ in range(levels):
        value = {"a": value} if is_mapping else [value]
    return value


@pytest.mark.parametrize("is_mapping", [True, False])
def test_deep_values_harm_no_neighbours(*, is_mapping: bool) -> None:
    """However deep a value is, wherever it stands, receivers can read it: they refuse 100 levels of messages."""
    for levels in range(20, 130):
        deep: Any = nested(levels, is_mapping=is_mapping)
        record = LogRecord(timestamp=1, observed_timestamp=1, body=deep)
        record.attributes = {"deep": deep}
        ExportLogsServiceRequest.FromString(logs_to_bytes([ReadableLogRecord(record, _RESOURCES[0])]))
        event = Event("deep", {"deep": deep}, 1)
        span = ReadableSpan("deep", SpanContext(1, 2, is_remote=False), events=[event], resource=_RESOURCES[0])
        ExportTraceServiceRequest.FromString(spans_to_bytes([span]))
        exemplar = Exemplar({"deep": deep}, 1, 1, None, None)
        point = NumberDataPoint({}, 1, 2, 1, [exemplar])
        scope = ScopeMetrics(InstrumentationScope("lib"), [Metric("m", "", "", Gauge([point]))], "")
        data = MetricsData([ResourceMetrics(_RESOURCES[0], [scope], "")])
        ExportMetricsServiceRequest.FromString(metrics_to_bytes(data))


@pytest.mark.parametrize(
    ("value", "arrives"),
    [(2**70, str(2**70)), ("half \ud800 a pair", "half ? a pair"), (object, str(object)), ({1: 2}, {"1": 2})],
)
def test_what_otlp_has_no_type_for(value: object, arrives: object) -> None:
    """A value that OTLP cannot carry arrives as text instead of costing its batch."""
    record = LogRecord(timestamp=1, observed_timestamp=1, body="b")
    record.attributes = {"key": value}  # type: ignore[dict-item]
    (pair,) = (
        ExportLogsServiceRequest.FromString(logs_to_bytes([ReadableLogRecord(record, _RESOURCES[0])]))
        .resource_logs[0]
        .scope_logs[0]
        .log_records[0]
        .attributes
    )
    if isinstance(arrives, dict):
        assert [item.key for item in pair.value.kvlist_value.values] == list(arrives)
    else:
        assert pair.value.string_value == arrives


def test_value_that_fails_says_so_in_its_place() -> None:
    """An attribute whose value fails when it is looked at costs neither its neighbours nor its item."""

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    values = [(key, value) for key, value in {"a": 1, "b": Hostile(), "c": [Hostile()]}.items()]
    mark = "<{} that cannot be shown>"
    assert wire.attributes(b"\x0a", dict(values)) == wire.attributes(
        b"\x0a", {"a": 1, "b": mark.format("Hostile"), "c": mark.format("list")}
    )


def test_pairs_are_cached_by_type_and_up_to_a_bound() -> None:
    """1, True and 1.0 stay apart, and a label with endless values does not fill memory."""
    first = wire.attributes(b"\x0a", {"k": 1})
    assert len({first, wire.attributes(b"\x0a", {"k": True}), wire.attributes(b"\x0a", {"k": 1.0})}) == 3
    for number in range(10_000):
        wire.attributes(b"\x0a", {"k": number, "t": str(number), "long": "x" * 100 + str(number)})
    assert max(len(wire._INTS), len(wire._TEXTS)) <= 2048


def test_answers() -> None:
    """Refused items are read from protobuf and from JSON, and anything else is told from an answer."""
    answer = ExportTraceServiceResponse()
    assert refused_items(b"") == 0
    assert refused_items(answer.SerializeToString()) == 0
    answer.partial_success.error_message = "too old"
    assert refused_items(answer.SerializeToString()) == 0
    answer.partial_success.rejected_spans = 300
    assert refused_items(answer.SerializeToString()) == 300
    assert refused_items(b'{"partialSuccess": {"rejectedLogRecords": "4"}}', "application/json") == 4
    assert refused_items(b"{}", "application/json; charset=utf-8") == 0
    for garbage in (b"<html>", b"\xff" * 20, b"\x0a\x7f"):
        with pytest.raises(ValueError):
            refused_items(garbage)


@given(st.binary(max_size=40))
def test_any_answer(answer: bytes) -> None:
    """Whatever bytes come back, reading them ends in a number or in one kind of error."""
    with contextlib.suppress(ValueError):
        assert isinstance(refused_items(answer), int)
