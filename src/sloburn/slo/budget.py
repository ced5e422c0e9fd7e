"""Budget arithmetic: pure functions of integer counts and exact ratios.

Words and formulas follow The Site Reliability Workbook, chapter 5. `None` stands for 0/0: no events is not 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Count:
    """How many events were good and how many bad."""

    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        """Good and bad events together."""
        return self.good + self.bad

    def __add__(self, other: Count) -> Count:
        return Count(self.good + other.good, self.bad + other.bad)

    def __sub__(self, other: Count) -> Count:
        return Count(self.good - other.good, self.bad - other.bad)


def error_budget(objective: Fraction) -> Fraction:
    """Return the share of events that may be bad: ``1 - objective``."""
    return 1 - objective


def error_ratio(count: Count) -> Fraction | None:
    """Return ``bad / total``; None where there are no events."""
    return Fraction(count.bad, count.total) if count.total else None


def sli(count: Count) -> Fraction | None:
    """Return ``good / total``; None where there are no events."""
    return Fraction(count.good, count.total) if count.total else None


def burn_rate(count: Count, objective: Fraction) -> Fraction | None:
    """Return how many times faster than allowed the budget goes: error ratio / error budget."""
    ratio = error_ratio(count)
    return None if ratio is None else ratio / error_budget(objective)


def budget_remaining(count: Count, objective: Fraction) -> Fraction | None:
    """Return the share of the period's budget that is left; below zero once overspent, None without events."""
    burn = burn_rate(count, objective)
    return None if burn is None else 1 - burn


def burn_factor(budget_share: Fraction, period_ns: int, long_ns: int) -> Fraction:
    """Return the burn rate that spends `budget_share` of the period's budget in the long window."""
    return budget_share * Fraction(period_ns, long_ns)


def is_reachable(factor: Fraction, objective: Fraction) -> bool:
    """Tell whether a total outage burns faster than `factor`: otherwise the rule can never fire."""
    return factor < 1 / error_budget(objective)


def time_to_detect(
    factor: Fraction, objective: Fraction, long_ns: int, ratio: Fraction = Fraction(1)
) -> Fraction | None:
    """Return nanoseconds from the start of an outage until the long window is at the factor.

    Args:
        factor: Burn factor of the window.
        objective: The SLO's.
        long_ns: Long look-back, nanoseconds.
        ratio: Error ratio of the outage; 1 is a total one. Traffic is steady and history clean.

    Returns:
        Nanoseconds; None where such an outage can never reach the factor.
    """
    needed = factor * error_budget(objective)
    return needed / ratio * long_ns if ratio > needed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a period gains events while it loses none: a rolling one until it is full, a calendar one until its end.

    Args:
        lasts_ns: For how long, nanoseconds.
        rate: New events a nanosecond, as a share of those that the period holds.
        renews: The period then begins anew, with a new budget.
    """

    lasts_ns: int
    rate: Fraction
    renews: bool


def time_to_exhaustion(remaining: Fraction, burn: Fraction, period_ns: int, growth: Growth | None = None) -> int | None:
    """Return nanoseconds until the budget is gone at the current burn; None where it is not burning.

    The formula for a full period, in which as many events leave as come, is remaining budget share x period / burn; a
    budget already gone is exhausted in 0 ns.

    While the period still gains events its budget grows with them. Of N events the share s = 1 - remaining of the
    budget is spent; after a time t there are N (1 + rate x t), which have spent s + burn x rate x t of what was the
    budget of N. That is all of it once rate x t = remaining / (burn - 1), for a burn above 1. Otherwise the formula
    above goes on from what is left when the period is full; a calendar period has a new budget then, which a burn
    above 1 has spent at its first events and a lower one never spends.

    Args:
        remaining: Share of the budget that is left of the events that the period holds.
        burn: The burn rate.
        period_ns: Length of the period, nanoseconds.
        growth: How the period gains events; None for a full one.
    """
    if burn <= 0:
        return None
    if remaining <= 0 or growth is None or not growth.lasts_ns:
        return max(0, int(remaining * period_ns / burn))
    gained = growth.rate * growth.lasts_ns
    if remaining <= gained * (burn - 1):
        return int(remaining / (burn - 1) / growth.rate)
    if growth.renews:
        return growth.lasts_ns if burn > 1 else None
    left = (remaining + gained * (1 - burn)) / (1 + gained)
    return growth.lasts_ns + int(left * period_ns / burn)
