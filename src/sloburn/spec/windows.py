"""Readers of alert windows: a table of one's own instead of the workbook's."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sloburn.duration import HOUR, MINUTE, format_duration
from sloburn.slo.budget import burn_factor
from sloburn.slo.model import Period, Severity, Window
from sloburn.spec.cursor import Cursor, Record
from sloburn.spec.values import read_choice, read_duration, read_factor, read_share

SHORTEST_NS = 1 * MINUTE  # twelve of the finest slices: a window is as exact as its slices are short against it
MOST_WINDOWS = 8

_SEVERITIES = tuple(severity.value for severity in Severity)
_STAND_IN = Window(severity=Severity.PAGE, long_ns=HOUR, short_ns=5 * MINUTE, factor=Fraction(1))


def read_windows(at: Cursor, period: Period) -> tuple[Window, ...]:
    """Read a table of windows, fastest first."""
    items = at.items()
    if at.is_list and not 0 < len(items) <= MOST_WINDOWS:
        return at.refuse(f"found {len(items)} windows; expected 1 to {MOST_WINDOWS}", ())
    windows = [_read_window(item, period) for item in items]
    return tuple(sorted(windows, key=lambda window: (window.long_ns, window.short_ns)))


def _read_window(at: Cursor, period: Period) -> Window:
    record = at.record("severity", "long", "short", "budget", "burn")
    severity = record.need("severity", lambda place: read_choice(place, _SEVERITIES), "page", "page")
    long_ns = record.need("long", read_duration, HOUR, "1h")
    short_ns = record.need("short", read_duration, 5 * MINUTE, "5m")
    window = replace(_STAND_IN, severity=Severity(severity), long_ns=long_ns, short_ns=short_ns)
    if at.is_mapping and not SHORTEST_NS <= short_ns < long_ns <= period.length_ns:
        found = f"long {format_duration(long_ns)}, short {format_duration(short_ns)}"
        return at.refuse(f"found {found}; expected {format_duration(SHORTEST_NS)} <= short < long <= period", window)
    return replace(window, factor=_read_factor(record, period, long_ns))


def _read_factor(record: Record, period: Period, long_ns: int) -> Fraction:
    if ("budget" in record) is ("burn" in record):
        if record.at.is_mapping:
            found = "both" if "burn" in record else "neither"
            record.at.refuse(f"found {found} of budget and burn; expected one, such as budget: 2%", None)
        return Fraction(1)
    if "budget" in record:
        return burn_factor(read_share(record.fields["budget"]), period.length_ns, long_ns)
    return read_factor(record.fields["burn"])
