"""How much one span or log record may hold, and which measurements leave an exemplar.

Settled here and handed to OpenTelemetry's providers, which would raise where one of the variables is misspelt.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from sloburn.sdk import values

Value = TypeVar("Value")
ExemplarFilter = Literal["always_on", "always_off", "trace_based"]

_MOST = 128
_FILTERS: Mapping[str, ExemplarFilter] = {
    "always_on": "always_on",
    "always_off": "always_off",
    "trace_based": "trace_based",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what one item holds; a length of None is no bound.

    Args:
        span_attributes: Attributes of a span.
        span_events: Its events.
        span_links: Its links.
        event_attributes: Attributes of one event.
        link_attributes: Attributes of one link.
        span_length: Characters of a text in a span.
        event_length: Characters of a text in events and links.
        log_attributes: Attributes of a log record.
        log_length: Characters of a text in a log record.
    """

    span_attributes: int = _MOST
    span_events: int = _MOST
    span_links: int = _MOST
    event_attributes: int = _MOST
    link_attributes: int = _MOST
    span_length: int | None = None
    event_length: int | None = None
    log_attributes: int = _MOST
    log_length: int | None = None


class Pick(Protocol):
    """Returns the first source of a setting that makes sense: `Resolver.pick`."""

    def __call__(
        self, given: tuple[str, object], names: tuple[str, ...], read: Callable[[object], Value], default: Value
    ) -> Value:
        """Return the first of argument and variables that is set and can be read, else the default."""
        ...


def limits(pick: Pick) -> Limits:
    """Settle the bounds: an item's own variable over the one of all attributes over the specification's default."""

    def most(name: str, default: int) -> int:
        return pick(("", None), (f"OTEL_{name}_COUNT_LIMIT",), values.limit, default)

    def length(name: str, default: int | None) -> int | None:
        return pick(("", None), (f"OTEL_{name}_VALUE_LENGTH_LIMIT",), values.limit, default)

    attributes, characters = most("ATTRIBUTE", _MOST), length("ATTRIBUTE", None)
    return Limits(
        span_attributes=most("SPAN_ATTRIBUTE", attributes),
        span_events=most("SPAN_EVENT", _MOST),
        span_links=most("SPAN_LINK", _MOST),
        event_attributes=most("EVENT_ATTRIBUTE", attributes),
        link_attributes=most("LINK_ATTRIBUTE", attributes),
        span_length=length("SPAN_ATTRIBUTE", characters),
        event_length=characters,
        log_attributes=most("LOGRECORD_ATTRIBUTE", attributes),
        log_length=length("LOGRECORD_ATTRIBUTE", characters),
    )


def exemplar_filter(pick: Pick) -> ExemplarFilter:
    """Settle which measurements leave an exemplar."""
    default: ExemplarFilter = "trace_based"
    return pick(("", None), ("OTEL_METRICS_EXEMPLAR_FILTER",), values.one_of(_FILTERS), default)
