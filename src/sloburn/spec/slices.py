"""Readers of what is judged in slices of time: ``slices`` of an SLO, and the indicators freshness and heartbeat."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import cast

import yaml

from sloburn.duration import MINUTE, format_duration
from sloburn.slo.conditions import AnyOf
from sloburn.slo.model import (
    EventIndicator,
    FreshnessIndicator,
    LogIndicator,
    MetricIndicator,
    NoEvents,
    SlicedIndicator,
    SpanIndicator,
)
from sloburn.slo.timed import FINE_AGE_NS, MINUTE_AGE_NS, SLICES_NS
from sloburn.spec.cursor import Cursor, Record, listed
from sloburn.spec.indicators import NO_INDICATOR, read_indicator
from sloburn.spec.values import read_choice, read_duration, read_share

NO_EVENTS = tuple(one.value for one in NoEvents)

_EVENTS = ("spans", "metric", "logs")  # kinds whose events can do without a verdict where only their coming counts


def read_slices(at: Cursor, source: EventIndicator) -> SlicedIndicator:
    """Read how the events of an indicator are judged slice by slice."""
    record = at.record("length", "target", "no_events")
    return SlicedIndicator(
        source=source,
        slice_ns=record.need("length", read_slice, MINUTE, "1m"),
        target=record.need("target", read_share, Fraction(1), "95%"),
        no_events=record.may("no_events", read_no_events, NoEvents.IGNORED),
    )


def read_slice(at: Cursor) -> int:
    """Read the length of a slice; return nanoseconds."""
    before = len(at.problems)
    length_ns = read_duration(at)
    if length_ns in SLICES_NS or len(at.problems) > before:
        return length_ns if length_ns in SLICES_NS else MINUTE
    return at.expected(f"one of the lengths {listed(map(format_duration, SLICES_NS))}", MINUTE)


def read_no_events(at: Cursor) -> NoEvents:
    """Read what a slice without events is."""
    return NoEvents(read_choice(at, (NoEvents.IGNORED.value, NoEvents.GOOD.value, NoEvents.BAD.value)))


def read_freshness(at: Cursor) -> FreshnessIndicator:
    """Read an indicator of how long ago the last good event was."""
    record = at.fields()["freshness"].record("of", "within", "slice")
    within_ns = record.need("within", read_duration, MINUTE, "15m")
    return _fresh(record, within_ns, every_ns=0)


def read_heartbeat(at: Cursor) -> FreshnessIndicator:
    """Read an indicator of an event that is expected again and again."""
    record = at.fields()["heartbeat"].record("of", "every", "grace", "slice")
    every_ns = record.need("every", read_duration, MINUTE, "1h")
    grace_ns = record.need("grace", read_duration, MINUTE, "5m")
    return _fresh(record, every_ns + grace_ns, every_ns=every_ns)


def _fresh(record: Record, within_ns: int, *, every_ns: int) -> FreshnessIndicator:
    shortest = 5 * MINUTE if within_ns > MINUTE_AGE_NS else MINUTE
    slice_ns = record.may("slice", read_slice, shortest)
    source = record.need("of", _read_source, NO_INDICATOR, "{spans: {kind: consumer}}")
    if within_ns > FINE_AGE_NS and slice_ns % shortest:
        message = f"events that old are told apart by {format_duration(shortest)} only; expected a multiple of that"
        record.fields["slice"].refuse(f"found {format_duration(slice_ns)}: {message}", None)
    return FreshnessIndicator(source=source, within_ns=within_ns, slice_ns=slice_ns, every_ns=every_ns)


def _read_source(at: Cursor) -> EventIndicator:
    """Read which events count; where nothing says which of them are good, all are."""
    fields = at.fields()
    plain = not ({"good", "bad"} & fields.keys()) and any(kind in fields for kind in _EVENTS)
    found = read_indicator(_judged(at) if plain else at)
    if plain and isinstance(found, SpanIndicator | MetricIndicator | LogIndicator):
        return replace(found, bad=AnyOf())
    return found


def _judged(at: Cursor) -> Cursor:
    """Return the same place with a verdict that never holds, so that every reader of events takes it."""
    node = cast("yaml.MappingNode", at.node)

    def text(value: str) -> yaml.ScalarNode:
        return yaml.ScalarNode("tag:yaml.org,2002:str", value, node.start_mark, node.end_mark)

    def mapping(key: str, value: yaml.Node) -> yaml.MappingNode:
        return yaml.MappingNode("tag:yaml.org,2002:map", [(text(key), value)], node.start_mark, node.end_mark)

    exists = mapping("exists", yaml.ScalarNode("tag:yaml.org,2002:bool", "true", node.start_mark, node.end_mark))
    verdict = (text("bad"), mapping("attribute.none", exists))
    judged = yaml.MappingNode(node.tag, [*node.value, verdict], node.start_mark, node.end_mark)
    return replace(at, node=judged)
