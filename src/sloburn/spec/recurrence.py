"""Time that does not count again and again, by a rule of RFC 5545: ``FREQ=WEEKLY;BYDAY=SU``.

The rule runs on the clock on the wall, so a window at 02:00 stays at 02:00 when clocks change. Its end is a moment:
``UNTIL=20261231T225900Z``, as section 3.3.10 demands of a rule whose start has a time zone. An end without the ``Z`` is
taken for what the same clock shows then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from sloburn.duration import SECOND
from sloburn.slo.exclusions import Interval

_LOCAL_END = re.compile(r"UNTIL=(\d{8}(?:T\d{6})?)(?![\dTZ])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A span of time that does not count and comes again.

    Args:
        name: What it is, for people.
        rule: Recurrence rule.
        start: Wall-clock time of the first occurrence, without zone.
        duration_ns: How long each lasts, nanoseconds.
        timezone: IANA name of the zone of the clock.
    """

    name: str
    rule: str
    start: datetime
    duration_ns: int
    timezone: str

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> Iterable[Interval]:
        """Return every occurrence that touches a span of time, whole."""
        return tuple(
            found
            for found in self._around(begin_unix_nano, end_unix_nano)
            if found.begin_unix_nano < end_unix_nano and begin_unix_nano < found.end_unix_nano
        )

    def _around(self, begin_unix_nano: int, end_unix_nano: int) -> Iterator[Interval]:
        zone = ZoneInfo(self.timezone)
        margin = timedelta(days=1, seconds=self.duration_ns // SECOND)  # covers every offset and clock change
        first = datetime.fromtimestamp(begin_unix_nano // SECOND, zone) - margin
        last = datetime.fromtimestamp(end_unix_nano // SECOND, zone) + margin
        for moment in parse_rule(self.rule, self.start, self.timezone).between(first, last, inc=True):
            begin = int(moment.timestamp()) * SECOND
            yield Interval(begin, begin + self.duration_ns)


@lru_cache(maxsize=256)  # by the name of the zone: two starts at one moment in two zones are equal
def parse_rule(text: str, start: datetime, timezone: str) -> rrule | rruleset:
    """Return the occurrences of a rule, times with their zone.

    Args:
        text: Recurrence rule.
        start: Wall-clock time of the first occurrence, without zone.
        timezone: IANA name of the zone of the clock.

    Raises:
        ValueError: The rule is none.
    """
    zone = ZoneInfo(timezone)
    in_utc = _LOCAL_END.sub(lambda found: _utc_end(found[1], zone), text.upper())
    return rrulestr(in_utc, dtstart=start.replace(tzinfo=zone), cache=True)


def _utc_end(local: str, zone: ZoneInfo) -> str:
    moment = datetime.fromisoformat(local).replace(tzinfo=zone)
    return f"UNTIL={moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
