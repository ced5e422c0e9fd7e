"""What a number can be when events are missing: an interval instead of a point.

Events that were lost on their way may have been any mix of good and bad ones, and any share of them may have been none
of this SLO's. With `missing` events lost beside `bad` of `total` that were counted, the error ratio lies between
bad / (total + missing), all of them good, and (bad + missing) / (total + missing), all of them bad: fewer of them, or
another mix, lie between. Both ends are exact.

A slice of time is not lost, but what was lost in it may have made it another one. With `doubtful` slices that may be
good or bad, the ratio lies between (bad - doubtful) / total and (bad + doubtful) / total, and within 0 and 1: a
doubtful slice that was not counted at all moves it less than one that was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from sloburn.slo.budget import Count, error_budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The least and the most that a number can be, both included."""

    low: Fraction
    high: Fraction


def error_ratio_bounds(count: Count, missing: int) -> Bounds | None:
    """Return between what the error ratio lies; None where there are no events, neither counted nor missing.

    Args:
        count: Events that were counted.
        missing: The most events that were lost.
    """
    total = count.total + missing
    if not total:
        return None
    return Bounds(low=Fraction(count.bad, total), high=Fraction(count.bad + missing, total))


def slice_ratio_bounds(count: Count, doubtful: int, *, can_worsen: bool) -> Bounds | None:
    """Return between what the share of bad slices lies; None where there are none, neither counted nor in doubt.

    Args:
        count: Slices that were counted.
        doubtful: The most slices in which something was lost.
        can_worsen: What was lost may have made a good slice bad; else only a bad one good.
    """
    if not count.total:
        return Bounds(low=Fraction(0), high=Fraction(1)) if doubtful else None
    worst = min(count.total, count.bad + doubtful) if can_worsen else count.bad
    return Bounds(low=Fraction(max(0, count.bad - doubtful), count.total), high=Fraction(worst, count.total))


def mean_bounds(parts: Iterable[tuple[int, Bounds | None]]) -> Bounds | None:
    """Return between what the weighted mean of error ratios lies; it grows with each of them.

    Args:
        parts: Weights and bounds; a part without bounds has no vote. One that counted nothing votes only if what it
            lost was its own: its bounds are 0 and 1, and hold the mean without it.
    """
    voting = [(weight, bounds) for weight, bounds in parts if bounds is not None]
    weights = sum(weight for weight, _ in voting)
    if not weights:
        return None
    low = sum((weight * bounds.low for weight, bounds in voting), Fraction(0))
    high = sum((weight * bounds.high for weight, bounds in voting), Fraction(0))
    return Bounds(low=low / weights, high=high / weights)


def sli_bounds(ratio: Bounds) -> Bounds:
    """Return between what the share of good events lies, from the error ratio's bounds."""
    return Bounds(low=1 - ratio.high, high=1 - ratio.low)


def burn_bounds(ratio: Bounds, objective: Fraction) -> Bounds:
    """Return between what the burn rate lies, from the error ratio's bounds."""
    budget = error_budget(objective)
    return Bounds(low=ratio.low / budget, high=ratio.high / budget)


def budget_bounds(ratio: Bounds, objective: Fraction) -> Bounds:
    """Return between what the share of the budget that is left lies, from the error ratio's bounds."""
    burn = burn_bounds(ratio, objective)
    return Bounds(low=1 - burn.high, high=1 - burn.low)
