"""Which cell of a series holds what.

The first cell is a sum or a gauge's value, the second the time of a gauge in nanoseconds (0: not reported any more),
then one cell for each bucket, then six for each exemplar: a sequence that is odd while it is written, the halves of
the trace id, the span id, the value, the time, whose last bit says that the trace is marked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction

from sloburn.sdk.prometheus.cells import Cells, CellsReader, Entry
from sloburn.sdk.prometheus.series import Exemplar, Instrument, Series, Value, read_description

VALUE, TIME, BUCKETS = 0, 1, 2
EXEMPLAR_WORDS, EXEMPLAR_TIME = 6, 5
_LOW_64_BITS = (1 << 64) - 1


def width(instrument: Instrument) -> int:
    """Return how many cells a series of an instrument takes."""
    return BUCKETS + instrument.buckets + EXEMPLAR_WORDS * _exemplars(instrument)


def exemplar_at(instrument: Instrument, bucket: int) -> int:
    """Return the offset of a bucket's exemplar from the series' first cell."""
    return BUCKETS + instrument.buckets + EXEMPLAR_WORDS * bucket


def _exemplars(instrument: Instrument) -> int:
    return {"histogram": instrument.buckets, "counter": 1}.get(instrument.kind, 0)


def write_exemplar(
    cells: Cells, at: int, *, trace_id: int, span_id: int, value: float, unix_nano: int, is_marked: bool
) -> None:
    """Write an exemplar so that a reader never takes a half of it."""
    integers = cells.integers
    integers[at] |= 1
    integers[at + 1] = trace_id >> 64
    integers[at + 2] = trace_id & _LOW_64_BITS
    integers[at + 3] = span_id
    cells.doubles[at + 4] = value
    integers[at + EXEMPLAR_TIME] = (unix_nano - 1) | 1 if is_marked else unix_nano & ~1
    integers[at] += 1


def read_exemplar(cells: Cells | CellsReader, at: int) -> Exemplar | None:
    """Return the exemplar at a place, None when there is none or it is being written."""
    integers = cells.integers
    before = integers[at]
    high, low, span_id, unix_nano = (integers[at + offset] for offset in (1, 2, 3, EXEMPLAR_TIME))
    value = cells.doubles[at + 4]
    if not before or before % 2 or integers[at] != before:
        return None
    return Exemplar(
        trace_id=f"{high:016x}{low:016x}",
        span_id=f"{span_id:016x}",
        value=value,
        unix_nano=unix_nano,
        is_marked=bool(unix_nano & 1),
    )


def read_series(cells: Cells | CellsReader, entry: Entry) -> Series | None:
    """Return the series that an entry holds, None when it cannot be read or is not reported any more."""
    try:
        instrument, attributes = read_description(entry.text)
    except (KeyError, TypeError, ValueError, json.JSONDecodeError):
        return None
    if entry.end - entry.cells != width(instrument):
        return None
    return _read(cells, entry.cells, instrument, attributes)


def _read(
    cells: Cells | CellsReader, at: int, instrument: Instrument, attributes: tuple[tuple[str, Value], ...]
) -> Series | None:
    unix_nano = cells.integers[at + TIME]
    if instrument.kind in ("gauge", "updown") and not unix_nano:
        return None
    return Series(
        instrument=instrument,
        attributes=attributes,
        value=Fraction(cells.doubles[at + VALUE]),
        counts=tuple(cells.integers[at + BUCKETS : at + BUCKETS + instrument.buckets]),
        exemplars=_read_exemplars(cells, at, instrument),
        unix_nano=unix_nano,
    )


def _read_exemplars(cells: Cells | CellsReader, at: int, instrument: Instrument) -> Mapping[int, Exemplar]:
    numbers = range(_exemplars(instrument))
    found = ((number, read_exemplar(cells, at + exemplar_at(instrument, number))) for number in numbers)
    return {number: exemplar for number, exemplar in found if exemplar is not None}
