"""What became of an item, and which moments can still be counted."""

from __future__ import annotations

from dataclasses import dataclass

from sloburn.duration import MINUTE

# The fates of items, as they are exposed.
COUNTED = "counted"
DUPLICATE = "duplicate"
FULL = "too many streams"
FUTURE = "in the future"
INVALID = "invalid"
TOO_LATE = "too late"
UNMATCHED = "unmatched"
UNUSABLE = "unusable"

MAX_AHEAD_NS = 5 * MINUTE  # a sender's clock may be so far ahead of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The moments that can be counted now.

    Args:
        now_unix_nano: Our clock.
        reach_ns: How far back slices are kept, nanoseconds.
        slice_ns: The finest slice, nanoseconds.
        epoch_unix_nano: When our own history begins: counters that began before are base lines.
    """

    now_unix_nano: int
    reach_ns: int
    slice_ns: int
    epoch_unix_nano: int

    def refusal(self, at_unix_nano: int) -> str:
        """Return why a moment cannot be counted; empty if it can."""
        if at_unix_nano > self.now_unix_nano + MAX_AHEAD_NS:
            return FUTURE
        return TOO_LATE if at_unix_nano < self.now_unix_nano - self.reach_ns else ""

    def slice_of(self, at_unix_nano: int) -> int:
        """Return the beginning of the finest slice that holds a moment."""
        return at_unix_nano // self.slice_ns * self.slice_ns
