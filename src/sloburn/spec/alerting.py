"""Readers of the alert settings of an SLO."""

from __future__ import annotations

from fractions import Fraction

from sloburn.slo.catalog import workbook_windows
from sloburn.slo.clamp import reachable_windows
from sloburn.slo.model import Alerting, Period, Window
from sloburn.spec.cursor import Cursor
from sloburn.spec.values import read_boolean, read_duration, read_integer
from sloburn.spec.windows import read_windows

_DEFAULTS = Alerting(windows=())
_KEYS = ("windows", "min_bad_events", "for", "early_page")
_LATER = {
    key: f"{key} is not supported yet: every alert has the same outlets; remove the key"
    for key in ("page", "ticket", "channels")
}


def default_alerting(period: Period, objective: Fraction) -> Alerting:
    """Return the settings of an SLO that says nothing: the workbook's windows."""
    return _with_windows(_DEFAULTS, workbook_windows(period), objective)


def read_alerting(at: Cursor, period: Period, objective: Fraction) -> Alerting:
    """Read the settings; windows that no outage could reach are lowered, and a note says so."""
    record = at.record(*_KEYS, later=_LATER)
    windows = record.may("windows", lambda place: read_windows(place, period), workbook_windows(period))
    settings = Alerting(
        windows=(),
        min_bad_events=record.may("min_bad_events", read_integer, _DEFAULTS.min_bad_events),
        for_ns=record.may("for", read_duration, _DEFAULTS.for_ns),
        early_page=record.may("early_page", read_boolean, _DEFAULTS.early_page),
    )
    return _with_windows(settings, windows, objective)


def _with_windows(settings: Alerting, windows: tuple[Window, ...], objective: Fraction) -> Alerting:
    reachable, notes = reachable_windows(windows, objective)
    return Alerting(
        windows=reachable,
        min_bad_events=settings.min_bad_events,
        for_ns=settings.for_ns,
        early_page=settings.early_page,
        notes=notes,
    )
