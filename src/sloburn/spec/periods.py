"""Readers of periods: a rolling duration, or a calendar unit with the time zone whose midnight begins it."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sloburn.duration import DAY, format_duration
from sloburn.slo.model import CalendarUnit, Period
from sloburn.slo.periods import NOMINAL_NS
from sloburn.spec.cursor import Cursor
from sloburn.spec.values import read_choice, read_duration, read_text

SHORTEST_NS = 1 * DAY
LONGEST_NS = 366 * DAY

_MONTH = Period(length_ns=30 * DAY)
_UNITS = tuple(unit.value for unit in CalendarUnit)


def read_period(at: Cursor) -> Period:
    """Read the period: ``30d``, or ``{calendar: month, timezone: Europe/Prague}``."""
    if at.is_mapping:
        return _read_calendar(at)
    before = len(at.problems)
    length_ns = read_duration(at)
    if len(at.problems) > before or SHORTEST_NS <= length_ns <= LONGEST_NS:
        return Period(length_ns=length_ns)
    bounds = f"{format_duration(SHORTEST_NS)} to {format_duration(LONGEST_NS)}"
    return at.expected(f"a period from {bounds}, for instance 30d", _MONTH)


def _read_calendar(at: Cursor) -> Period:
    record = at.record("calendar", "timezone")
    unit = CalendarUnit(record.need("calendar", lambda place: read_choice(place, _UNITS), "month", "month"))
    timezone = record.need("timezone", read_timezone, "UTC", "Europe/Prague")
    return Period(length_ns=NOMINAL_NS[unit], unit=unit, timezone=timezone)


def read_timezone(at: Cursor) -> str:
    """Read the IANA name of a time zone."""
    name = read_text(at)
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the database is an OSError
        return at.expected("an IANA time zone such as Europe/Prague or UTC", "UTC")
    return name or "UTC"
