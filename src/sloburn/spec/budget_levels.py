"""Readers of budget alerts: so much of the budget is left."""

from __future__ import annotations

import re
from fractions import Fraction

from sloburn.slo.budget_alerts import default_clear
from sloburn.slo.model import BudgetLevel, Severity
from sloburn.spec.cursor import Cursor
from sloburn.spec.values import read_choice

MOST_LEVELS = 8

_SEVERITIES = tuple(severity.value for severity in Severity)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?) ?%", re.ASCII)


def read_levels(at: Cursor) -> tuple[BudgetLevel, ...]:
    """Read the shares of the budget that raise alerts; the highest comes first."""
    items = at.items()
    if at.is_list and not 0 < len(items) <= MOST_LEVELS:
        return at.refuse(f"found {len(items)} budget alerts; expected 1 to {MOST_LEVELS}", ())
    levels: dict[tuple[Severity, Fraction], BudgetLevel] = {}
    for item in items:
        known = len(at.problems)
        level = _read_level(item)
        if len(at.problems) > known:
            continue
        if (level.severity, level.left) in levels:
            item.refuse("the same share and severity are given twice; expected each once", None)
        levels[level.severity, level.left] = level
    return tuple(sorted(levels.values(), key=lambda level: (-level.left, level.severity)))


def _read_level(at: Cursor) -> BudgetLevel:
    record = at.record("left", "severity", "clear")
    left = record.need("left", _read_left, Fraction(0), "10%")
    severity = record.need("severity", lambda place: read_choice(place, _SEVERITIES), "ticket", "ticket")
    clear = record.may("clear", lambda place: _read_clear(place, left), default_clear(left))
    return BudgetLevel(severity=Severity(severity), left=left, clear=clear)


def _read_left(at: Cursor) -> Fraction:
    share = _share(at)
    return share if share is not None and share < 1 else at.expected("a share from 0% to below 100%", Fraction(0))


def _read_clear(at: Cursor, left: Fraction) -> Fraction:
    share = _share(at)
    if share is not None and left < share < 1:
        return share
    return at.expected("a share above `left` and below 100%, so that the alert can end and does not flap", Fraction(1))


def _share(at: Cursor) -> Fraction | None:
    parts = _PERCENT.fullmatch(at.node.value) if at.is_scalar else None
    return Fraction(parts[1]) / 100 if parts else None
