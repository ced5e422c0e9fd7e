"""How a budget went over its period: taken in an instant by the engine, worked out when a reader asks."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from sloburn.sli.block import Block
from sloburn.sli.ledger import Ledger, hidden_slices, sum_slices
from sloburn.sli.status import BudgetPoint
from sloburn.slo.budget import Count
from sloburn.slo.exclusions import Interval

BUDGET_POINTS = 120


class Course:
    """The budget's course as it was at one moment; it never changes.

    The budget is that of the whole period's events, so the curve only falls and ends at what is left.

    Args:
        blocks: Slices that never change.
        slice_ns: How long a slice is, nanoseconds.
        begin: Where the course begins, nanoseconds since the epoch.
        now: Where it ends.
        allowed: Bad events that the period's events allow.
        excluded: Time that does not count.
    """

    __slots__ = ("_allowed", "_begin", "_blocks", "_excluded", "_now", "_points", "_slice_ns")

    def __init__(
        self,
        blocks: Mapping[int, Block],
        slice_ns: int,
        *,
        begin: int,
        now: int,
        allowed: Fraction,
        excluded: tuple[Interval, ...],
    ) -> None:
        self._blocks = blocks
        self._slice_ns = slice_ns
        self._begin = begin
        self._now = now
        self._allowed = allowed
        self._excluded = excluded
        self._points: tuple[BudgetPoint, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there were no events when it was taken."""
        return not self._allowed

    def points(self) -> tuple[BudgetPoint, ...]:
        """Return the course, from the first event of the period to now."""
        if self._points is None:
            self._points = self._work_out() if self._allowed else ()
        return self._points

    def _work_out(self) -> tuple[BudgetPoint, ...]:
        slice_ns, now = self._slice_ns, self._now
        step = max(1, -(-(now - self._begin) // BUDGET_POINTS // slice_ns))
        points = [BudgetPoint(at_unix_nano=self._begin, remaining=Fraction(1), count=Count())]
        spent, last = 0, now // slice_ns
        for first in range(self._begin // slice_ns, last + 1, step):
            part = self._count(first, min(first + step - 1, last))
            spent += part.bad
            at = min((first + step) * slice_ns, now)
            points.append(BudgetPoint(at_unix_nano=at, remaining=1 - spent / self._allowed, count=part))
        return tuple(points)

    def _count(self, first: int, last: int) -> Count:
        hidden = hidden_slices(self._blocks, self._slice_ns, first, last, self._excluded)
        return Count(*sum_slices(self._blocks, first, last)) - Count(*hidden)


def take_course(ledger: Ledger, begin: int, now: int, *, allowed: Fraction, excluded: tuple[Interval, ...]) -> Course:
    """Take a course of what a ledger holds now.

    Args:
        ledger: Whose slices.
        begin: When the period began, nanoseconds since the epoch.
        now: Nanoseconds since the epoch.
        allowed: Bad events that the period's events allow.
        excluded: Time that does not count.
    """
    begin = max(begin, ledger.first_unix_nano)
    ring = ledger.ring_for(now - begin)
    return Course(ring.share(), ring.tier.slice_ns, begin=begin, now=now, allowed=allowed, excluded=excluded)
