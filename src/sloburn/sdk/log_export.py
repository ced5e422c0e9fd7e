"""Turn a structlog event into an OpenTelemetry log record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from opentelemetry import _logs
from opentelemetry._logs import SeverityNumber
from opentelemetry.util.types import AnyValue

_SEVERITIES = {
    "debug": (SeverityNumber.DEBUG, "DEBUG"),
    "info": (SeverityNumber.INFO, "INFO"),
    "warning": (SeverityNumber.WARN, "WARN"),
    "error": (SeverityNumber.ERROR, "ERROR"),
    "critical": (SeverityNumber.FATAL, "FATAL"),
}
# These travel in fields of their own: body, severity, time, scope, trace context and resource.
_CARRIED_ELSEWHERE = frozenset({"event", "level", "timestamp", "logger", "trace_id", "span_id", "service.name"})
_DEEPEST = 5


class LogEmitter:
    """Emits events on the logger provider, one OpenTelemetry logger for each logger name.

    Args:
        provider: Where the loggers come from.
    """

    def __init__(self, provider: _logs.LoggerProvider) -> None:
        self._provider = provider
        self._loggers: dict[str, _logs.Logger] = {}

    def emit(self, event: Mapping[str, object]) -> None:
        """Emit one event; the trace context is the current one."""
        severity, text = _SEVERITIES.get(str(event.get("level")), (SeverityNumber.INFO, "INFO"))
        now = time.time_ns()
        self._logger(str(event.get("logger") or "root")).emit(
            timestamp=now,
            observed_timestamp=now,
            severity_number=severity,
            severity_text=text,
            body=plain(event.get("event", "")),
            attributes={key: plain(value) for key, value in event.items() if key not in _CARRIED_ELSEWHERE},
        )

    def _logger(self, name: str) -> _logs.Logger:
        logger = self._loggers.get(name)
        if logger is None:
            logger = self._loggers[name] = self._provider.get_logger(name)
        return logger


def plain(value: object, depth: int = 0) -> AnyValue:
    """Return a value that OTLP can carry: numbers, text, bytes, lists and maps stay, everything else becomes text."""
    if value is None or isinstance(value, (str, bool, float, bytes)):
        return value
    if isinstance(value, int):
        # OTLP carries 64 bits; a longer one would cost the whole batch.
        return value if -(2**63) <= value < 2**63 else str(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, Sequence):
        return [plain(item, depth + 1) for item in value]
    return str(value)
