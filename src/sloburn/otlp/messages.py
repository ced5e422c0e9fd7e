"""What a decoded request looks like: the types of the lean messages, for the type checker and for readers.

The objects are protobuf messages built at run time (`sloburn.otlp.schema`). Field names and meanings are those of
opentelemetry-proto; times are nanoseconds since the Unix epoch, 0 if the sender left them out. `Attributes` maps a key
to the serialized AnyValue: read it with ``any_value(attributes.get(key, b""))``. Two traps: ``attributes[key]`` of a
missing key *adds* it (a habit of protobuf maps), so use ``get``; and the objects keep their whole request alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, bytes]

MetricKind: TypeAlias = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]


class Resource(Protocol):
    """Who sent it."""

    attributes: Attributes


class Scope(Protocol):
    """Which instrumentation made it."""

    name: str
    version: str
    attributes: Attributes


# --- traces ---


class Event(Protocol):
    """Something that happened during a span, an exception for instance."""

    time_unix_nano: int
    name: str
    attributes: Attributes


class Span(Protocol):
    """One operation. Kind 1 is internal, 2 server, 3 client, 4 producer, 5 consumer; ids are not validated.

    `status` is a serialized Status (`sloburn.otlp.span_status`) and `trace_state` the text's bytes.
    """

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: bytes
    flags: int
    name: str
    kind: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: Attributes
    events: Sequence[Event]
    status: bytes


class ScopeSpans(Protocol):
    """Spans of one scope."""

    scope: Scope
    spans: Sequence[Span]


class ResourceSpans(Protocol):
    """Spans of one resource."""

    resource: Resource
    scope_spans: Sequence[ScopeSpans]


class TraceRequest(Protocol):
    """An ExportTraceServiceRequest."""

    resource_spans: Sequence[ResourceSpans]


# --- metrics ---


class Exemplar(Protocol):
    """One measurement out of a data point, with the span in which it was taken; ids may be empty."""

    time_unix_nano: int
    as_double: float
    as_int: int
    span_id: bytes
    trace_id: bytes

    def WhichOneof(self, name: Literal["value"]) -> Literal["as_double", "as_int"] | None:
        """Return which of the two values is set."""
        ...


class Point(Protocol):
    """What all data points share; bit 0 of `flags` says that no value was recorded."""

    attributes: Attributes
    start_time_unix_nano: int
    time_unix_nano: int
    exemplars: Sequence[Exemplar]
    flags: int


class NumberPoint(Point, Protocol):
    """A data point of a sum or gauge."""

    as_double: float
    as_int: int

    def WhichOneof(self, name: Literal["value"]) -> Literal["as_double", "as_int"] | None:
        """Return which of the two values is set."""
        ...


class Distribution(Point, Protocol):
    """What both histograms share; `sum`, `min` and `max` may be left out: ask `HasField`."""

    count: int
    sum: float
    min: float
    max: float

    def HasField(self, name: Literal["sum", "min", "max"]) -> bool:
        """Return whether the sender set an optional field."""
        ...


class HistogramPoint(Distribution, Protocol):
    """A data point with explicit bounds: one more bucket than bounds; bucket i is (bound i-1, bound i]."""

    bucket_counts: Sequence[int]
    explicit_bounds: Sequence[float]


class Buckets(Protocol):
    """Buckets of one sign: bucket i is (base^(offset+i), base^(offset+i+1)] with base = 2^(2^-scale)."""

    offset: int
    bucket_counts: Sequence[int]


class ExponentialPoint(Distribution, Protocol):
    """A data point of an exponential histogram."""

    scale: int
    zero_count: int
    zero_threshold: float
    positive: Buckets
    negative: Buckets


class Gauge(Protocol):
    """Values that stand for themselves."""

    data_points: Sequence[NumberPoint]


class Sum(Protocol):
    """Added values. Temporality 1 is delta, 2 cumulative, 0 unspecified."""

    data_points: Sequence[NumberPoint]
    aggregation_temporality: int
    is_monotonic: bool


class Histogram(Protocol):
    """Distributions over explicit bounds."""

    data_points: Sequence[HistogramPoint]
    aggregation_temporality: int


class ExponentialHistogram(Protocol):
    """Distributions over exponential bounds."""

    data_points: Sequence[ExponentialPoint]
    aggregation_temporality: int


class Metric(Protocol):
    """One metric; which field holds its points is told by ``WhichOneof("data")``."""

    name: str
    unit: str
    gauge: Gauge
    sum: Sum
    histogram: Histogram
    exponential_histogram: ExponentialHistogram

    def WhichOneof(self, name: Literal["data"]) -> MetricKind | None:
        """Return the kind of the metric; None for an empty one or a kind that OTLP added later."""
        ...


class ScopeMetrics(Protocol):
    """Metrics of one scope."""

    scope: Scope
    metrics: Sequence[Metric]


class ResourceMetrics(Protocol):
    """Metrics of one resource."""

    resource: Resource
    scope_metrics: Sequence[ScopeMetrics]


class MetricsRequest(Protocol):
    """An ExportMetricsServiceRequest."""

    resource_metrics: Sequence[ResourceMetrics]


# --- logs ---


class LogRecord(Protocol):
    """One log record; `body` is a serialized AnyValue, empty if there is none."""

    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    severity_text: str
    body: bytes
    attributes: Attributes
    trace_id: bytes
    span_id: bytes
    event_name: str

    def SerializeToString(self, *, deterministic: bool) -> bytes:
        """Return the record in its wire form; attributes in the same order each time if `deterministic`."""
        ...


class ScopeLogs(Protocol):
    """Log records of one scope."""

    scope: Scope
    log_records: Sequence[LogRecord]


class ResourceLogs(Protocol):
    """Log records of one resource."""

    resource: Resource
    scope_logs: Sequence[ScopeLogs]


class LogsRequest(Protocol):
    """An ExportLogsServiceRequest."""

    resource_logs: Sequence[ResourceLogs]


Request: TypeAlias = TraceRequest | MetricsRequest | LogsRequest
