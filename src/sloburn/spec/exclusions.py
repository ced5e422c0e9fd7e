"""Readers of exclusions: time that does not count, once (``from``, ``to``) or again and again (``rrule``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sloburn.duration import DAY, MINUTE, SECOND
from sloburn.slo.exclusions import Exclusion, Interval, OneOff
from sloburn.spec.cursor import Cursor, Record
from sloburn.spec.periods import read_timezone
from sloburn.spec.recurrence import Recurring, parse_rule
from sloburn.spec.values import read_duration, read_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_NS = 7 * DAY
# The budget of a period is kept in slices of so much: time that does not count is made of whole ones.
_SLICE_MINUTES = 5
_WHOLE = "whole 5 minutes, which the budget is kept in"
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?", re.IGNORECASE)  # without Z: what the clock of the exclusion shows
_NEVER = OneOff(name="", interval=Interval(0, 0))


def read_exclusions(at: Cursor) -> tuple[Exclusion, ...]:
    """Read a list of exclusions."""
    return tuple(_read_exclusion(item) for item in at.items())


def _read_exclusion(at: Cursor) -> Exclusion:
    fields = at.fields()
    if not at.is_mapping:
        return _NEVER
    if ("rrule" in fields) is ("from" in fields or "to" in fields):
        return at.refuse("expected either from and to, or rrule, start, duration and timezone", _NEVER)
    return _read_recurring(at) if "rrule" in fields else _read_one_off(at)


def _read_one_off(at: Cursor) -> Exclusion:
    record = at.record("name", "from", "to")
    begin = record.need("from", _read_moment, _EPOCH, "2026-11-21T22:00:00Z")
    end = record.need("to", _read_moment, _EPOCH, "2026-11-21T23:30:00Z")
    if "from" in record and "to" in record and begin >= end and _EPOCH not in (begin, end):
        return at.refuse("from is not before to; expected a span of time", _NEVER)
    return OneOff(name=_read_name(record), interval=Interval(_nanoseconds(begin), _nanoseconds(end)))


def _read_recurring(at: Cursor) -> Exclusion:
    record = at.record("name", "rrule", "start", "duration", "timezone")
    start = record.need("start", _read_wall_time, datetime(1970, 1, 1), "2026-01-04T02:00:00")  # noqa: DTZ001 (wall time)
    return Recurring(
        name=_read_name(record),
        rule=_read_rule(record, start),
        start=start,
        duration_ns=record.need("duration", _read_length, SECOND, "2h"),
        timezone=record.need("timezone", read_timezone, "UTC", "Europe/Prague"),
    )


def _read_name(record: Record) -> str:
    return record.need("name", read_text, "", "database migration")


def _read_rule(record: Record, start: datetime) -> str:
    at = record.fields["rrule"]
    text = read_text(at)
    if "\n" in text or "DTSTART" in text.upper():
        return at.expected("one RRULE (RFC 5545) without DTSTART, which is what start is for", "FREQ=YEARLY")
    if frequency := re.search("FREQ=(SECONDLY|MINUTELY)", text, re.IGNORECASE):
        return at.refuse(f"found {frequency[1]}; expected a rule that comes once an hour at the most", "")
    found = re.findall(r"BY(?:MINUTE|SECOND)=([0-9,]+)", text, re.IGNORECASE)
    if any(int(number) % _SLICE_MINUTES for numbers in found for number in numbers.split(",") if number):
        return at.refuse(f"found {at.found}; expected {_WHOLE}", "")
    if (until := re.search("UNTIL=([^;]*)", text, re.IGNORECASE)) and not _UNTIL.fullmatch(until[1]):
        return at.refuse(f"found {until[0]}; expected a moment in UTC, such as UNTIL=20261231T230000Z", "")
    if until and re.search("COUNT=", text, re.IGNORECASE):
        return at.refuse("found COUNT and UNTIL; expected one of them: a rule has one end (RFC 5545)", "")
    try:
        parse_rule(text, start, "UTC")
    except (ValueError, TypeError, KeyError) as error:
        return at.refuse(f"found {at.found}: {error}; expected an RRULE (RFC 5545) such as FREQ=WEEKLY;BYDAY=SU", "")
    return text


def _read_length(at: Cursor) -> int:
    length_ns = read_duration(at)
    if length_ns % (_SLICE_MINUTES * MINUTE):
        return at.expected(_WHOLE, SECOND)
    return length_ns if length_ns <= _LONGEST_NS else at.expected("a duration of at most 7d", SECOND)


def _read_moment(at: Cursor) -> datetime:
    """Read a moment: a time with its offset, so that it is the same everywhere."""
    moment = _iso(at)
    if moment is None or moment.tzinfo is None:
        return at.expected("a time with its offset, such as 2026-11-21T22:00:00Z", _EPOCH)
    return moment if _is_whole(moment) else at.expected(_WHOLE, _EPOCH)


def _read_wall_time(at: Cursor) -> datetime:
    """Read what a clock on the wall shows in the exclusion's time zone."""
    moment = _iso(at)
    if moment is None or moment.tzinfo is not None:
        return at.expected(
            "a local time without offset, such as 2026-01-04T02:00:00",
            datetime(1970, 1, 1),  # noqa: DTZ001 (wall time)
        )
    return moment if _is_whole(moment) else at.expected(_WHOLE, datetime(1970, 1, 1))  # noqa: DTZ001 (wall time)


def _is_whole(moment: datetime) -> bool:
    return not (moment.minute % _SLICE_MINUTES or moment.second or moment.microsecond)


def _iso(at: Cursor) -> datetime | None:
    try:
        return datetime.fromisoformat(at.node.value) if at.is_scalar else None
    except ValueError:
        return None


def _nanoseconds(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds()) * SECOND
