"""What is measured: instruments, their series, and what one process or all of them together have counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, cast

Kind = Literal["counter", "updown", "gauge", "histogram"]
# Where the series of an instrument are in memory, by attributes.
Places = dict[object, int]
Value = str | bool | int | float | list[str | bool | int | float]

# The SDK's own boundaries for a histogram without advice, so that OTLP and /metrics agree.
DEFAULT_BOUNDARIES = (
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What an instrument is.

    Args:
        name: Its OpenTelemetry name.
        kind: ``updown`` is a sum that may fall.
        unit: UCUM, as OpenTelemetry writes it.
        description: For people.
        scope: Name of the instrumentation scope.
        scope_version: Its version.
        boundaries: Upper bounds of a histogram's buckets, without infinity.
    """

    name: str
    kind: Kind
    unit: str = ""
    description: str = ""
    scope: str = ""
    scope_version: str = ""
    boundaries: tuple[float, ...] = ()

    @property
    def buckets(self) -> int:
        """How many buckets it has, that up to infinity included; 0 unless it is a histogram."""
        return len(self.boundaries) + 1 if self.kind == "histogram" else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One measurement and the span in which it was made.

    Args:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        value: What was measured.
        unix_nano: When.
        is_marked: Whether a sampler of whole traces knows that it is wanted.
    """

    trace_id: str
    span_id: str
    value: float
    unix_nano: int
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What has been counted under one set of attributes.

    Args:
        instrument: Of which instrument.
        attributes: In the order of their names.
        value: A sum, exact whatever was added in whatever order, or the last value of a gauge.
        counts: How many values fell into each bucket, not cumulated; empty unless it is a histogram.
        exemplars: By number of the bucket; 0 for a counter.
        unix_nano: When a gauge was set.
    """

    instrument: Instrument
    attributes: tuple[tuple[str, Value], ...]
    value: Fraction
    counts: tuple[int, ...] = ()
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)
    unix_nano: int = 0

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same series in another process."""
        what = self.instrument
        return what.scope, what.scope_version, what.name, what.kind, what.unit, repr(self.attributes)


def describe(instrument: Instrument, attributes: tuple[tuple[str, Value], ...]) -> dict[str, object]:
    """Return instrument and attributes as a document for a file."""
    return {
        "name": instrument.name,
        "kind": instrument.kind,
        "unit": instrument.unit,
        "description": instrument.description,
        "scope": instrument.scope,
        "scope_version": instrument.scope_version,
        "boundaries": list(instrument.boundaries),
        "attributes": [list(pair) for pair in attributes],
    }


def read_description(document: Mapping[str, object]) -> tuple[Instrument, tuple[tuple[str, Value], ...]]:
    """Read what `describe` wrote.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of another type.
    """
    texts = {name: str(document[name]) for name in ("name", "unit", "description", "scope", "scope_version")}
    boundaries = tuple(float(bound) for bound in cast("list[float]", document["boundaries"]))
    pairs = cast("list[tuple[str, Value]]", document["attributes"])
    instrument = Instrument(kind=cast("Kind", document["kind"]), boundaries=boundaries, **texts)
    return instrument, tuple((name, value) for name, value in pairs)


def attributes_of(given: Mapping[str, object] | None) -> tuple[tuple[str, Value], ...]:
    """Return attributes in the order of their names, with values that a file can hold."""
    return tuple((name, _plain(value)) for name, value in sorted((given or {}).items()))


def _plain(value: object) -> Value:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [item if isinstance(item, str | bool | int | float) else str(item) for item in value]
    return str(value)
