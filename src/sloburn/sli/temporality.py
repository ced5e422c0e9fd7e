"""Cumulative and delta points to what was new since the last one.

Source: OpenTelemetry metrics data model, "Temporality", "Resets and Gaps" and "Single-Writer".
"""

from __future__ import annotations

from enum import Enum
from operator import sub
from typing import NamedTuple

from sloburn.sli.exponential import Layout, added

Values = tuple[int, ...]


class Temporality(Enum):
    """opentelemetry-proto, metrics.proto: AggregationTemporality. Unspecified must not be used."""

    DELTA = 1
    CUMULATIVE = 2


class StreamState(NamedTuple):
    """The last point of a metric stream.

    Args:
        start_unix_nano: Since when the sender counts.
        time_unix_nano: When it looked.
        bounds: Explicit bucket bounds; empty for a sum.
        values: Counts by bucket, or the one count of a sum.
        layout: What the values of an exponential histogram stand for; None for everything else.
    """

    start_unix_nano: int
    time_unix_nano: int
    bounds: tuple[float, ...]
    values: Values
    layout: Layout | None = None


class Gain(NamedTuple):
    """What a point adds, by bucket, and what the buckets of an exponential histogram are."""

    values: Values
    layout: Layout | None = None


def gain(point: StreamState, last: StreamState | None, temporality: Temporality, epoch: int) -> Gain | None:
    """Return what a point of any kind adds; None for one that was seen before or comes out of order.

    The arguments are those of `increase`.
    """
    if point.layout is None or last is None or last.layout is None or temporality is Temporality.DELTA:
        values = increase(point, last, temporality, epoch)
        return None if values is None else Gain(values, point.layout)
    if point.time_unix_nano <= last.time_unix_nano:
        return None
    if point.start_unix_nano > last.start_unix_nano:
        return Gain(point.values, point.layout)
    layout, values = added(point.layout, point.values, last.layout, last.values)
    return Gain(values, layout)


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
    if point.start_unix_nano > last.start_unix_nano or len(point.values) != len(last.values):
        return point.values
    grown = tuple(map(sub, point.values, last.values))
    return point.values if min(grown, default=0) < 0 else grown  # what fell shows that the sender began anew
