"""What was captured, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Attributes = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedSpan:
    """A span that has ended.

    Args:
        name: Its name.
        kind: ``internal``, ``server``, ``client``, ``producer`` or ``consumer``.
        trace_id: 32 hexadecimal digits, ...0001 for the first trace of the test.
        span_id: 16 hexadecimal digits, ...0001 for the first span.
        parent_id: The parent's span id; empty for the first of a trace.
        status: ``unset``, ``ok`` or ``error``.
        attributes: Its attributes.
        events: Names and attributes, in their order.
        started: When, in ticks of the test: 1 for the first thing that happened, 2 for the second.
        ended: When, in the same ticks.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    status: str
    attributes: Attributes
    events: tuple[tuple[str, Attributes], ...]
    started: int
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedLog:
    """A log record.

    Args:
        event: What was logged.
        level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        logger: The logger's name.
        attributes: The fields of the event.
        trace_id: Of the span in which it was logged; empty outside of spans.
        span_id: Of that span.
        at: When, in ticks of the test.
    """

    event: str
    level: str
    logger: str
    attributes: Attributes
    trace_id: str
    span_id: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedMetric:
    """What was measured under one set of attributes since the test began.

    Args:
        name: The instrument's.
        kind: ``counter``, ``updown``, ``gauge`` or ``histogram``.
        unit: The instrument's.
        attributes: Its attributes.
        value: A sum, a gauge's last value, or how many values a histogram has.
        total: The sum of a histogram's values; the value again otherwise.
    """

    name: str
    kind: str
    unit: str
    attributes: Attributes
    value: float
    total: float


def matches(found: Attributes, wanted: Attributes) -> bool:
    """Tell whether everything that is wanted is found; what is found beyond that does not matter."""
    return all(name in found and found[name] == value for name, value in wanted.items())
