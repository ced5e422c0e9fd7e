"""When a period began, in every calendar unit and across clock changes."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, SECOND
from sloburn.slo.model import CalendarUnit, Period
from sloburn.slo.periods import LONGEST_NS, NOMINAL_NS, period_begin, reach_ns

PRAGUE = "Europe/Prague"


def at(text: str, zone: str = PRAGUE) -> int:
    """Return a wall-clock time as nanoseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def calendar(unit: CalendarUnit, zone: str = PRAGUE) -> Period:
    """Return a calendar period."""
    return Period(length_ns=NOMINAL_NS[unit], unit=unit, timezone=zone)


def test_a_rolling_period_began_its_length_ago() -> None:
    """Thirty days are thirty times 24 hours, whatever the clocks do."""
    now = at("2026-04-10T12:00")
    assert period_begin(Period(length_ns=30 * DAY), now) == now - 30 * DAY


@pytest.mark.parametrize(
    ("unit", "begin"),
    [
        (CalendarUnit.DAY, "2026-05-20T00:00"),
        (CalendarUnit.WEEK, "2026-05-18T00:00"),
        (CalendarUnit.MONTH, "2026-05-01T00:00"),
        (CalendarUnit.QUARTER, "2026-04-01T00:00"),
        (CalendarUnit.YEAR, "2026-01-01T00:00"),
    ],
)
def test_a_calendar_period_began_at_local_midnight(unit: CalendarUnit, begin: str) -> None:
    """Each unit begins on its first day, at midnight of its zone: a week on Monday."""
    assert period_begin(calendar(unit), at("2026-05-20T15:30")) == at(begin)


def test_the_zone_decides_the_day() -> None:
    """One moment belongs to different months in different zones."""
    now = at("2026-06-01T00:30")
    assert period_begin(calendar(CalendarUnit.MONTH), now) == at("2026-06-01T00:00")
    assert period_begin(calendar(CalendarUnit.MONTH, "UTC"), now) == at("2026-05-01T00:00", "UTC")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-20", 24)])
def test_days_of_clock_changes_have_their_own_length(day: str, hours: int) -> None:
    """The day on which clocks go forward has 23 hours, the other one 25."""
    last = at(f"{day}T23:59:59")
    assert last + SECOND - period_begin(calendar(CalendarUnit.DAY), last) == hours * HOUR


def test_a_midnight_that_does_not_exist() -> None:
    """In Beirut clocks went from 24:00 to 01:00: the day began at 01:00."""
    zone = "Asia/Beirut"
    found = period_begin(calendar(CalendarUnit.DAY, zone), at("2024-03-31T12:00", zone))
    assert found == at("2024-03-31T01:00", zone)


@given(
    seconds=st.integers(at("1990-01-01T00:00") // SECOND, at("2037-01-01T00:00") // SECOND),
    unit=st.sampled_from(list(CalendarUnit)),
    zone=st.sampled_from(["UTC", PRAGUE, "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/St_Johns"]),
)
def test_a_period_holds_its_moment(seconds: int, unit: CalendarUnit, zone: str) -> None:
    """A period begins at or before its moment, no longer ago than a unit can be, and its begin is in the same one."""
    period, now = calendar(unit, zone), seconds * SECOND
    begin = period_begin(period, now)
    assert 0 <= now - begin <= LONGEST_NS[unit] == reach_ns(period)
    assert period_begin(period, begin) == begin
    assert period_begin(period, begin - 1) < begin
