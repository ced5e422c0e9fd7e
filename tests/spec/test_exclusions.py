"""Time that does not count, as it is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sloburn.duration import DAY, HOUR, SECOND
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import CalendarUnit, Period
from tests.spec.documents import document, problems_of, read


def at(text: str) -> int:
    """Return a moment in UTC as nanoseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_one_off() -> None:
    """A span of time with its offsets is the same moments everywhere."""
    (found,) = read(exclude="[{name: migration, from: 2026-11-21T23:00:00+01:00, to: 2026-11-21T23:30:00Z}]").exclusions
    assert found.name == "migration"
    expected = Interval(at("2026-11-21T22:00"), at("2026-11-21T23:30"))
    assert list(found.between(at("2026-11-21T23:29"), at("2026-12-01T00:00"))) == [expected]
    assert list(found.between(at("2026-11-21T23:30"), at("2026-12-01T00:00"))) == []


WEEKLY = (
    "[{name: maintenance, rrule: FREQ=WEEKLY;BYDAY=SU, start: 2026-01-04T02:30:00, duration: 2h, "
    "timezone: Europe/Prague}]"
)


@pytest.mark.parametrize(
    ("day", "begin"),
    [("2026-03-22", "01:30"), ("2026-04-05", "00:30"), ("2026-10-18", "00:30"), ("2026-11-01", "01:30")],
)
def test_recurring_keeps_its_time_on_the_wall(day: str, begin: str) -> None:
    """Half past two on Sundays in Prague is 01:30 UTC in winter and 00:30 in summer, always for two hours."""
    (found,) = read(exclude=WEEKLY).exclusions
    expected = Interval(at(f"{day}T{begin}"), at(f"{day}T{begin}") + 2 * HOUR)
    assert list(found.between(at(f"{day}T00:00"), at(f"{day}T00:00") + DAY)) == [expected]


def test_recurring_finds_what_is_under_way() -> None:
    """A span of time that begins inside of an occurrence finds it whole; none comes before its start."""
    (found,) = read(exclude=WEEKLY).exclusions
    middle = at("2026-05-03T01:00")
    assert [one.begin_unix_nano for one in found.between(middle, middle + SECOND)] == [at("2026-05-03T00:30")]
    assert list(found.between(at("2025-12-01T00:00"), at("2026-01-03T00:00"))) == []


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20260322T013000Z", "2026-03-22T01:30"),  # 02:30 in Prague, in winter
        ("20260322T012959Z", "2026-03-15T01:30"),
        ("20260405T003000Z", "2026-04-05T00:30"),  # 02:30 in Prague, in summer
        ("20260405T002959Z", "2026-03-29T01:30"),  # 02:30 of that night stood on no clock: 03:30
        ("20260405T023000", "2026-04-05T00:30"),
        ("20260405T022959", "2026-03-29T01:30"),
        ("20260405", "2026-03-29T01:30"),
    ],
)
def test_a_rule_ends_with_its_until(until: str, last: str) -> None:
    """The last occurrence is the one that begins at UNTIL or before: a moment in UTC, or else what the clock shows."""
    (found,) = read(exclude=WEEKLY.replace("BYDAY=SU", f"BYDAY=SU;UNTIL={until}")).exclusions
    begins = [one.begin_unix_nano for one in found.between(at("2026-01-01T00:00"), at("2027-01-01T00:00"))]
    assert begins[-1] == at(last)


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("UNTIL=tomorrow", "found UNTIL=tomorrow; expected a moment in UTC, such as UNTIL=20261231T230000Z"),
        ("UNTIL=2026-12-31T00:00:00Z", "found UNTIL=2026-12-31T00:00:00Z; expected a moment in UTC"),
        ("UNTIL=", "found UNTIL=; expected a moment in UTC"),
        ("UNTIL=20261331T000000Z", "invalid 'UNTIL': 20261331T000000Z; expected an RRULE (RFC 5545)"),
        ("UNTIL=20261331", "month must be in 1..12; expected an RRULE (RFC 5545)"),
        ("COUNT=3;UNTIL=20261231T000000Z", "found COUNT and UNTIL; expected one of them"),
    ],
)
def test_an_end_that_is_none_is_refused_with_what_was_expected(ending: str, said: str) -> None:
    """The message says what is wrong with the end of a rule, not that rules are written in another way."""
    rule = f"{{name: a, rrule: FREQ=DAILY;{ending}, start: 2017-01-04T02:00:00, duration: 5m, timezone: UTC}}"
    assert said in refusal(rule)


def test_one_moment_in_two_zones_is_two_starts() -> None:
    """Rules that begin at the same moment on two clocks stay on their own clocks."""
    prague = WEEKLY.replace("BYDAY=SU", "BYDAY=SU;UNTIL=20261231T000000Z")
    utc = prague.replace("T02:30:00", "T01:30:00").replace("Europe/Prague", "UTC")
    for exclude, begin in ((prague, "00:30"), (utc, "01:30")):
        (found,) = read(exclude=exclude).exclusions
        day = at("2026-07-05T00:00")
        assert [one.begin_unix_nano for one in found.between(day, day + DAY)] == [at(f"2026-07-05T{begin}")]


def test_exclusions_are_values() -> None:
    """Two documents that exclude the same are equal: reloading a file changes nothing."""
    assert read(exclude=WEEKLY) == read(exclude=WEEKLY)
    assert hash(read(exclude=WEEKLY)) == hash(read(exclude=WEEKLY))


def test_calendar_period() -> None:
    """A calendar unit with its zone is a period; burn factors use its usual length."""
    slo = read(period="{calendar: month, timezone: Europe/Prague}")
    assert slo.period == Period(length_ns=30 * DAY, unit=CalendarUnit.MONTH, timezone="Europe/Prague")
    assert [float(window.factor) for window in slo.alerting.windows] == [14.4, 6, 3, 1]


@pytest.mark.parametrize(
    "exclusion",
    [
        "{name: a, from: 2026-11-21T23:01:00Z, to: 2026-11-22T00:00:00Z}",
        "{name: a, from: 2026-11-21T23:00:00Z, to: 2026-11-22T00:00:01Z}",
        "{name: a, rrule: FREQ=DAILY, start: 2026-01-04T02:03:00, duration: 1h, timezone: UTC}",
        "{name: a, rrule: FREQ=DAILY, start: 2026-01-04T02:00:00, duration: 7m, timezone: UTC}",
        "{name: a, rrule: FREQ=HOURLY;BYMINUTE=7, start: 2026-01-04T02:00:00, duration: 5m, timezone: UTC}",
    ],
)
def test_only_whole_slices_can_be_left_out(exclusion: str) -> None:
    """The budget is kept in slices of 5 minutes: what would not count or count too much is refused, not rounded."""
    assert "expected whole 5 minutes, which the budget is kept in" in refusal(exclusion)


@pytest.mark.parametrize("frequency", ["SECONDLY", "MINUTELY"])
def test_rules_that_never_end_to_come_are_refused(frequency: str) -> None:
    """A rule that comes every minute since years would have to be walked through at each look."""
    rule = f"{{name: a, rrule: FREQ={frequency}, start: 2017-01-04T02:00:00, duration: 5m, timezone: UTC}}"
    assert f"found {frequency}; expected a rule that comes once an hour at the most" in refusal(rule)


def refusal(exclusion: str) -> str:
    """Return what is said of a document with this exclusion."""
    (problem,) = problems_of(document(exclude=f"[{exclusion}]"))
    return str(problem)
