"""Metrics to the body of an OTLP metrics request.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from sloburn.sdk.exporters import wire
from sloburn.sdk.redaction import redact_attributes

Refuse = Callable[[Metric, Exception], None]


def raise_at_once(_metric: Metric, error: Exception) -> None:
    """Refuse to leave out a metric.

    Args:
        error: Why it cannot be encoded.
    """
    raise error


def metrics_to_bytes(metrics: MetricsData, refuse: Refuse = raise_at_once) -> bytes:
    """Return the body of an OTLP metrics request.

    Args:
        metrics: What was collected.
        refuse: Told of every metric that cannot be encoded; when it returns, the request goes without that metric.
    """
    return b"".join([wire.block(b"\x0a", _under_resource(part, refuse)) for part in metrics.resource_metrics])


def _under_resource(part: ResourceMetrics, refuse: Refuse) -> bytes:
    scopes = b"".join([wire.block(b"\x12", _under_scope(scope, refuse)) for scope in part.scope_metrics])
    return wire.resource(b"\x0a", part.resource) + scopes + wire.text(b"\x1a", part.resource.schema_url)


def _under_scope(part: ScopeMetrics, refuse: Refuse) -> bytes:
    metrics = b"".join([_metric_block(metric, refuse) for metric in part.metrics])
    return wire.scope(b"\x0a", part.scope) + metrics + wire.text(b"\x1a", part.scope.schema_url)


def _metric_block(metric: Metric, refuse: Refuse) -> bytes:
    try:
        return wire.block(b"\x12", _metric(metric))
    except Exception as error:
        refuse(metric, error)
        return b""


def _metric(metric: Metric) -> bytes:
    head = wire.text(b"\x0a", metric.name) + wire.text(b"\x12", metric.description) + wire.text(b"\x1a", metric.unit)
    return head + _data(metric.data)


def _data(data: Gauge | Sum | Histogram | ExponentialHistogram) -> bytes:
    if isinstance(data, Gauge):
        # A gauge has no beginning; the SDK gives its points one all the same.
        return wire.block(b"\x2a", b"".join([_number_point(point, 0) for point in data.data_points]))
    temporality = wire.number(b"\x10", data.aggregation_temporality)
    if isinstance(data, Sum):
        points = b"".join([_number_point(point, point.start_time_unix_nano) for point in data.data_points])
        return wire.block(b"\x3a", points + temporality + (b"\x18\x01" if data.is_monotonic else b""))
    if isinstance(data, Histogram):
        points = b"".join([wire.block(b"\x0a", _histogram_point(point)) for point in data.data_points])
        return wire.block(b"\x4a", points + temporality)
    points = b"".join([wire.block(b"\x0a", _exponential_point(point)) for point in data.data_points])
    return wire.block(b"\x52", points + temporality)


def _number_point(point: NumberDataPoint, start_time: int) -> bytes:
    return wire.block(
        b"\x0a",
        wire.fixed64(b"\x11", start_time)
        + wire.fixed64(b"\x19", point.time_unix_nano)
        + _value(b"\x21", b"\x31", point.value)
        + _exemplars(b"\x2a", point.exemplars)
        + wire.attributes(b"\x3a", point.attributes),
    )


def _histogram_point(point: HistogramDataPoint) -> bytes:
    counts, bounds = point.bucket_counts, point.explicit_bounds
    return (
        wire.fixed64(b"\x11", point.start_time_unix_nano)
        + wire.fixed64(b"\x19", point.time_unix_nano)
        + wire.fixed64(b"\x21", point.count)
        + b"\x29"
        + wire.pack_double(point.sum)
        + (wire.block(b"\x32", struct.pack(f"<{len(counts)}Q", *counts)) if counts else b"")
        + (wire.block(b"\x3a", struct.pack(f"<{len(bounds)}d", *bounds)) if bounds else b"")
        + _exemplars(b"\x42", point.exemplars)
        + wire.attributes(b"\x4a", point.attributes)
        + _range(b"\x59", b"\x61", point.min, point.max)
    )


def _exponential_point(point: ExponentialHistogramDataPoint) -> bytes:
    # sint32 is written in zigzag: small negative numbers stay short.
    scale = (point.scale << 1) ^ (point.scale >> 31)
    return (
        wire.attributes(b"\x0a", point.attributes)
        + wire.fixed64(b"\x11", point.start_time_unix_nano)
        + wire.fixed64(b"\x19", point.time_unix_nano)
        + wire.fixed64(b"\x21", point.count)
        + b"\x29"
        + wire.pack_double(point.sum)
        + wire.number(b"\x30", scale)
        + wire.fixed64(b"\x39", point.zero_count)
        + _buckets(b"\x42", point.positive.offset, point.positive.bucket_counts)
        + _buckets(b"\x4a", point.negative.offset, point.negative.bucket_counts)
        + wire.number(b"\x50", point.flags)
        + _exemplars(b"\x5a", point.exemplars)
        + _range(b"\x61", b"\x69", point.min, point.max)
    )


def _buckets(tag: bytes, offset: int, counts: Sequence[int]) -> bytes:
    if not counts:
        return b""
    zigzag = (offset << 1) ^ (offset >> 31)
    return wire.block(
        tag, wire.number(b"\x08", zigzag) + wire.block(b"\x12", b"".join([wire.varint(count) for count in counts]))
    )


def _range(least_tag: bytes, most_tag: bytes, least: float, most: float) -> bytes:
    return least_tag + wire.pack_double(least) + most_tag + wire.pack_double(most)


def _value(double_tag: bytes, int_tag: bytes, value: float) -> bytes:
    """Encode the value of a point: whole numbers as sfixed64, which wraps as the SDK's counters never should."""
    if isinstance(value, int):
        return int_tag + wire.pack_fixed64(value & 0xFFFF_FFFF_FFFF_FFFF)
    return double_tag + wire.pack_double(value)


def _exemplars(tag: bytes, exemplars: Sequence[Exemplar]) -> bytes:
    return b"".join([wire.block(tag, _exemplar(exemplar)) for exemplar in exemplars])


def _exemplar(exemplar: Exemplar) -> bytes:
    ids = b""
    if exemplar.span_id is not None and exemplar.trace_id is not None:
        ids = b"\x22\x08" + exemplar.span_id.to_bytes(8, "big") + b"\x2a\x10" + exemplar.trace_id.to_bytes(16, "big")
    return (
        wire.fixed64(b"\x11", exemplar.time_unix_nano)
        + _value(b"\x19", b"\x31", exemplar.value)
        + ids
        + wire.attributes(b"\x3a", redact_attributes(dict(exemplar.filtered_attributes or {})))
    )
