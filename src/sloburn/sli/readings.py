"""Data points of any kind to one small form: whose stream it is, and what it counted by bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from math import floor, isfinite
from typing import NamedTuple

from sloburn.otlp.messages import Attributes, ExponentialPoint, HistogramPoint, Metric, NumberPoint, Point
from sloburn.sli.digest import digest_of
from sloburn.sli.exponential import HIGHEST_SCALE, LOWEST_SCALE, MOST_BUCKETS, Layout
from sloburn.sli.horizon import INCONSISTENT, UNUSABLE
from sloburn.sli.temporality import StreamState, Temporality, Values


class Reading(NamedTuple):
    """One data point, whatever its kind: the state of its stream, its attributes and how to read them."""

    state: StreamState
    temporality: Temporality
    unit: str
    attributes: Attributes
    key: bytes


def readings_of(metric: Metric, scope: bytes) -> Iterator[Reading | str]:
    """Yield the data points of a metric that count events, and the fates of those that do not.

    Monotonic sums and histograms count events; gauges, summaries, sums that can fall and points without a recorded
    value do not. Of a histogram whose buckets hold more or fewer events than it counts nobody knows which are right.
    """
    kind = metric.WhichOneof("data")
    if kind == "histogram":
        for bucketed in metric.histogram.data_points:
            temporality, bounds_and_values = metric.histogram.aggregation_temporality, _buckets(bucketed)
            yield _reading(metric, temporality, bucketed, scope, *bounds_and_values, count=bucketed.count)
    elif kind == "exponential_histogram":
        for spread in metric.exponential_histogram.data_points:
            layout, values = _spread(spread)
            temporality = metric.exponential_histogram.aggregation_temporality
            if layout is None:
                yield UNUSABLE
                continue
            yield _reading(metric, temporality, spread, scope, (), values, layout, spread.count)
    elif kind == "sum" and metric.sum.is_monotonic:
        for number in metric.sum.data_points:
            yield _reading(metric, metric.sum.aggregation_temporality, number, scope, (), (_whole(number),))
    elif kind is not None:
        yield from (UNUSABLE for _ in getattr(metric, kind).data_points)


def _buckets(point: HistogramPoint) -> tuple[tuple[float, ...], Values]:
    counts = tuple(point.bucket_counts)
    return (tuple(point.explicit_bounds), counts) if counts else ((), (point.count,))


def _spread(point: ExponentialPoint) -> tuple[Layout | None, Values]:
    """Return what is above zero by bucket, after what is not; no layout if it cannot be read."""
    counts = point.positive.bucket_counts
    if not LOWEST_SCALE <= point.scale <= HIGHEST_SCALE or len(counts) > MOST_BUCKETS:
        return None, ()
    layout = Layout(scale=point.scale, offset=point.positive.offset, zero_threshold=point.zero_threshold)
    return layout, (point.zero_count + sum(point.negative.bucket_counts), *counts)


def _whole(point: NumberPoint) -> int:
    if point.WhichOneof("value") == "as_int":
        return point.as_int
    return floor(point.as_double) if isfinite(point.as_double) else -1


_MOST_EVENTS = 2**53  # beyond, a counter that is a double skips numbers: it counts no events
_TEMPORALITIES = {one.value: one for one in Temporality}
_NO_RECORDED_VALUE = 1  # opentelemetry-proto, metrics.proto: DataPointFlags


def _reading(
    metric: Metric,
    temporality: int,
    point: Point,
    scope: bytes,
    bounds: tuple[float, ...],
    values: Values,
    layout: Layout | None = None,
    count: int | None = None,
) -> Reading | str:
    counting, events = _TEMPORALITIES.get(temporality), sum(values)
    if counting is None:
        return UNUSABLE
    if point.flags & _NO_RECORDED_VALUE or min(values) < 0 or events > _MOST_EVENTS:
        return UNUSABLE
    if bounds and len(values) != len(bounds) + 1:  # opentelemetry-proto, metrics.proto: HistogramDataPoint
        return UNUSABLE
    if count is not None and count != events:  # likewise: count is the sum of bucket_counts
        return INCONSISTENT
    state = StreamState(
        start_unix_nano=point.start_time_unix_nano,
        time_unix_nano=point.time_unix_nano,
        bounds=bounds,
        values=values,
        layout=layout,
    )
    key = _stream_key(scope, metric.name, point.attributes)
    return Reading(
        state=state,
        temporality=counting,
        unit=metric.unit,
        attributes=point.attributes,
        key=key,
    )


def _stream_key(scope: bytes, name: str, attributes: Attributes) -> bytes:
    digest = hashlib.blake2b(scope, digest_size=16)
    digest.update(name.encode())
    digest.update(digest_of(attributes))
    return digest.digest()
