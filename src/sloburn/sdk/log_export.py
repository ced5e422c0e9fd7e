"""Turn a finished event into an OpenTelemetry log record."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import cast

from opentelemetry import _logs
from opentelemetry._logs import LogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags
from opentelemetry.util.types import AnyValue

from sloburn.sdk.event_record import EventRecord, severity_of
from sloburn.sdk.log_ids import Ids, present_ids
from sloburn.sdk.providers import DirectLoggerProvider

_MOST_SCOPES = 1000


class LogEmitter:
    """Emits events on the logger provider, under a scope for each logger name.

    Values are handed on as they come: the redactor has made them plain.

    Args:
        provider: Where the records go.
    """

    def __init__(self, provider: _logs.LoggerProvider) -> None:
        self._provider = provider
        self._scopes: dict[str, InstrumentationScope] = {}

    def emit(
        self,
        *,
        logger: str,
        level: str,
        body: object,
        attributes: MutableMapping[str, object],
        unix_nano: int,
        ids: Ids | None = None,
        event_name: str | None = None,
    ) -> None:
        """Emit one event; the ids are those of the current context when absent."""
        provider = self._provider
        ids = ids or present_ids()
        if not isinstance(provider, DirectLoggerProvider) or provider.only_queue is None:
            self._send(logger, level, body, attributes, unix_nano, ids, event_name)
            return
        provider.only_queue.add(
            EventRecord(provider.resource, self._scope(logger), unix_nano, level, body, attributes, ids, event_name)
        )

    def _send(
        self,
        logger: str,
        level: str,
        body: object,
        attributes: MutableMapping[str, object],
        unix_nano: int,
        ids: Ids,
        event_name: str | None,
    ) -> None:
        """Let the SDK, and whatever the host has added to it, have the record."""
        severity = severity_of(level)
        record = LogRecord(
            timestamp=unix_nano,
            observed_timestamp=unix_nano,
            severity_number=severity,
            severity_text=severity.name,
            body=cast("AnyValue", body),
            attributes=cast("dict[str, AnyValue]", attributes),
            event_name=event_name,
        )
        record.trace_id, record.span_id, record.trace_flags = ids.trace_id, ids.span_id, TraceFlags(ids.flags)
        self._provider.get_logger(logger).emit(record)

    def _scope(self, name: str) -> InstrumentationScope:
        scope = self._scopes.get(name)
        if scope is None:
            scope = InstrumentationScope(name)
            if len(self._scopes) < _MOST_SCOPES:
                self._scopes[name] = scope
        return scope
