"""When a compliance period began: rolling ones so long ago, calendar ones at local midnight of their first day.

Calendar units are what people mean by them: a month has 28 to 31 days, a day on which clocks change has 23 or 25 hours.
Source of zones: the IANA time zone database.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sloburn.duration import DAY, SECOND
from sloburn.slo.model import CalendarUnit, Period

# What burn factors are computed with: the usual length of a unit, so that thresholds do not move with the calendar.
NOMINAL_NS: dict[CalendarUnit, int] = {
    CalendarUnit.DAY: DAY,
    CalendarUnit.WEEK: 7 * DAY,
    CalendarUnit.MONTH: 30 * DAY,
    CalendarUnit.QUARTER: 90 * DAY,
    CalendarUnit.YEAR: 365 * DAY,
}

# How long a unit can be, an hour of clock change included: what must be kept of it.
LONGEST_NS: dict[CalendarUnit, int] = {
    CalendarUnit.DAY: DAY + DAY // 8,
    CalendarUnit.WEEK: 7 * DAY + DAY // 8,
    CalendarUnit.MONTH: 31 * DAY + DAY // 8,
    CalendarUnit.QUARTER: 92 * DAY + DAY // 8,
    CalendarUnit.YEAR: 366 * DAY + DAY // 8,
}


def reach_ns(period: Period) -> int:
    """Return how far back events of a period can lie, nanoseconds."""
    return period.length_ns if period.unit is None else LONGEST_NS[period.unit]


def period_begin(period: Period, now_unix_nano: int) -> int:
    """Return when the period that holds `now_unix_nano` began, nanoseconds since the epoch."""
    if period.unit is None:
        return now_unix_nano - period.length_ns
    zone = ZoneInfo(period.timezone)
    today = datetime.fromtimestamp(now_unix_nano // SECOND, zone).date()
    return _midnight(_first_day(period.unit, today), zone)


def gains_for(period: Period, now_unix_nano: int, since_unix_nano: int) -> int:
    """Return for how long a period gains events and loses none, nanoseconds.

    Args:
        period: A rolling one does until it is full, a calendar one until it ends.
        now_unix_nano: The moment, nanoseconds since the epoch.
        since_unix_nano: Since when events come, nanoseconds since the epoch.
    """
    if period.unit is None:
        return max(0, since_unix_nano + period.length_ns - now_unix_nano)
    next_begin = period_begin(period, period_begin(period, now_unix_nano) + LONGEST_NS[period.unit])
    return next_begin - now_unix_nano


def _first_day(unit: CalendarUnit, today: date) -> date:
    match unit:
        case CalendarUnit.DAY:
            return today
        case CalendarUnit.WEEK:
            return today - timedelta(days=today.weekday())  # ISO 8601: a week begins on Monday
        case CalendarUnit.MONTH:
            return today.replace(day=1)
        case CalendarUnit.QUARTER:
            return today.replace(month=today.month - (today.month - 1) % 3, day=1)
        case CalendarUnit.YEAR:
            return today.replace(month=1, day=1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Return the first moment of a day: where clocks jump over midnight, the moment of the jump."""
    wall = datetime(day.year, day.month, day.day, tzinfo=zone)
    moment = wall.astimezone(UTC)
    if moment.astimezone(zone).date() != day:  # that midnight does not exist
        moment += timedelta(hours=1)
    return int(moment.timestamp()) * SECOND
