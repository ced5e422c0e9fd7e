"""A counter of all events and one of a part of them, put together: a pure account of what was heard and not yet booked.

Both sides tell how many events there were since they last told, at moments of their own. Events are booked when both
have spoken, `whole` of them at a time with as many of the part as belong there: booked events are never negative, the
part is never larger than the whole, and what was booked is never taken back. What came too late to be booked in its own
slice is booked with the next events, so lifetime sums are exact as soon as both counters have told everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from sloburn.duration import MINUTE
from sloburn.sli.temporality import StreamState

GRACE_NS = 1 * MINUTE
"""How far one side may run ahead of the other, in the time of their points."""

OVERDUE_NS = 2 * MINUTE
"""So long after an account heard anything, by our clock, nothing of it waits any more: two usual export intervals."""

ENDED_NS = 15 * MINUTE
"""So long after a sender of both sides spoke, by our clock, it has ended: three of the longest usual intervals."""

MAX_HELD = 500
"""Slices that wait; beyond, the oldest are put together."""

MAX_WAITING = 200
"""Senders of one side whose events wait; those of a further one do not."""

MOST_EVENTS = 2**53
"""Events of one side in one slice; more is nobody's traffic and must still fit the store."""

Booking = tuple[int, int, int]
"""The beginning of a slice, how many events, and how many of them are of the part."""


@dataclass(slots=True, kw_only=True)
class Account:
    """What was heard and not yet booked.

    Args:
        whole_unix_nano: The newest point of the whole; 0 before the first.
        part_unix_nano: The newest point of the part; 0 before the first.
        held: Events of the whole and of the part by the beginning of their slice, nanoseconds since the epoch.
    """

    whole_unix_nano: int = 0
    part_unix_nano: int = 0
    held: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: StreamState | None) -> Account:
        """Read what `state` wrote: an account is kept as the last point of a stream is."""
        if state is None:
            return cls()
        whole, part, *cells = state.values
        held = {at: [all_of, part_of] for at, all_of, part_of in zip(cells[::3], cells[1::3], cells[2::3], strict=True)}
        return cls(whole_unix_nano=whole, part_unix_nano=part, held=held)

    def state(self) -> StreamState:
        """Return what a restart needs."""
        cells = (number for at, cell in sorted(self.held.items()) for number in (at, *cell))
        newest = max(self.whole_unix_nano, self.part_unix_nano, *self.held)
        values = (self.whole_unix_nano, self.part_unix_nano, *cells)
        return StreamState(start_unix_nano=0, time_unix_nano=newest, bounds=(), values=values)

    def hear(self, *, whole: bool, at_unix_nano: int, slice_unix_nano: int, events: int) -> None:
        """Take what one side told, even if it is nothing."""
        if whole:
            self.whole_unix_nano = max(self.whole_unix_nano, at_unix_nano)
        else:
            self.part_unix_nano = max(self.part_unix_nano, at_unix_nano)
        if events:
            cell = self.held.setdefault(slice_unix_nano, [0, 0])
            cell[not whole] = min(cell[not whole] + events, MOST_EVENTS)

    def settle(self, *, waits: bool, overdue: bool = False) -> list[Booking]:
        """Return what can be booked now, and forget it.

        Args:
            waits: Wait for a part that was never heard, or not for long; if not, there is none of it.
            overdue: Wait for nothing.
        """
        booked: list[Booking] = []
        part, last = 0, 0
        slices = sorted(self.held)
        for number, at in enumerate(slices):
            if not overdue and not self._is_due(at, waits=waits):
                break
            cell, last = self.held[at], at
            part, cell[1] = part + cell[1], 0
            if cell[0]:
                part += self._take_stray(at, slices[number + 1 :])
                taken = min(cell[0], part)
                booked.append((at, cell[0], taken))
                part, cell[0] = part - taken, 0
        if part:
            self.held[last][1] = part
        self.held = {at: cell for at, cell in self.held.items() if cell != [0, 0]}
        self._join()
        return booked

    def take(self, other: Account) -> None:
        """Take over what another account holds."""
        for at, cell in other.held.items():
            mine = self.held.setdefault(at, [0, 0])
            for side, events in enumerate(cell):
                mine[side] += events
        other.held = {}
        self._join()

    def lend(self, most: int) -> Account:
        """Return all that is held of the whole and some of the part, the oldest first, and forget it.

        Args:
            most: So many events of the part at the most.
        """
        moved: dict[int, list[int]] = {}
        for at, cell in sorted(self.held.items()):
            taken = min(cell[1], most)
            if cell[0] or taken:
                moved[at], most = [cell[0], taken], most - taken
                cell[:] = 0, cell[1] - taken
        self.held = {at: cell for at, cell in self.held.items() if cell != [0, 0]}
        return Account(held=moved)

    def release(self, until_unix_nano: int) -> Account:
        """Return what is held of both sides, and forget it: nobody here has the other side.

        Args:
            until_unix_nano: The last beginning of a slice that is released.
        """
        found = [at for at in self.held if at <= until_unix_nano]
        return Account(held={at: self.held.pop(at) for at in found})

    def spare(self, until_unix_nano: int) -> Account:
        """Return what is held of the part without a whole beside it, and forget it: nobody here may have one.

        Args:
            until_unix_nano: The last beginning of a slice that is looked at.
        """
        found = [at for at, (whole, _) in self.held.items() if not whole and at <= until_unix_nano]
        return Account(held={at: self.held.pop(at) for at in found})

    def _is_due(self, at: int, *, waits: bool) -> bool:
        if self.part_unix_nano >= at or self.whole_unix_nano >= at + GRACE_NS:
            return True
        return not waits and self.part_unix_nano < at - GRACE_NS

    def _take_stray(self, at: int, slices: list[int]) -> int:
        """Take the part of the next slices up to the next whole: its reader is only a moment behind that of the whole.

        Waiting for the next whole instead, failures would be known an interval late, and of a process that begins the
        first events would lack their good ones.
        """
        found = 0
        for later in slices:
            if later > at + GRACE_NS:
                break
            cell = self.held[later]
            if cell[0]:
                break
            found, cell[1] = found + cell[1], 0
        return found

    def _join(self) -> None:
        """Put the oldest slices together where there are too many."""
        slices = sorted(self.held)
        for at, following in pairwise(slices):
            if len(self.held) <= MAX_HELD:
                return
            for side, events in enumerate(self.held.pop(at)):
                self.held[following][side] += events

    @property
    def unpaired(self) -> int:
        """How many more events of the whole than of the part are held; negative if it is the other way round."""
        return sum(whole - part for whole, part in self.held.values())

    @property
    def waiting(self) -> int:
        """How many events of the part have no whole yet."""
        return sum(part for _, part in self.held.values())


@dataclass(slots=True, kw_only=True)
class Waiting:
    """The senders of one side of a pair whose events wait for the other side.

    Args:
        since: No slice that waits in an account begins earlier, by the account's key; nanoseconds since the epoch.
    """

    since: dict[bytes, int] = field(default_factory=dict)

    @classmethod
    def of(cls, state: StreamState | None) -> Waiting:
        """Read what `state` wrote: it is kept as the last point of a stream is."""
        values = () if state is None else state.values
        halves = zip(values[::3], values[1::3], values[2::3], strict=True)
        return cls(since={high.to_bytes(8, "big") + low.to_bytes(8, "big"): at for at, high, low in halves})

    def state(self, now_unix_nano: int) -> StreamState:
        """Return what a restart needs; it is kept as long as that of a stream that spoke now."""
        values: list[int] = []
        for key, at in self.since.items():
            values += at, int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")
        return StreamState(start_unix_nano=0, time_unix_nano=now_unix_nano, bounds=(), values=tuple(values))

    def hold(self, key: bytes, account: Account) -> bool:
        """Note what waits in an account now; tell whether that changes what must be kept."""
        known = self.since.get(key)
        if not account.held:
            return self.since.pop(key, None) is not None
        oldest = min(account.held)
        if known is None or oldest < known:
            self.since[key] = oldest
            return True
        return False
