"""An error budget as time: how much longer everything may fail before it is gone."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from sloburn.duration import humanize_duration
from sloburn.slo.budget import Count, Growth, error_budget


def outage_left(
    count: Count, objective: Fraction, *, traffic: Count, over_ns: int, growth: Growth | None = None
) -> int | None:
    """Return how long a total outage may last at the current traffic before the budget is gone.

    Of the period's N events (1 - objective) x N may be bad. While as many events leave the period as come, N stays; an
    outage at r events a second adds r bad ones a second, so it may last ((1 - objective) x N - bad) / r.

    While the period still gains events N grows as well, and an outage spends only r x objective of the budget a
    second. What is left when the period is full goes at r; a calendar period has a new budget then, which an outage
    that goes on spends at once.

    Args:
        count: Events of the period.
        objective: The SLO's.
        traffic: Events of a look-back that stands for now.
        over_ns: How long that look-back is, or since when events come if that is shorter, nanoseconds.
        growth: For how long the period gains events, and what then; None for a full one. Its rate is that of `traffic`.

    Returns:
        Nanoseconds, 0 once the budget is gone; None without traffic.
    """
    if not traffic.total:
        return None
    left, rate = error_budget(objective) * count.total - count.bad, Fraction(traffic.total, over_ns)
    grows_ns = growth.lasts_ns if growth else 0
    while_it_grows = left / (rate * objective)
    if left <= 0 or while_it_grows <= grows_ns:
        return max(0, floor(while_it_grows))
    if growth and grows_ns and growth.renews:
        return grows_ns
    return grows_ns + floor((left - rate * objective * grows_ns) / rate)


def bad_time_left(count: Count, objective: Fraction, slice_ns: int) -> int | None:
    """Return how much time may still be bad where every event is a slice of time.

    Args:
        count: Slices of the period; of one that is not full yet, those so far.
        objective: The SLO's.
        slice_ns: Length of a slice, nanoseconds.

    Returns:
        Nanoseconds, 0 once the budget is gone; None without slices.
    """
    if not count.total:
        return None
    return max(0, floor((error_budget(objective) * count.total - count.bad) * slice_ns))


def budget_time_text(left_ns: int | None, *, is_time: bool) -> str:
    """Say how much time is left; nothing where that is not known.

    Args:
        left_ns: Nanoseconds.
        is_time: Slices of time are counted, not events.
    """
    if left_ns is None:
        return ""
    kind = "of bad time" if is_time else "of full outage"
    tail = "" if is_time else " at the current traffic"
    return f"{humanize_duration(left_ns)} {kind} left{tail}" if left_ns else "no time left"
