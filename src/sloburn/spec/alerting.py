"""Readers of the alert settings of an SLO."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sloburn.slo.catalog import workbook_windows
from sloburn.slo.clamp import reachable_windows, unhurried_windows
from sloburn.slo.model import Alerting, Period, Severity, Window
from sloburn.spec.budget_levels import read_levels
from sloburn.spec.cursor import Cursor
from sloburn.spec.values import read_boolean, read_choice, read_duration, read_integer
from sloburn.spec.windows import read_windows

_DEFAULTS = Alerting(windows=())
_KEYS = ("windows", "min_bad_events", "for", "early_page", "budget", "groups")
_GROUPS = ("apart", "together")
_LATER = {
    key: f"{key} is not supported yet: every alert has the same outlets; remove the key"
    for key in ("page", "ticket", "channels")
}


def default_alerting(period: Period, objective: Fraction) -> Alerting:
    """Return the settings of an SLO that says nothing: the workbook's windows."""
    windows, notes = unhurried_windows(workbook_windows(period))
    return _with_windows(_DEFAULTS, windows, objective, notes)


def read_alerting(at: Cursor, period: Period, objective: Fraction, *, has_groups: bool) -> Alerting:
    """Read the settings; windows that no outage could reach are lowered, and a note says so.

    Args:
        at: Where they are.
        period: Of the SLO.
        objective: Of the SLO.
        has_groups: The SLO is split into groups.
    """
    record = at.record(*_KEYS, later=_LATER)
    usual, notes = unhurried_windows(workbook_windows(period))
    windows = record.may("windows", lambda place: read_windows(place, period), usual)
    settings = Alerting(
        windows=(),
        min_bad_events=record.may("min_bad_events", read_integer, _DEFAULTS.min_bad_events),
        for_ns=record.may("for", read_duration, _DEFAULTS.for_ns),
        early_page=record.may("early_page", lambda place: _read_early_page(place, windows), _DEFAULTS.early_page),
        together=record.may("groups", lambda place: _read_groups(place, has_groups=has_groups), _DEFAULTS.together),
        budget=record.may("budget", read_levels, _DEFAULTS.budget),
    )
    return _with_windows(settings, windows, objective, notes if windows is usual else ())


def _read_early_page(at: Cursor, windows: tuple[Window, ...]) -> bool:
    wanted = read_boolean(at)
    if wanted and windows and not any(window.severity is Severity.PAGE for window in windows):
        message = "no window of this SLO pages, so there is no page to be early; expected a window with severity: page"
        return at.refuse(message, stand_in=False)
    return wanted


def _read_groups(at: Cursor, *, has_groups: bool) -> bool:
    together = read_choice(at, _GROUPS) == "together"
    if together and not has_groups:
        return at.refuse("this SLO has no groups that could alert together; expected group_by beside it", stand_in=True)
    return together


def _with_windows(
    settings: Alerting, windows: tuple[Window, ...], objective: Fraction, notes: tuple[str, ...]
) -> Alerting:
    reachable, more = reachable_windows(windows, objective)
    return replace(settings, windows=reachable, notes=notes + more)
