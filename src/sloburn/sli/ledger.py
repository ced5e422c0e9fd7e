"""Exact integer counts over time: every event in the slice of its own time, every window a sum of slices.

A series keeps three rings of slices, fine ones for short look-backs and coarse ones for long. A ring is cut into blocks
that exist only where something happened, and a block knows its own sum, so a window costs a few additions however long
it is, and a late event costs the same as a fresh one. Counts are integers from end to end.

A look-back of length W at time t covers the slices from the one that holds t - W up to the one that holds t: it is
longer than W by less than one slice (5 s of 6 h, 1 min of 3 d, 5 min beyond).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from sloburn.duration import DAY, HOUR, SECOND
from sloburn.slo.budget import Count

BLOCK_SLICES = 288  # a block of the coarsest ring is one UTC day

_MAX_NARROW = 2**32 - 1
_WIDE_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One resolution: how long a slice is and how far back it must reach, nanoseconds."""

    slice_ns: int
    reach_ns: int


def tiers(period_ns: int, time_scale: int = 1) -> tuple[Tier, ...]:
    """Return the three resolutions for a period, finest first; each slice is a whole multiple of the one before.

    Args:
        period_ns: The (scaled) period of the SLO.
        time_scale: How many times faster than written the windows run.
    """
    fine = 5 * SECOND // time_scale
    return (
        Tier(slice_ns=fine, reach_ns=6 * HOUR // time_scale),
        Tier(slice_ns=fine * 12, reach_ns=3 * DAY // time_scale),
        Tier(slice_ns=fine * 60, reach_ns=max(period_ns, 3 * DAY // time_scale)),
    )


class Block:
    """A run of slices: good and bad counts in turn, and their sums."""

    __slots__ = ("bad", "cells", "good")

    def __init__(self, cells: array[int] | None = None) -> None:
        self.cells: array[int] = array("I", bytes(8 * BLOCK_SLICES)) if cells is None else cells
        self.good = sum(self.cells[0::2])
        self.bad = sum(self.cells[1::2])

    def add(self, offset: int, good: int, bad: int) -> None:
        """Add to the slice at `offset`; a block whose sums pass 32 bits is widened first."""
        self.good += good
        self.bad += bad
        if self.good + self.bad > _MAX_NARROW and self.cells.itemsize < _WIDE_BYTES:
            self.cells = array("Q", self.cells)
        self.cells[2 * offset] += good
        self.cells[2 * offset + 1] += bad

    def part(self, first: int, last: int) -> tuple[int, int]:
        """Return good and bad of the slices from offset `first` to `last`, both included."""
        if first == 0 and last == BLOCK_SLICES - 1:
            return self.good, self.bad
        cells = self.cells[2 * first : 2 * last + 2]
        return sum(cells[0::2]), sum(cells[1::2])

    def to_bytes(self) -> bytes:
        """Return the cells as the machine writes integers, led by their width in bytes."""
        return bytes([self.cells.itemsize]) + self.cells.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Block:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: The data is no block.
        """
        code = {4: "I", 8: "Q"}.get(data[0] if data else 0)
        if code is None or len(data) != 1 + data[0] * 2 * BLOCK_SLICES:
            raise ValueError(f"{len(data)} bytes are no block")
        return cls(array(code, data[1:]))


class Ring:
    """The slices of one resolution, in blocks."""

    __slots__ = ("blocks", "dirty", "tier")

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.blocks: dict[int, Block] = {}
        self.dirty: set[int] = set()

    def add(self, at_unix_nano: int, good: int, bad: int) -> None:
        """Count events in the slice that holds their time."""
        number, offset = divmod(at_unix_nano // self.tier.slice_ns, BLOCK_SLICES)
        block = self.blocks.get(number)
        if block is None:
            block = self.blocks[number] = Block()
        block.add(offset, good, bad)
        self.dirty.add(number)

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> Count:
        """Return the counts of every slice that touches the span of time, both ends included."""
        slice_ns = self.tier.slice_ns
        first_block, first = divmod(begin_unix_nano // slice_ns, BLOCK_SLICES)
        last_block, last = divmod(end_unix_nano // slice_ns, BLOCK_SLICES)
        good = bad = 0
        for number in range(first_block, last_block + 1):
            block = self.blocks.get(number)
            if block is None:
                continue
            begin = first if number == first_block else 0
            end = last if number == last_block else BLOCK_SLICES - 1
            more_good, more_bad = block.part(begin, end)
            good += more_good
            bad += more_bad
        return Count(good, bad)

    def prune(self, now: int) -> list[int]:
        """Forget blocks that no window can reach any more; return their numbers."""
        oldest = (now - self.tier.reach_ns) // self.tier.slice_ns // BLOCK_SLICES
        gone = [number for number in self.blocks if number < oldest]
        for number in gone:
            del self.blocks[number]
            self.dirty.discard(number)
        return gone


class Ledger:
    """All counts of one series: an SLO, or one group of it."""

    __slots__ = ("first_unix_nano", "last_unix_nano", "lifetime", "rings")

    def __init__(self, resolutions: tuple[Tier, ...]) -> None:
        self.rings = tuple(Ring(tier) for tier in resolutions)
        self.lifetime = Count()
        self.first_unix_nano = 0
        self.last_unix_nano = 0

    def add(self, at_unix_nano: int, good: int, bad: int) -> None:
        """Count events at their own time, nanoseconds since the epoch."""
        for ring in self.rings:
            ring.add(at_unix_nano, good, bad)
        self.lifetime = Count(self.lifetime.good + good, self.lifetime.bad + bad)
        self.last_unix_nano = max(self.last_unix_nano, at_unix_nano)
        self.first_unix_nano = min(self.first_unix_nano or at_unix_nano, at_unix_nano)

    def window(self, now: int, length_ns: int) -> Count:
        """Return the counts of a look-back that ends at `now`, from the finest ring that reaches so far."""
        return self._ring(length_ns).between(now - length_ns, now)

    def between(self, begin_unix_nano: int, end_unix_nano: int, now: int) -> Count:
        """Return the counts of a span of time, from the finest ring that still holds all of it."""
        return self._ring(now - begin_unix_nano).between(begin_unix_nano, end_unix_nano)

    def resolution(self, length_ns: int) -> int:
        """Return the length of the slices, nanoseconds, in which a look-back is counted."""
        return self._ring(length_ns).tier.slice_ns

    def _ring(self, length_ns: int) -> Ring:
        return next((ring for ring in self.rings if ring.tier.reach_ns >= length_ns), self.rings[-1])
