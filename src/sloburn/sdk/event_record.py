"""An event on its way to the exporter: what OpenTelemetry's two records of it say, at a fraction of their cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from sloburn.sdk.log_ids import Ids

_SEVERITIES = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}


def severity_of(level: str) -> SeverityNumber:
    """Return the severity of a level; one that is not ours counts as info."""
    return _SEVERITIES.get(level, SeverityNumber.INFO)


class EventRecord:
    """Stands for a ``ReadableLogRecord`` and for the ``LogRecord`` in it.

    Args:
        resource: Describes the process.
        scope: Named after the logger.
        unix_nano: When it happened.
        level: Ours, lower case.
        body: The event.
        attributes: Its fields, plain values.
        ids: Those of its context, which is not held: it would keep a whole request alive.
        event_name: Names its kind; None for log lines.
    """

    __slots__ = ("attributes", "body", "event_name", "ids", "instrumentation_scope", "level", "resource", "timestamp")
    dropped_attributes = 0

    def __init__(
        self,
        resource: Resource,
        scope: InstrumentationScope,
        unix_nano: int,
        level: str,
        body: object,
        attributes: Mapping[str, object],
        ids: Ids,
        event_name: str | None,
    ) -> None:
        self.resource = resource
        self.instrumentation_scope = scope
        self.timestamp = unix_nano
        self.level = level
        self.body = body
        self.attributes = attributes
        self.ids = ids
        self.event_name = event_name

    @property
    def log_record(self) -> Self:
        """The record itself."""
        return self

    @property
    def observed_timestamp(self) -> int:
        """When it was seen: at once."""
        return self.timestamp

    @property
    def severity_number(self) -> SeverityNumber:
        """Its level, as OpenTelemetry counts."""
        return severity_of(self.level)

    @property
    def severity_text(self) -> str:
        """Its level, under OpenTelemetry's name."""
        return self.severity_number.name

    @property
    def trace_id(self) -> int:
        """Of its span; 0 outside of spans."""
        return self.ids.trace_id

    @property
    def span_id(self) -> int:
        """Of its span; 0 outside of spans."""
        return self.ids.span_id

    @property
    def trace_flags(self) -> int:
        """Of its span."""
        return self.ids.flags
