"""Turn a finished event into an OpenTelemetry log record."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import cast

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AnyValue

from sloburn.sdk.providers import DirectLoggerProvider

_SEVERITIES = {
    "debug": (SeverityNumber.DEBUG, "DEBUG"),
    "info": (SeverityNumber.INFO, "INFO"),
    "warning": (SeverityNumber.WARN, "WARN"),
    "error": (SeverityNumber.ERROR, "ERROR"),
    "critical": (SeverityNumber.FATAL, "FATAL"),
}
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
        event_name: str | None = None,
    ) -> None:
        """Emit one event; the trace context is the current one."""
        severity, text = _SEVERITIES.get(level, (SeverityNumber.INFO, "INFO"))
        record = LogRecord(
            timestamp=unix_nano,
            observed_timestamp=unix_nano,
            severity_number=severity,
            severity_text=text,
            body=cast("AnyValue", body),
            attributes=cast("dict[str, AnyValue]", attributes),
            event_name=event_name,
        )
        self._send(logger, record)

    def _send(self, name: str, record: LogRecord) -> None:
        provider = self._provider
        if not isinstance(provider, DirectLoggerProvider) or provider.only_queue is None:
            provider.get_logger(name).emit(record)
            return
        # Once on its way a record needs no context, which would keep a whole request alive.
        record.context = None  # type: ignore[assignment]
        scope = self._scope(name)
        provider.only_queue.add(
            ReadableLogRecord(log_record=record, resource=provider.resource, instrumentation_scope=scope)
        )

    def _scope(self, name: str) -> InstrumentationScope:
        scope = self._scopes.get(name)
        if scope is None:
            scope = InstrumentationScope(name)
            if len(self._scopes) < _MOST_SCOPES:
                self._scopes[name] = scope
        return scope
