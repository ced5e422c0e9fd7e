"""Spans of time that do not count: maintenance, incidents of others, corrections after the fact.

They are applied when a window is read, not when events are counted, so an exclusion that is written today also holds
for last week, and one that is removed gives back what it hid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A span of time, nanoseconds since the epoch: its begin belongs to it, its end does not."""

    begin_unix_nano: int
    end_unix_nano: int


class Exclusion(Protocol):
    """Time that does not count, once or again and again."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> Iterable[Interval]:
        """Return every occurrence that touches a span of time, whole."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOff:
    """One span of time that does not count.

    Args:
        name: What it is, for people.
        interval: When.
    """

    name: str
    interval: Interval

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> Iterable[Interval]:
        """Return it if it touches a span of time."""
        touches = self.interval.begin_unix_nano < end_unix_nano and begin_unix_nano < self.interval.end_unix_nano
        return (self.interval,) if touches else ()


def excluded(exclusions: Iterable[Exclusion], begin_unix_nano: int, end_unix_nano: int) -> tuple[Interval, ...]:
    """Return what does not count of a span of time: in order, without overlaps, inside it."""
    found = sorted(one for exclusion in exclusions for one in exclusion.between(begin_unix_nano, end_unix_nano))
    merged: list[Interval] = []
    for one in found:
        begin, end = max(one.begin_unix_nano, begin_unix_nano), min(one.end_unix_nano, end_unix_nano)
        if merged and begin <= merged[-1].end_unix_nano:
            begin, end = merged[-1].begin_unix_nano, max(end, merged[-1].end_unix_nano)
            merged.pop()
        merged.append(Interval(begin, end))
    return tuple(merged)
