"""The weighted mean of several series' good shares, exact, over every look-back.

bad share = sum of weight x bad / total over the members that have events, divided by the sum of their weights. It is
one fraction; as a pair of whole numbers, good and bad, it goes through the same comparisons as counts of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm
from typing import Protocol

from sloburn.sli.course import Course
from sloburn.sli.ledger import Ledger, Reach
from sloburn.sli.progress import Progress
from sloburn.sli.shape import LookBacks
from sloburn.sli.status import BudgetPoint
from sloburn.slo.budget import Count
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import Slo

Pairs = tuple[tuple[int, int], ...]
"""Good and bad of every look-back."""


class Member(Protocol):
    """What a blend reads: a series."""

    ledger: Ledger
    is_changed: bool
    progress: Progress
    slo: Slo

    @property
    def reads(self) -> Iterable[Member]:
        """Whose events or slices decide its own slices."""
        ...


class Blend:
    """What a weighted series reads.

    Args:
        parts: The members and their weights.
        look_backs: Of the weighted series.
    """

    __slots__ = ("_reaches", "_read", "_weights", "parts")

    def __init__(self, parts: Iterable[tuple[Member, Fraction]], look_backs: LookBacks) -> None:
        self.parts = tuple(parts)
        self._reaches = tuple(series.ledger.attach(look_backs, look_backs.tiers) for series, _ in self.parts)
        whole = lcm(*(weight.denominator for _, weight in self.parts))
        self._weights = tuple(int(weight * whole) for _, weight in self.parts)
        self._read: list[list[tuple[int, int]]] = []

    def is_changed(self) -> bool:
        """Tell whether a member counted something since it was last evaluated."""
        return any(series.is_changed for series, _ in self.parts)

    def read(self, spans: tuple[tuple[int, int], ...], excluded: Sequence[Interval]) -> tuple[Pairs, Pairs]:
        """Return the members' events together, and the weighted share as good and bad, of every look-back.

        Args:
            spans: First and last slice of every look-back.
            excluded: Time that does not count.
        """
        self._read = [
            [self._counts(reaches[place], first, last, excluded) for reaches in self._reaches]
            for place, (first, last) in enumerate(spans)
        ]
        counts = tuple([(sum(good for good, _ in found), sum(bad for _, bad in found)) for found in self._read])
        return counts, tuple([weigh(zip(found, self._weights, strict=True)) for found in self._read])

    def votes(self) -> tuple[tuple[int, Pairs], ...]:
        """Return the weight of each member and what it held of every look-back when it was read last."""
        return tuple(zip(self._weights, zip(*self._read, strict=True), strict=True))

    def lifetime(self) -> tuple[int, int]:
        """Return the members' events ever counted."""
        ledgers = [series.ledger for series, _ in self.parts]
        return sum(ledger.good for ledger in ledgers), sum(ledger.bad for ledger in ledgers)

    def last_unix_nano(self) -> int:
        """Return when the newest event ended."""
        return max(series.ledger.last_unix_nano for series, _ in self.parts)

    def course(self, begin: int, now: int, *, budget: Fraction, excluded: tuple[Interval, ...]) -> Course:
        """Return how the budget went since `begin`.

        Args:
            begin: When the period began, nanoseconds since the epoch.
            now: Nanoseconds since the epoch.
            budget: Error budget of the weighted SLO.
            excluded: Time that does not count.
        """
        began = min((one.ledger.first_unix_nano or now for one, _ in self.parts), default=now)
        totals = [self._counts(reaches[-1], reaches[-1].first, reaches[-1].last, excluded) for reaches in self._reaches]
        voting = sum((weight for (_, weight), total in zip(self.parts, totals, strict=True) if any(total)), Fraction(0))
        found = [
            _course_of(series.ledger, max(begin, began), now, voting / weight * budget * sum(total), excluded)
            for (series, weight), total in zip(self.parts, totals, strict=True)
            if any(total)
        ]
        return JointCourse(found)

    @staticmethod
    def _counts(reach: Reach, first: int, last: int, excluded: Sequence[Interval]) -> tuple[int, int]:
        if first != reach.first or last != reach.last:
            reach.move(first, last)
        return reach.counts(excluded) if excluded else (reach.good, reach.bad)


class JointCourse(Course):
    """The course of a budget that several members spend, each its own part of it.

    Args:
        members: What each of them spent of it, over the same steps.
    """

    __slots__ = ("_members",)

    def __init__(self, members: Sequence[Course]) -> None:
        self._members = tuple(members)

    @property
    def is_empty(self) -> bool:
        """Whether there were no events when it was taken."""
        return not self._members

    def points(self) -> tuple[BudgetPoint, ...]:
        """Return the course, from the first event of the period to now."""
        return tuple(map(_joined, zip(*(member.points() for member in self._members), strict=True)))


def _joined(points: tuple[BudgetPoint, ...]) -> BudgetPoint:
    spent = sum((1 - point.remaining for point in points), Fraction(0))
    count = sum((point.count for point in points), Count())
    return BudgetPoint(at_unix_nano=points[0].at_unix_nano, remaining=1 - spent, count=count)


def _course_of(ledger: Ledger, begin: int, now: int, allowed: Fraction, excluded: tuple[Interval, ...]) -> Course:
    ring = ledger.ring_for(now - begin)
    return Course(ring.share(), ring.tier.slice_ns, begin=begin, now=now, allowed=allowed, excluded=excluded)


def weigh(parts: Iterable[tuple[tuple[int, int], int]]) -> tuple[int, int]:
    """Return the weighted bad share as good and bad; nothing of both without events.

    The pair is not reduced: a common denominator costs more than comparing large numbers does.

    Args:
        parts: Good and bad events of each member, and its weight. One without events does not vote.
    """
    weights, bad, denominator = 0, 0, 1
    for (good, failed), weight in parts:
        total = good + failed
        if total:
            weights += weight
        if failed:
            bad = bad * total + weight * failed * denominator
            denominator *= total
    return weights * denominator - bad, bad
