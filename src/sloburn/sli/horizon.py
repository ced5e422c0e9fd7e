"""What became of an item, and which moments can still be counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sloburn.duration import DAY, MINUTE, SECOND

# The fates of items, as they are exposed.
COUNTED = "counted"
DUPLICATE = "duplicate"
FULL = "too many streams"
FUTURE = "in the future"
INCONSISTENT = "buckets and count differ"
INVALID = "invalid"
TOO_LATE = "too late"
UNMATCHED = "unmatched"
UNUSABLE = "unusable"

MAX_AHEAD_NS = 5 * MINUTE  # a sender's clock may be so far ahead of ours
MIN_LEAD_NS = 5 * SECOND  # a clock that is less ahead is called right

# The last point of a stream is remembered for so long after it. Every process that ends leaves streams behind, so they
# must be forgotten; one that is met again later is taken for an older one, and its first point is a base line.
STREAM_MEMORY_NS = 1 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The moments that can be counted now.

    Args:
        now_unix_nano: Our clock.
        reach_ns: How far back slices are kept, nanoseconds.
        slice_ns: The finest slice, nanoseconds.
        hold_ns: The slice by which the keys of counted spans are held, nanoseconds; 0 for the finest. It must not
            change with the SLOs, or a span that is sent again after a change would not be found.
        epoch_unix_nano: When our own history begins: counters that began before are base lines.
    """

    now_unix_nano: int
    reach_ns: int
    slice_ns: int
    epoch_unix_nano: int
    hold_ns: int = 0

    def refusal(self, at_unix_nano: int) -> str:
        """Return why a moment cannot be counted; empty if it can."""
        if at_unix_nano > self.now_unix_nano + MAX_AHEAD_NS:
            return FUTURE
        return TOO_LATE if at_unix_nano < self.now_unix_nano - self.reach_ns else ""

    def may_lead(self, slices: Collection[int]) -> bool:
        """Tell whether one of these slices, by their beginnings, can hold an event of a sender whose clock leads."""
        return bool(slices) and max(slices) + self.slice_ns > self.now_unix_nano + MIN_LEAD_NS

    def lead_of(self, times: Iterable[int]) -> int:
        """Return how far the newest of these moments that can be counted is ahead of our clock; 0 if none is."""
        newest = self.now_unix_nano + MAX_AHEAD_NS
        return max((at - self.now_unix_nano for at in times if self.now_unix_nano < at <= newest), default=0)

    def slice_of(self, at_unix_nano: int) -> int:
        """Return the beginning of the finest slice that holds a moment."""
        return at_unix_nano // self.slice_ns * self.slice_ns

    def hold_of(self, at_unix_nano: int) -> int:
        """Return the beginning of the slice by which the key of a span that ended then is held."""
        hold_ns = self.hold_ns or self.slice_ns
        return at_unix_nano // hold_ns * hold_ns

    def slice_around(self, at_unix_nano: int) -> tuple[int, int, int]:
        """Return the beginning of the finest slice that holds a moment, and which part of it can be counted.

        The part begins with the second value and ends before the third.
        """
        begin = self.slice_of(at_unix_nano)
        oldest, newest = self.now_unix_nano - self.reach_ns, self.now_unix_nano + MAX_AHEAD_NS
        return begin, max(begin, oldest), min(begin + self.slice_ns, newest + 1)
