"""What a slice of time is: good, bad, or nothing that counts. Pure questions to the ledgers of events behind it.

A verdict depends on nothing but those ledgers, so a slice that is judged again after a late event, or after a restart,
is judged as if everything had come in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Protocol

from sloburn.sli.ledger import Ledger, Ring
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import NoEvents
from sloburn.slo.timed import FINE_AGE_NS, MINUTE_AGE_NS

Verdict = bool | None
"""Good, bad, or None: the slice does not count."""


class Rule(Protocol):
    """How the slices of one series are judged.

    Args:
        slice_ns: Their length, nanoseconds.
        reach_ns: How far back a slice can be judged anew: no farther than single slices are kept.
    """

    slice_ns: int
    reach_ns: int

    def first_event(self) -> int:
        """Return when the first event behind the slices happened, nanoseconds since the epoch; 0 before it."""
        ...

    def verdict(self, begin: int, gaps: Sequence[Interval], history: int) -> Verdict:
        """Judge the slice that begins at `begin`.

        Args:
            begin: Nanoseconds since the epoch.
            gaps: When nobody listened, in order.
            history: When the series' own history began: nothing is missed before.
        """
        ...

    def moved_by(self, at: int, gaps: Sequence[Interval]) -> tuple[int, int]:
        """Return the first and the last slice, by number, that an event counted in the cell at `at` can move."""
        ...


def ring_of_slices(ledger: Ledger, slice_ns: int) -> Ring:
    """Return the ring that reaches farthest back among those whose cells divide a slice."""
    return next(ring for ring in reversed(ledger.rings) if slice_ns % ring.tier.slice_ns == 0)


class ShareRule:
    """A slice is good where each ledger's share of good events within it reaches its target.

    Args:
        parts: Ledgers and the targets of their events.
        slice_ns: Length of a slice, nanoseconds.
        no_events: What a ledger says of a slice without events; a slice of which nobody says anything does not count.
        ends_ns: A ledger without an event for so long says nothing any more, nanoseconds; 0 for never.
    """

    def __init__(
        self, parts: Iterable[tuple[Ledger, Fraction]], slice_ns: int, no_events: NoEvents, ends_ns: int = 0
    ) -> None:
        found = [(ledger, ring_of_slices(ledger, slice_ns), target) for ledger, target in parts]
        self._ledgers = [ledger for ledger, _, _ in found]
        self._parts = [(ring, target.numerator, target.denominator) for _, ring, target in found]
        self._silence: Verdict = {NoEvents.GOOD: True, NoEvents.BAD: False}.get(no_events)
        self._ends_ns = ends_ns
        self.slice_ns = slice_ns
        self.reach_ns = min(ring.tier.reach_ns for ring, _, _ in self._parts)

    def first_event(self) -> int:
        """Return when the first event happened, nanoseconds since the epoch; 0 before it."""
        return min((one.first_unix_nano for one in self._ledgers if one.first_unix_nano), default=0)

    def verdict(self, begin: int, gaps: Sequence[Interval], history: int) -> Verdict:
        """Judge the slice that begins at `begin`."""
        end = begin + self.slice_ns
        said: Verdict = None
        for ledger, (ring, numerator, denominator) in zip(self._ledgers, self._parts, strict=True):
            count = ring.between(begin, end - 1)
            if count.total:
                one: Verdict = count.good * denominator >= count.total * numerator
            elif begin >= history and not _touches(gaps, begin, end) and not _has_ended(ledger, end, self._ends_ns):
                one = self._silence
            else:
                one = None
            if one is False:
                return False
            said = one if said is None else said
        return said

    def moved_by(self, at: int, gaps: Sequence[Interval]) -> tuple[int, int]:
        """Return the one slice that holds the event."""
        del gaps  # an event says nothing of other slices
        return at // self.slice_ns, at // self.slice_ns


class FreshnessRule:
    """A slice is good where a good event lies in the look-back of `within_ns` that ends with the slice.

    While nobody listened nothing ages: the look-back is longer by every gap in it. Before the history is so old that
    an event can be missed in it, a slice without one does not count.

    Args:
        ledger: Of the events.
        slice_ns: Length of a slice, nanoseconds.
        within_ns: How old the last good event may be, nanoseconds.
        time_scale: How many times faster than written the windows run.
        ends_ns: Without an event for so long slices count no more, nanoseconds; 0 for never.
    """

    def __init__(self, ledger: Ledger, slice_ns: int, within_ns: int, time_scale: int, ends_ns: int = 0) -> None:
        fine = (FINE_AGE_NS, MINUTE_AGE_NS)
        tier = sum(within_ns > age // time_scale for age in fine)  # always the same, so a verdict never depends on when
        self._ledger = ledger
        self._ring = ledger.rings[tier]
        self._within_ns = within_ns
        self._ends_ns = ends_ns
        self.slice_ns = slice_ns
        self.reach_ns = min(self._ring.tier.reach_ns - within_ns, ring_of_slices(ledger, slice_ns).tier.reach_ns)

    def first_event(self) -> int:
        """Return when the first event happened, nanoseconds since the epoch; 0 before it."""
        return self._ledger.first_unix_nano

    def verdict(self, begin: int, gaps: Sequence[Interval], history: int) -> Verdict:
        """Judge the slice that begins at `begin`."""
        end = begin + self.slice_ns
        oldest = end - self._within_ns
        for gap in reversed(gaps):
            if gap.begin_unix_nano < end and gap.end_unix_nano > oldest:
                oldest -= min(gap.end_unix_nano, end) - gap.begin_unix_nano
        if self._ring.between(oldest, end - 1).good:
            return True
        is_known = oldest >= history and not _touches(gaps, begin, end)
        return False if is_known and not _has_ended(self._ledger, end, self._ends_ns) else None

    def moved_by(self, at: int, gaps: Sequence[Interval]) -> tuple[int, int]:
        """Return the slices for which the event may be the last one."""
        longest = self._within_ns + sum(gap.end_unix_nano - gap.begin_unix_nano for gap in gaps)
        last = at + self._ring.tier.slice_ns + longest
        return at // self.slice_ns, last // self.slice_ns


def _touches(gaps: Sequence[Interval], begin: int, end: int) -> bool:
    return any(gap.begin_unix_nano < end and begin < gap.end_unix_nano for gap in gaps)


def _has_ended(ledger: Ledger, end: int, ends_ns: int) -> bool:
    """Tell whether nothing happened for so long before `end` that nothing is expected any more.

    An event that comes late takes up the slices that it decides itself; those after it that did not count, because
    everything seemed to have ended, stay so.
    """
    return ends_ns > 0 and not ledger.ring_for(ends_ns).between(end - ends_ns, end - 1).total
