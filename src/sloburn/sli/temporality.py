"""Cumulative and delta points to what was new since the last one.

Source: OpenTelemetry metrics data model, "Temporality", "Resets and Gaps" and "Single-Writer".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from operator import lt, sub

Values = tuple[int, ...]


class Temporality(Enum):
    """opentelemetry-proto, metrics.proto: AggregationTemporality. Unspecified must not be used."""

    DELTA = 1
    CUMULATIVE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """The last point of a metric stream.

    Args:
        start_unix_nano: Since when the sender counts.
        time_unix_nano: When it looked.
        bounds: Bucket bounds; empty for a sum.
        values: Counts by bucket, or the one count of a sum.
    """

    start_unix_nano: int
    time_unix_nano: int
    bounds: tuple[float, ...]
    values: Values


def increase(point: StreamState, last: StreamState | None, temporality: Temporality, epoch: int) -> Values | None:
    """Return what a point adds, by bucket; None for a point that was seen before or comes out of order.

    Args:
        point: The new point.
        last: The stream's last point, if there was one.
        temporality: How the sender counts.
        epoch: When our own history begins, nanoseconds since the epoch. The first point of a cumulative stream that
            began before is only a base line: what it counted happened before we looked.
    """
    if last is not None and point.time_unix_nano <= last.time_unix_nano:
        return None
    if temporality is Temporality.DELTA:
        return point.values
    if last is None:
        return point.values if point.start_unix_nano >= epoch else (0,) * len(point.values)
    if point.bounds != last.bounds and point.start_unix_nano == last.start_unix_nano:
        return (0,) * len(point.values)  # the view changed under way: what these buckets held before is not known
    if _was_reset(point, last):
        return point.values
    return tuple(map(sub, point.values, last.values))


def _was_reset(point: StreamState, last: StreamState) -> bool:
    return (
        point.start_unix_nano > last.start_unix_nano
        or len(point.values) != len(last.values)
        or any(map(lt, point.values, last.values))
    )
