"""Cumulative and delta points to what was new since the last one.

Source: OpenTelemetry metrics data model, "Temporality", "Resets and Gaps" and "Single-Writer". A stream has one writer,
so an interval of a delta stream that overlaps none that was counted is new, whenever it comes.
"""

from __future__ import annotations

from enum import Enum
from operator import itemgetter, sub
from typing import NamedTuple

from sloburn.sli.exponential import Layout, added
from sloburn.sli.horizon import DUPLICATE

Values = tuple[int, ...]

OUT_OF_ORDER = "out of order"
"""The fate of a delta point that is too old to tell whether it was counted."""

MAX_INTERVALS = 16
"""Intervals of a delta stream that are held: more than a Collector's ten senders at once can put out of order."""

_ONE_BOUND = (0.0,)


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


def refusal(point: StreamState, last: StreamState | None, temporality: Temporality) -> str:
    """Return why a point adds nothing: it was seen before, or cannot be told from one that was; empty if it adds.

    A cumulative point that is older than the last one is told by the last one. A delta point stands for itself, in
    whatever order it comes.

    Args:
        point: The new point.
        last: What `remembered` returned for the stream's last point, if there was one.
        temporality: How the sender counts.
    """
    if last is None:
        return ""
    if temporality is Temporality.CUMULATIVE:
        return DUPLICATE if point.time_unix_nano <= last.time_unix_nano else ""
    return _Intervals.of(last).refusal(point.start_unix_nano, point.time_unix_nano)


def remembered(point: StreamState, last: StreamState | None, temporality: Temporality) -> StreamState:
    """Return what to keep of a stream whose point was counted: the point, or which delta intervals were counted."""
    if temporality is Temporality.CUMULATIVE:
        return point
    known = _Intervals(0, ()) if last is None else _Intervals.of(last)
    return known.extended(point.start_unix_nano, point.time_unix_nano).state()


def gain(point: StreamState, last: StreamState | None, temporality: Temporality, epoch: int) -> Gain:
    """Return what a point of any kind adds that `refusal` lets pass.

    Args:
        point: The new point.
        last: What `remembered` returned for the stream's last point, if there was one.
        temporality: How the sender counts.
        epoch: When our own history begins, nanoseconds since the epoch. The first point of a cumulative stream that
            began before is only a base line: what it counted happened before we looked.
    """
    if point.layout is None or last is None or last.layout is None or temporality is Temporality.DELTA:
        return Gain(_increase(point, last, temporality, epoch), point.layout)
    if point.start_unix_nano > last.start_unix_nano:
        return Gain(point.values, point.layout)
    layout, values = added(point.layout, point.values, last.layout, last.values)
    return Gain(values, layout)


def _increase(point: StreamState, last: StreamState | None, temporality: Temporality, epoch: int) -> Values:
    if temporality is Temporality.DELTA:
        return point.values
    if last is None:
        return point.values if point.start_unix_nano >= epoch else (0,) * len(point.values)
    if _Intervals.are_in(last):  # the sender sent deltas before: what they told is not told again
        return point.values if point.start_unix_nano >= last.time_unix_nano else (0,) * len(point.values)
    if point.bounds != last.bounds and point.start_unix_nano == last.start_unix_nano:
        return (0,) * len(point.values)  # the view changed under way: what these buckets held before is not known
    if point.start_unix_nano > last.start_unix_nano or len(point.values) != len(last.values):
        return point.values
    grown = tuple(map(sub, point.values, last.values))
    return point.values if min(grown, default=0) < 0 else grown  # what fell shows that the sender began anew


class _Intervals(NamedTuple):
    """Which intervals of a delta stream were counted.

    Args:
        forgotten_unix_nano: Where the newest of those ends that are not held any more; 0 as long as all are held.
        held: The beginning and end of the newest ones, by their ends, nanoseconds since the epoch.
    """

    forgotten_unix_nano: int
    held: tuple[tuple[int, int], ...]

    @staticmethod
    def are_in(state: StreamState) -> bool:
        """Tell whether a state is one that `state` wrote: no histogram has one bound and an odd number of buckets."""
        return state.bounds == _ONE_BOUND and len(state.values) % 2 == 1

    @classmethod
    def of(cls, state: StreamState) -> _Intervals:
        """Read what `state` wrote; of any other state only the last point is known."""
        if not cls.are_in(state):
            return cls(state.time_unix_nano, ((state.start_unix_nano, state.time_unix_nano),))
        forgotten, *ends = state.values
        return cls(forgotten, tuple(zip(ends[::2], ends[1::2], strict=True)))

    def state(self) -> StreamState:
        """Return what a restart needs, in the form that the last point of every stream is kept in."""
        start, newest = self.held[-1]
        values = (self.forgotten_unix_nano, *(moment for interval in self.held for moment in interval))
        return StreamState(start_unix_nano=start, time_unix_nano=newest, bounds=_ONE_BOUND, values=values)

    def refusal(self, start: int, end: int) -> str:
        """Return why an interval is not counted; one that comes late must be proven to be new."""
        if (start, end) in self.held:
            return DUPLICATE
        if end > self.held[-1][1]:
            return ""
        is_remembered = self.forgotten_unix_nano <= start < end
        if is_remembered and all(start >= until or end <= since for since, until in self.held):
            return ""
        return OUT_OF_ORDER

    def extended(self, start: int, end: int) -> _Intervals:
        """Return the intervals with one more; the oldest makes room where there are many."""
        held = tuple(sorted((*self.held, (start, end)), key=itemgetter(1)))
        gone, kept = held[:-MAX_INTERVALS], held[-MAX_INTERVALS:]
        return _Intervals(max([self.forgotten_unix_nano, *(until for _, until in gone)]), kept)
