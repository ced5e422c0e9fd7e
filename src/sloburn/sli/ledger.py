"""Exact integer counts over time: every event in the slice of its own time, every window a sum of slices.

A series keeps three rings of slices, fine ones for short look-backs and coarse ones for long. A ring is cut into blocks
that exist only where something happened, and a block knows its own sum, so a window costs a few additions however long
it is, and a late event costs the same as a fresh one. Counts are integers from end to end.

A look-back of length W at time t covers the slices from the one that holds t - W up to the one that holds t: it is
longer than W by less than one slice (5 s of 6 h, 1 min of 3 d, 5 min beyond). Excluded time takes out the slices that
begin in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sloburn.duration import DAY, HOUR, SECOND
from sloburn.sli.block import BLOCK_SLICES, Block
from sloburn.slo.budget import Count
from sloburn.slo.exclusions import Interval


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


def tier_for(resolutions: tuple[Tier, ...], length_ns: int) -> int:
    """Return the index of the finest resolution that reaches so far back."""
    found = (index for index, tier in enumerate(resolutions) if tier.reach_ns >= length_ns)
    return next(found, len(resolutions) - 1)


class Ring:
    """The slices of one resolution, in blocks."""

    __slots__ = ("blocks", "dirty", "tier")

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.blocks: dict[int, Block] = {}
        self.dirty: set[int] = set()

    def add(self, place: int, good: int, bad: int) -> None:
        """Count events in a slice; `place` is its number since the epoch."""
        number, offset = divmod(place, BLOCK_SLICES)
        block = self.blocks.get(number)
        if block is None:
            block = self.blocks[number] = Block()
        elif block.is_shared:
            block = self.blocks[number] = block.copy()
        block.add(offset, good, bad)
        self.dirty.add(number)

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> Count:
        """Return the counts of every slice that touches the span of time, both ends included."""
        slice_ns = self.tier.slice_ns
        return Count(*sum_slices(self.blocks, begin_unix_nano // slice_ns, end_unix_nano // slice_ns))

    def hidden(self, first: int, last: int, excluded: Iterable[Interval]) -> tuple[int, int]:
        """Return good and bad of those slices, from number `first` to `last`, that begin in excluded time."""
        return hidden_slices(self.blocks, self.tier.slice_ns, first, last, excluded)

    def bad_places(self) -> list[int]:
        """Return the numbers of the slices that hold bad events, in no order."""
        return [
            number * BLOCK_SLICES + offset
            for number, block in self.blocks.items()
            for offset, _, bad in block.cells()
            if bad
        ]

    def taken_back(self, place: int, good: int, bad: int) -> tuple[int, int]:
        """Return negative counts cut to what a slice still holds; `place` is its number since the epoch."""
        held_good, held_bad = sum_slices(self.blocks, place, place)
        return max(good, -held_good), max(bad, -held_bad)

    def share(self) -> dict[int, Block]:
        """Return blocks that will never change, for readers in other threads: later events go into copies."""
        for block in self.blocks.values():
            block.is_shared = True
        return dict(self.blocks)

    def prune(self, now: int) -> list[int]:
        """Forget blocks that no window can reach any more; return their numbers."""
        oldest = (now - self.tier.reach_ns) // self.tier.slice_ns // BLOCK_SLICES
        gone = [number for number in self.blocks if number < oldest]
        for number in gone:
            del self.blocks[number]
            self.dirty.discard(number)
        return gone


def sum_slices(blocks: Mapping[int, Block], first: int, last: int) -> tuple[int, int]:
    """Return good and bad of the slices from number `first` to `last` since the epoch, both included."""
    first_block, begin = divmod(first, BLOCK_SLICES)
    last_block, end = divmod(last, BLOCK_SLICES)
    if first_block == last_block:
        block = blocks.get(first_block)
        return (0, 0) if block is None else block.part(begin, end)
    good = bad = 0
    for number in range(first_block, last_block + 1):
        block = blocks.get(number)
        if block is None:
            continue
        more_good, more_bad = block.part(
            begin if number == first_block else 0, end if number == last_block else BLOCK_SLICES - 1
        )
        good += more_good
        bad += more_bad
    return good, bad


def hidden_slices(
    blocks: Mapping[int, Block], slice_ns: int, first: int, last: int, excluded: Iterable[Interval]
) -> tuple[int, int]:
    """Return good and bad of those slices, from number `first` to `last`, that begin in excluded time."""
    good = bad = 0
    for interval in excluded:
        begin = max(first, -(-interval.begin_unix_nano // slice_ns))
        end = min(last, -(-interval.end_unix_nano // slice_ns) - 1)
        if begin <= end:
            more_good, more_bad = sum_slices(blocks, begin, end)
            good += more_good
            bad += more_bad
    return good, bad


class Reach:
    """A look-back whose sum is kept up to date: events are added as they come, slices leave as time goes.

    Args:
        ring: Whose slices it sums.
    """

    __slots__ = ("bad", "first", "good", "last", "ring")

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.first, self.last = 0, -1  # numbers of slices, both included: none yet
        self.good = self.bad = 0

    def move(self, first: int, last: int) -> None:
        """Cover the slices from `first` to `last` instead."""
        blocks = self.ring.blocks
        if not self.first <= first <= self.last <= last:
            self.good, self.bad = sum_slices(blocks, first, last)
        else:
            if first > self.first:
                good, bad = sum_slices(blocks, self.first, first - 1)
                self.good -= good
                self.bad -= bad
            if last > self.last:
                good, bad = sum_slices(blocks, self.last + 1, last)
                self.good += good
                self.bad += bad
        self.first, self.last = first, last

    def counts(self, excluded: Iterable[Interval]) -> tuple[int, int]:
        """Return good and bad events, without those of excluded time."""
        good, bad = self.ring.hidden(self.first, self.last, excluded)
        return self.good - good, self.bad - bad


class Ledger:
    """All counts of one series: an SLO, or one group of it.

    Args:
        resolutions: Of the rings, finest first.
        look_backs: For each look-back whose sum is kept, which of the rings it is read from.
    """

    __slots__ = (
        "_attached",
        "_by_ring",
        "_span",
        "bad",
        "first_unix_nano",
        "good",
        "last_unix_nano",
        "reaches",
        "rings",
    )

    def __init__(self, resolutions: tuple[Tier, ...], look_backs: tuple[int, ...] = ()) -> None:
        self.rings = tuple(Ring(tier) for tier in resolutions)
        self.reaches = tuple(Reach(self.rings[tier]) for tier in look_backs)
        self._attached: dict[object, tuple[Reach, ...]] = {}
        self._by_ring = self._reaches_by_ring()
        self._span: tuple[tuple[int, int], ...] | None = None
        self.good = self.bad = 0
        self.first_unix_nano = 0
        self.last_unix_nano = 0

    @property
    def lifetime(self) -> Count:
        """Events ever counted."""
        return Count(self.good, self.bad)

    def attach(self, who: object, look_backs: tuple[int, ...]) -> tuple[Reach, ...]:
        """Return further look-backs whose sums are kept up to date; whoever reads them moves them.

        Args:
            who: Those who give the same get the same look-backs, and must move them alike.
            look_backs: For each, which of the rings it is read from.
        """
        if who not in self._attached:
            self._attached[who] = tuple(Reach(self.rings[tier]) for tier in look_backs)
            self._by_ring = self._reaches_by_ring()
        return self._attached[who]

    def detach(self) -> None:
        """Forget what was attached."""
        self._attached = {}
        self._by_ring = self._reaches_by_ring()

    def _reaches_by_ring(self) -> tuple[tuple[Ring, tuple[Reach, ...]], ...]:
        reaches = (*self.reaches, *(reach for found in self._attached.values() for reach in found))
        return tuple((ring, tuple(reach for reach in reaches if reach.ring is ring)) for ring in self.rings)

    def add(self, at_unix_nano: int, good: int, bad: int) -> None:
        """Count events at their own time, nanoseconds since the epoch; negative counts take back what is there."""
        for ring, reaches in self._by_ring:
            place = at_unix_nano // ring.tier.slice_ns
            more_good, more_bad = good, bad
            if good < 0 or bad < 0:  # a ring may have forgotten already what is taken back
                more_good, more_bad = ring.taken_back(place, good, bad)
            ring.add(place, more_good, more_bad)
            for reach in reaches:
                if reach.first <= place <= reach.last:
                    reach.good += more_good
                    reach.bad += more_bad
        self.good += good
        self.bad += bad
        if at_unix_nano > self.last_unix_nano:
            self.last_unix_nano = at_unix_nano
        if at_unix_nano < self.first_unix_nano or not self.first_unix_nano:
            self.first_unix_nano = at_unix_nano

    def move(self, span: tuple[tuple[int, int], ...]) -> bool:
        """Let every look-back cover the slices from first to last; tell whether any moved."""
        if span is self._span:
            return False
        self._span = span
        for reach, (first, last) in zip(self.reaches, span, strict=True):
            if first != reach.first or last != reach.last:
                reach.move(first, last)
        return True

    def window(self, now: int, length_ns: int) -> Count:
        """Return the counts of any look-back that ends at `now`, from the finest ring that reaches so far."""
        return self.ring_for(length_ns).between(now - length_ns, now)

    def ring_for(self, length_ns: int) -> Ring:
        """Return the finest ring that reaches so far back."""
        return self.rings[tier_for(tuple(ring.tier for ring in self.rings), length_ns)]

    def adopt(self, other: Ledger) -> None:
        """Take over the counts of a ledger of the same slices, which is used no more."""
        for ring, old in zip(self.rings, other.rings, strict=True):
            ring.blocks, ring.dirty = old.blocks, old.dirty
        self.good, self.bad = other.good, other.bad
        self.first_unix_nano, self.last_unix_nano = other.first_unix_nano, other.last_unix_nano
        self.recount()

    def resemble(self, other: Ledger) -> None:
        """Hold what a ledger of the same slices holds, which is used on."""
        for ring, theirs in zip(self.rings, other.rings, strict=True):
            ring.blocks = theirs.share()
            ring.dirty = set(ring.blocks)
        self.good, self.bad = other.good, other.bad
        self.first_unix_nano, self.last_unix_nano = other.first_unix_nano, other.last_unix_nano
        self.recount()

    def fold(self, parts: Sequence[Ledger]) -> None:
        """Hold what ledgers of the same slices hold together, and nothing else."""
        for place, ring in enumerate(self.rings):
            ring.blocks = {}
            for part in parts:
                for number, block in part.rings[place].blocks.items():
                    mine = ring.blocks.setdefault(number, Block())
                    for offset, good, bad in block.cells():
                        mine.add(offset, good, bad)
            ring.dirty = set(ring.blocks)
        self.good, self.bad = sum(part.good for part in parts), sum(part.bad for part in parts)
        self.first_unix_nano = min((part.first_unix_nano for part in parts if part.first_unix_nano), default=0)
        self.last_unix_nano = max((part.last_unix_nano for part in parts), default=0)
        self.recount()

    def prune(self, now: int) -> list[tuple[int, int]]:
        """Forget blocks that no window can reach any more; return their tiers and numbers."""
        gone = [(tier, number) for tier, ring in enumerate(self.rings) for number in ring.prune(now)]
        if gone:  # sums that were not moved for long may still hold what is gone
            self.recount()
        return gone

    def recount(self) -> None:
        """Work out every sum anew, the next time that somebody asks."""
        self._span = None
        for _, reaches in self._by_ring:
            for reach in reaches:
                reach.first, reach.last = 0, -1
