"""Builders of OTLP requests, with the official protobuf classes: what a sender would send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Value = str | int | float | bool

SERVER = Span.SPAN_KIND_SERVER
CLIENT = Span.SPAN_KIND_CLIENT
DELTA, CUMULATIVE = 1, 2


def attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    """Return attributes in their wire form."""
    return [KeyValue(key=key, value=_any(value)) for key, value in values.items()]


def _any(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value) if isinstance(value, float) else AnyValue(string_value=value)


@dataclass(frozen=True, kw_only=True)
class SpanSpec:
    """A span in short.

    Args:
        number: Makes the ids; equal numbers are the same span.
        end: Nanoseconds since the epoch.
        duration: Nanoseconds.
        error: Its status is error.
        values: Its attributes.
        exception: Type of a recorded exception; none if empty.
        state: Its trace state.
        span_id: Where it does not follow from the number.
    """

    number: int
    end: int
    duration: int = 1_000_000
    error: bool = False
    kind: Span.SpanKind.ValueType = SERVER
    name: str = "GET /"
    values: Mapping[str, Value] = field(default_factory=dict)
    exception: str = ""
    state: str = ""
    span_id: int = 0

    def build(self) -> Span:
        """Return the span in its wire form."""
        span = Span(
            trace_id=self.number.to_bytes(16, "big"),
            span_id=(self.span_id or self.number + 1).to_bytes(8, "big"),
            trace_state=self.state,
            name=self.name,
            kind=self.kind,
            start_time_unix_nano=self.end - self.duration,
            end_time_unix_nano=self.end,
            attributes=attributes(self.values),
        )
        if self.error:
            span.status.code = span.status.STATUS_CODE_ERROR
        if self.exception:
            found = {"exception.type": self.exception, "exception.message": "it broke"}
            span.events.add(name="exception", time_unix_nano=self.end, attributes=attributes(found))
        return span


def trace_request(
    spans: Iterable[SpanSpec], service: str = "shop", resource: Mapping[str, Value] | None = None
) -> ExportTraceServiceRequest:
    """Return a request that carries spans of one service."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add(
        resource=Resource(attributes=attributes({"service.name": service, **(resource or {})}))
    )
    part.scope_spans.add().spans.extend(span.build() for span in spans)
    return request


@dataclass(frozen=True, kw_only=True)
class PointSpec:
    """A data point in short: of a histogram where there are buckets, else of a sum."""

    time: int
    start: int
    value: int | float = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)


def metric_request(
    name: str,
    points: Iterable[PointSpec],
    *,
    service: str = "shop",
    unit: str = "s",
    temporality: int = CUMULATIVE,
    monotonic: bool = True,
) -> ExportMetricsServiceRequest:
    """Return a request that carries the points of one metric of one service."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add(resource=Resource(attributes=attributes({"service.name": service})))
    metric = part.scope_metrics.add().metrics.add(name=name, unit=unit)
    for point in points:
        _add_point(metric, point, temporality, monotonic=monotonic)
    return request


def _add_point(metric: Metric, point: PointSpec, temporality: int, *, monotonic: bool) -> None:
    if point.buckets:
        metric.histogram.aggregation_temporality = temporality  # type: ignore[assignment]
        metric.histogram.data_points.add(
            start_time_unix_nano=point.start,
            time_unix_nano=point.time,
            count=sum(point.buckets),
            bucket_counts=point.buckets,
            explicit_bounds=point.bounds,
            attributes=attributes(point.values),
        )
        return
    metric.sum.aggregation_temporality = temporality  # type: ignore[assignment]
    metric.sum.is_monotonic = monotonic
    number = metric.sum.data_points.add(
        start_time_unix_nano=point.start, time_unix_nano=point.time, attributes=attributes(point.values)
    )
    if isinstance(point.value, float):
        number.as_double = point.value
    else:
        number.as_int = point.value


@dataclass(frozen=True, kw_only=True)
class LogSpec:
    """A log record in short.

    Args:
        time: Nanoseconds since the epoch; 0 if the sender left it out.
        severity: Its number.
        body: Its text.
        event: Its event name.
        values: Its attributes.
        observed: When a collector saw it, nanoseconds since the epoch.
        text: The severity's text.
    """

    time: int
    severity: int = 9
    body: str = "paid"
    event: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    observed: int = 0
    text: str = ""

    def build(self) -> LogRecord:
        """Return the record in its wire form."""
        return LogRecord(
            time_unix_nano=self.time,
            observed_time_unix_nano=self.observed,
            severity_number=self.severity,  # type: ignore[arg-type]
            severity_text=self.text,
            body=AnyValue(string_value=self.body),
            event_name=self.event,
            attributes=attributes(self.values),
            trace_id=bytes(range(16)),
            span_id=bytes(range(1, 9)),
        )


def log_request(
    records: Iterable[LogSpec], service: str = "shop", resource: Mapping[str, Value] | None = None
) -> ExportLogsServiceRequest:
    """Return a request that carries log records of one service."""
    request = ExportLogsServiceRequest()
    part = request.resource_logs.add(
        resource=Resource(attributes=attributes({"service.name": service, **(resource or {})}))
    )
    part.scope_logs.add().log_records.extend(record.build() for record in records)
    return request
