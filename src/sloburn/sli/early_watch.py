"""What the early page of one series remembers: the newest seconds with events, and whether they are evidence.

It is fed with the same counts as the ledger and can be made anew from it: nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from sloburn.duration import SECOND
from sloburn.sli.ledger import Ledger
from sloburn.slo.budget import Count
from sloburn.slo.early import FLOOR_MICRO, SLICE_NS, WINDOWS, EarlyEvidence, EarlyRule, Slice, early_rule, judge
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import Slo

KEPT = 2 * WINDOWS[-1]  # late events find their slice among these
FRESH_SLICES = 60

_MICRO = 1_000_000

_LEDGER_NS = 5 * SECOND  # the ledger's finest slice, on an unscaled clock


def early_watch(slo: Slo, ledger_slice_ns: int) -> EarlyWatch | None:
    """Return the watch of a series; None where its SLO asks for no early page.

    Args:
        slo: The promise, scaled.
        ledger_slice_ns: The ledger's finest slice, scaled, nanoseconds.
    """
    rule = early_rule(slo, early_slice_ns(ledger_slice_ns))
    return None if rule is None else EarlyWatch(rule)


def early_slice_ns(ledger_slice_ns: int) -> int:
    """Return the length of the early page's slices, nanoseconds: a fifth of the ledger's finest."""
    return max(1, ledger_slice_ns * SLICE_NS // _LEDGER_NS)


class EarlyWatch:
    """The newest slices of one series.

    Args:
        rule: The test.
    """

    __slots__ = ("_is_resumed", "_slices", "evidence", "rule")

    def __init__(self, rule: EarlyRule) -> None:
        self.rule = rule
        self.evidence: EarlyEvidence | None = None
        self._slices: dict[int, tuple[int, int]] = {}  # bad and total by number
        self._is_resumed = False

    def add(self, at_unix_nano: int, good: int, bad: int) -> None:
        """Count events at their own time; those older than all that is kept are passed over.

        Args:
            at_unix_nano: Start of their slice, nanoseconds since the epoch.
            good: How many good ones.
            bad: How many bad ones.
        """
        slices, number = self._slices, at_unix_nano // self.rule.slice_ns
        old_bad, old_total = slices.get(number, (0, 0))
        slices[number] = (old_bad + bad, old_total + good + bad)
        if len(slices) > KEPT:
            del slices[min(slices)]

    def look(
        self, ledger: Ledger, long: Count, now: int, *, firing: bool, hidden: Iterable[Interval] = ()
    ) -> EarlyEvidence | None:
        """Return the evidence at `now`; None without any.

        Args:
            ledger: Of the series; after a start the slices are made from it.
            long: Events of the workbook's long window.
            now: Nanoseconds since the epoch.
            firing: The page fires already; if not, evidence older than `FRESH_SLICES` does not begin it.
            hidden: Excluded time.
        """
        if not self._is_resumed:
            self._resume(ledger, now)
        # No slice is worth more than its error ratio: most of the time that is all that must be worked out.
        if sum([_MICRO * bad // total for bad, total in self._slices.values() if bad]) <= FLOOR_MICRO:
            self.evidence = None
            return None
        slice_ns, numbers = self.rule.slice_ns, sorted(self._slices)
        if not firing and numbers[-1] < now // slice_ns - FRESH_SLICES:
            self.evidence = None
            return None
        oldest = (now - self.rule.long_ns) // slice_ns
        spans = [(span.begin_unix_nano, span.end_unix_nano) for span in hidden]
        newest = [Slice(number, *self._slices[number]) for number in numbers[-WINDOWS[-1] :] if number >= oldest]
        if spans:
            newest = [one for one in newest if not any(begin <= one.number * slice_ns < end for begin, end in spans)]
        self.evidence = judge(self.rule, newest, long) if newest else None
        return self.evidence

    def _resume(self, ledger: Ledger, now: int) -> None:
        """Take from the ledger what was counted before the start: its slices are longer, their events spread evenly."""
        self._is_resumed = True
        ring = ledger.rings[0]
        each = ring.tier.slice_ns
        oldest = max(now - self.rule.long_ns, ledger.first_unix_nano) // each
        place, last = now // each, ledger.last_unix_nano
        while place >= oldest and last and len(self._slices) < WINDOWS[-1]:
            count = ring.between(place * each, place * each)
            if count.total:
                self._spread(place * each, min(each, now + 1 - place * each), count)
            place -= 1

    def _spread(self, begin: int, length_ns: int, count: Count) -> None:
        numbers = range(begin // self.rule.slice_ns, (begin + length_ns - 1) // self.rule.slice_ns + 1)
        if sum(self._slices.get(number, (0, 0))[1] for number in numbers) >= count.total:
            return  # the journal brought them, each in its own second
        bad, total = count.bad, count.total
        for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
            part = total // left
            part_bad = bad * part // total if total else 0
            self._slices.pop(number, None)
            if part:
                self._slices[number] = (part_bad, part)
            bad, total = bad - part_bad, total - part
