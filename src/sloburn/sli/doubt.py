"""Slices of time in which something may have been lost: each may be what it was judged, or not.

Losses are told some time after they happened. What is told at a moment is taken for items of the `TOLD_NS` before it,
so every slice of that time is in doubt, and every later one that an item could still decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sloburn.duration import MINUTE
from sloburn.otlp.signal import Signal
from sloburn.sli.progress import Progress
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import (
    FreshnessIndicator,
    Indicator,
    JourneyIndicator,
    LogIndicator,
    SlicedIndicator,
    Slo,
    SpanIndicator,
    WeightedIndicator,
)
from sloburn.slo.timed import members_of

TOLD_NS = 6 * MINUTE
"""So long before its loss is told an item can have been made: a Collector gives up after five minutes
(opentelemetry-collector, exporterhelper, ``retry_on_failure.max_elapsed_time``), and counters are sent every minute
(OpenTelemetry SDK environment variables, ``OTEL_METRIC_EXPORT_INTERVAL``)."""

COARSEST_CELLS = 60  # of the finest ones that one of the coarsest holds: see `sloburn.sli.ledger.tiers`

Ranges = tuple[tuple[int, int], ...]
"""Spans of time or of numbers, in order and apart: the first one, and the one after the last."""


class Sight(NamedTuple):
    """Telemetry that an SLO reads, itself or through others.

    Args:
        service: Whose.
        signal: Which.
        lasts_ns: How long an item still decides slices after its own, nanoseconds.
    """

    service: str
    signal: Signal
    lasts_ns: int = 0


def sights_of(slo: Slo, slos: dict[str, Slo]) -> tuple[Sight, ...]:
    """Return all telemetry that an SLO reads, each once.

    Args:
        slo: The promise.
        slos: All of them by name: the members of others are among them.
    """
    match slo.indicator:
        case SlicedIndicator(source=source):
            return (Sight(slo.service, _signal_of(source)),)
        case FreshnessIndicator(source=source, within_ns=within_ns):
            return (Sight(slo.service, _signal_of(source), within_ns),)
        case JourneyIndicator() | WeightedIndicator():
            found = (one for name in members_of(slo.indicator) for one in sights_of(slos[name], slos))
            return tuple(dict.fromkeys(found))
        case events:
            return (Sight(slo.service, _signal_of(events)),)


def _signal_of(indicator: Indicator) -> Signal:
    match indicator:
        case SpanIndicator():
            return Signal.TRACES
        case LogIndicator():
            return Signal.LOGS
        case _:
            return Signal.METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Slices that were judged, as far as a look-back shows them.

    Args:
        slice_ns: Length of a slice, nanoseconds.
        step_ns: Length of the cell that ends a slice and holds its verdict, nanoseconds.
        cell_ns: Length of the cells of the look-back, nanoseconds.
        progress: How far they are judged.
        begins_unix_nano: No slice that ended before can count, nanoseconds since the epoch.
    """

    slice_ns: int
    step_ns: int
    cell_ns: int
    progress: Progress
    begins_unix_nano: int

    def touched(self, times: Iterable[tuple[int, int]], lasts_ns: int) -> Ranges:
        """Return the slices that touch some spans of time, each `lasts_ns` longer."""
        each, rest = self.slice_ns, 0
        if lasts_ns:  # nothing ages in a gap, and the age of an event is known to a cell
            gaps = sum(gap.end_unix_nano - gap.begin_unix_nano for gap in self.progress.gaps)
            rest = lasts_ns + gaps + COARSEST_CELLS * self.step_ns
        return merged((begin // each, -(-(end + rest) // each)) for begin, end in times)

    def shown(self, first: int, last: int, hidden: Iterable[Interval]) -> list[tuple[int, int]]:
        """Return the slices that the cells from `first` to `last` show, without those of excluded time."""
        begin = max(self._from_cell(first), self.begins_unix_nano // self.slice_ns)
        end = min(self._from_cell(last + 1), self.progress.until or self._from_cell(last + 1))
        found: list[tuple[int, int]] = []
        for one in hidden:
            stop = self._from_cell(-(-one.begin_unix_nano // self.cell_ns))
            found.append((begin, min(stop, end)))
            begin = max(begin, self._from_cell(-(-one.end_unix_nano // self.cell_ns)))
        return [*found, (begin, end)]

    def _from_cell(self, cell: int) -> int:
        """Return the first slice whose verdict lies in a cell or after it."""
        return -((self.slice_ns - self.step_ns - cell * self.cell_ns) // self.slice_ns)


def split(told: Ranges, until: int) -> tuple[Ranges, Ranges]:
    """Return all slices from the first doubtful one up to `until`, and the doubtful ones from there on.

    Args:
        told: Slices in which something may have been lost.
        until: The number of the first slice that counts although nothing happens in it; 0 if none ever does.
    """
    before = ((told[0][0], until),) if told and told[0][0] < until else ()
    return before, tuple((max(begin, until), end) for begin, end in told if end > until)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if found and begin <= found[-1][1]:
            begin, end = found[-1][0], max(end, found.pop()[1])
        found.append((begin, end))
    return tuple(found)


def size_of_common(one: Iterable[tuple[int, int]], other: Ranges) -> int:
    """Return how many numbers are in ranges of both."""
    return sum(max(0, min(end, until) - max(begin, since)) for begin, end in one for since, until in other)
