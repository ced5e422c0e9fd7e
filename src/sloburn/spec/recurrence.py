"""Time that does not count again and again, by a rule of RFC 5545: ``FREQ=WEEKLY;BYDAY=SU``.

The rule runs on the clock on the wall, so a window at 02:00 stays at 02:00 when clocks change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from sloburn.duration import SECOND
from sloburn.slo.exclusions import Interval


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
        first = datetime.fromtimestamp(begin_unix_nano // SECOND, zone).replace(tzinfo=None) - margin
        last = datetime.fromtimestamp(end_unix_nano // SECOND, zone).replace(tzinfo=None) + margin
        for wall in _rule(self.rule, self.start).between(first, last, inc=True):
            begin = int(wall.replace(tzinfo=zone).timestamp()) * SECOND
            yield Interval(begin, begin + self.duration_ns)


@lru_cache(maxsize=256)
def _rule(text: str, start: datetime) -> rrule | rruleset:
    return rrulestr(text, dtstart=start, cache=True)
