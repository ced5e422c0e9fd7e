"""Burn factors that no outage can reach, or that a kept promise does, and what is done about them.

Even a total outage burns no faster than ``1 / (1 - objective)``: at an objective of 90 % that is 10, so the workbook's
14.4 could never fire. Such a window gets the factor `REACHABLE_SHARE` of that ceiling; windows that can fire are left
as they are written.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sloburn.duration import format_duration
from sloburn.slo.budget import error_budget, is_reachable
from sloburn.slo.model import Window

# A factor of share x ceiling is over while more than `share` of all events are bad. It must be below 1, or nothing
# fires; and below it by a margin, because an outage seldom fails everything: health checks and cached answers go on.
# It should be near 1, because the author of a loose objective accepts bad hours, and slower windows watch for the rest.
# At 9/10 a total outage is detected after 9/10 of the long window, before the next slower window could.
REACHABLE_SHARE = Fraction(9, 10)

# The pace that spends the budget in just the period. The workbook's slowest window has it for 30 days, 0.933 for 28.
_PACE = Fraction(1)
LOWEST_FACTOR = Fraction(9, 10)


def reachable_windows(windows: tuple[Window, ...], objective: Fraction) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """Lower the factors that no outage can reach.

    Args:
        windows: Pairs of windows.
        objective: The SLO's.

    Returns:
        The windows, every one of which can fire; and a note for people on each that was changed.
    """
    factor = REACHABLE_SHARE / error_budget(objective)
    clamped = tuple(
        window if is_reachable(window.factor, objective) else replace(window, factor=factor) for window in windows
    )
    changed = zip(windows, clamped, strict=True)
    return clamped, tuple(_note(old, new, objective) for old, new in changed if old.factor != new.factor)


def unhurried_windows(windows: tuple[Window, ...]) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """Raise the factors at which a kept promise would alert, as the workbook's shares give for short periods.

    2 % of a day's budget in an hour is a burn of 0.48: a service that burns so has half of its budget left in the end.

    Args:
        windows: Pairs of windows, by the workbook's shares.

    Returns:
        The windows, and a note for people on each that was changed.
    """
    raised = tuple(window if window.factor >= LOWEST_FACTOR else replace(window, factor=_PACE) for window in windows)
    changed = zip(windows, raised, strict=True)
    return raised, tuple(
        f"{_name(old)}: the factor {_number(old.factor)} would alert on a promise that is kept; raised to 1"
        for old, new in changed
        if old.factor != new.factor
    )


def _name(window: Window) -> str:
    return f"{window.severity} {format_duration(window.long_ns)} + {format_duration(window.short_ns)}"


def _note(old: Window, new: Window, objective: Fraction) -> str:
    name = _name(old)
    ceiling = 1 / error_budget(objective)
    ratio = new.factor * error_budget(objective)
    return (
        f"{name}: no outage can burn faster than {_number(ceiling)} at an objective of {_number(objective * 100)} %, "
        f"so the factor {_number(old.factor)} could never fire; "
        f"lowered to {_number(new.factor)}, which is over while more than {_number(ratio * 100)} % of events are bad"
    )


def _number(value: Fraction) -> str:
    return f"{float(value):.10g}"
