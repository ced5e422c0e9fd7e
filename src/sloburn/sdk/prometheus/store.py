"""Where measurements are kept for `/metrics`: in memory that outlives its process, or only in memory.

What is added here is seen by the next scrape of any process, and survives the process that added it, however it ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from opentelemetry import trace
from opentelemetry.context import Context

from sloburn.clock import SystemClock
from sloburn.sdk.exemplars import FRESH_NANOSECONDS, MARKS, SHOWN_NANOSECONDS
from sloburn.sdk.prometheus.cells import Cells, CellsFull
from sloburn.sdk.prometheus.folder import Folder
from sloburn.sdk.prometheus.layout import (
    BUCKETS,
    EXEMPLAR_TIME,
    TIME,
    VALUE,
    exemplar_at,
    read_series,
    width,
    write_exemplar,
)
from sloburn.sdk.prometheus.merge import OVERFLOW, merge, without_old
from sloburn.sdk.prometheus.series import Instrument, Places, Series, Value, attributes_of, describe

# The SDK's limit for one instrument, so that both ways show the same series.
MOST_SERIES = 2000
_EXEMPLAR_NANOSECONDS = 1_000_000_000
_RETRY_NANOSECONDS = 10_000_000_000


class Measured(Protocol):
    """An instrument that is kept here."""

    @property
    def instrument(self) -> Instrument:
        """What it is."""
        ...

    @property
    def places(self) -> Places:
        """Where its series are in the memory of the moment; only the store writes it."""
        ...


class Store:
    """This process's numbers, and those of its siblings.

    Args:
        folder: Where siblings keep theirs; None when there are none.
        now: Nanoseconds since the epoch; the machine's clock when absent.

    Attributes:
        generation: How often it has begun anew; places in memory are good for one generation.
    """

    def __init__(self, folder: Folder | None = None, now: Callable[[], int] | None = None) -> None:
        self._folder = folder
        self._now = now or SystemClock().now_unix_nano
        # Not a plain lock: a signal handler or a finaliser may measure in the middle of a measurement.
        self._lock = threading.RLock()
        self._cells: Cells | None = None
        self._name: str | None = None
        self._descriptor: int | None = None
        self._measured: dict[int, Measured] = {}
        self._lost = 0
        self._full_until = 0
        self.generation = 0

    def add(self, measured: Measured, amount: float, attributes: Mapping[str, object] | None) -> int:
        """Add to a sum.

        Returns:
            Where the series is; 0 when it found no room.
        """
        with self._lock:
            at = self._find(measured, attributes)
            if at:
                self._open().doubles[at + VALUE] += amount
            return at

    def record(self, measured: Measured, amount: float, bucket: int, attributes: Mapping[str, object] | None) -> int:
        """Add to a histogram.

        Returns:
            Where the series is; 0 when it found no room.
        """
        with self._lock:
            at = self._find(measured, attributes)
            if at:
                cells = self._open()
                cells.integers[at + BUCKETS + bucket] += 1
                cells.doubles[at + VALUE] += amount
            return at

    def set(self, measured: Measured, amount: float, attributes: Mapping[str, object] | None) -> int:
        """Set a gauge, or the sum that a callback reported.

        Returns:
            Where the series is; 0 when it found no room.
        """
        with self._lock:
            at = self._find(measured, attributes)
            if at:
                cells = self._open()
                cells.doubles[at + VALUE] = amount
                cells.integers[at + TIME] = self._now()
            return at

    def withdraw(self, places: Iterable[int]) -> None:
        """Stop to report series that a callback did not report any more."""
        with self._lock:
            if self._cells is not None:
                for at in places:
                    self._cells.integers[at + TIME] = 0

    def keep_exemplar(self, measured: Measured, at: int, bucket: int, value: float, context: Context | None) -> None:
        """Remember the span in which something was measured, if it is recorded; at most one per bucket and second.

        A trace that is marked is kept longer: `sloburn.sdk.exemplars`.
        """
        if not at or self._cells is None:
            return
        place = at + exemplar_at(measured.instrument, bucket)
        now = self._now()
        before = self._cells.integers[place + EXEMPLAR_TIME]
        # Asked first, because it is cheaper than to ask for the span.
        if 0 <= now - before < (FRESH_NANOSECONDS if before & 1 else _EXEMPLAR_NANOSECONDS):
            return
        span = trace.get_current_span(context)
        of = span.get_span_context()
        if not of.trace_flags & trace.TraceFlags.SAMPLED:
            return
        is_marked = MARKS.mark(span, of.trace_id, now)
        if before & 1 and not is_marked and 0 <= now - before < SHOWN_NANOSECONDS:
            return
        with self._lock:
            write_exemplar(
                self._open(),
                place,
                trace_id=of.trace_id,
                span_id=of.span_id,
                value=value,
                unix_nano=now,
                is_marked=is_marked,
            )

    def own_series(self) -> Sequence[Series]:
        """Return what this process has counted."""
        with self._lock:
            if self._cells is None:
                return ()
            found = [read_series(self._cells, entry) for entry in self._cells.entries()]
        return [series for series in found if series is not None]

    def collect(self) -> tuple[list[Series], int]:
        """Return what all processes of the service have counted, and how many updates were lost.

        Raises:
            OSError: The siblings' files cannot be read.
        """
        series, lost = [*self.own_series()], self._lost + (self._cells.lost if self._cells is not None else 0)
        if self._folder is not None:
            others = self._folder.read(self._name)
            series += others.series
            lost += others.lost
        return merge(without_old(series, self._now())), lost

    def release(self) -> None:
        """Let the instruments go, so that they can be kept in another store."""
        with self._lock:
            for measured in self._measured.values():
                measured.places.clear()
            self._measured.clear()
            self.generation += 1

    def begin_anew(self) -> None:
        """Count from zero in memory of our own: in a forked child, whose parent's numbers stay with the parent."""
        self._lock = threading.RLock()
        with self._lock:
            if self._descriptor is not None:
                # Without this the child would hold the parent's lock and the parent would seem to live for ever.
                os.close(self._descriptor)
            self._cells = self._name = self._descriptor = None
            self._lost = 0
            self.release()

    def _find(self, measured: Measured, attributes: Mapping[str, object] | None) -> int:
        """Return where a series is, made when it is new; 0 when there is no room."""
        try:
            key: object = tuple(attributes.items()) if attributes else ()
            at = measured.places.get(key)
        except TypeError:
            key = repr(attributes)
            at = measured.places.get(key)
        return self._place(measured, attributes, key) if at is None else at

    def _place(self, measured: Measured, attributes: Mapping[str, object] | None, key: object) -> int:
        """Find a series by its sorted attributes, as callers write them in any order, or make it."""
        self._measured[id(measured)] = measured
        places = measured.places
        ordered = attributes_of(attributes)
        known = places.get(repr(ordered))
        if known is None and len(places) >= 2 * MOST_SERIES:
            ordered = OVERFLOW
            known = places.get(repr(ordered))
        if known is None:
            known = self._append(measured.instrument, ordered)
            if not known:
                return 0
            places[repr(ordered)] = known
        if len(places) < 4 * MOST_SERIES:
            places[key] = known
        return known

    def _append(self, instrument: Instrument, attributes: tuple[tuple[str, Value], ...]) -> int:
        # Where there was no room there will be none at once, and a request must not wait for a full disk.
        if self._now() < self._full_until:
            self._lost += 1
            return 0
        try:
            cells = self._open()
            at = cells.append(describe(instrument, attributes), width(instrument))
        except (CellsFull, OSError):
            self._full_until = self._now() + _RETRY_NANOSECONDS
            self._lost += 1
            return 0
        cells.integers[at + TIME] = 1
        return at

    def _open(self) -> Cells:
        """Return this process's numbers, opened at the first measurement: a child that measures nothing makes no file.

        Raises:
            CellsFull: There is no room, or no file could be made.
        """
        if self._cells is None:
            self._cells = self._make()
        return self._cells

    def _make(self) -> Cells:
        if self._folder is None:
            return Cells()
        own = self._folder.open_own()
        self._name, self._descriptor = own.name, own.descriptor
        return Cells(own.descriptor)
