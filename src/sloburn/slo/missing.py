"""What a number can be when events are missing: an interval instead of a point.

Events that were lost on their way may have been any mix of good and bad ones, and any share of them may have been none
of this SLO's. With `missing` events lost beside `bad` of `total` that were counted, the error ratio lies between
bad / (total + missing), all of them good, and (bad + missing) / (total + missing), all of them bad: fewer of them, or
another mix, lie between. Both ends are exact.
"""

from __future__ import annotations

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


def sli_bounds(count: Count, missing: int) -> Bounds | None:
    """Return between what the share of good events lies; None without events."""
    ratio = error_ratio_bounds(count, missing)
    return None if ratio is None else Bounds(low=1 - ratio.high, high=1 - ratio.low)


def burn_bounds(count: Count, missing: int, objective: Fraction) -> Bounds | None:
    """Return between what the burn rate lies; None without events."""
    ratio, budget = error_ratio_bounds(count, missing), error_budget(objective)
    return None if ratio is None else Bounds(low=ratio.low / budget, high=ratio.high / budget)


def budget_bounds(count: Count, missing: int, objective: Fraction) -> Bounds | None:
    """Return between what the share of the budget that is left lies; None without events."""
    burn = burn_bounds(count, missing, objective)
    return None if burn is None else Bounds(low=1 - burn.high, high=1 - burn.low)
