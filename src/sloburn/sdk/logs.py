"""One stream of JSON lines for structlog and the standard library, with trace ids, exported exactly once.

structlog events do not pass through the standard library: they are written and exported by the last processor here.
Foreign records come from the root logger's handler and end in the same function. So there is one path for each.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from sloburn.sdk.config import TelemetryConfig

# Servers that keep their own handlers and do not propagate to the root logger; their access logs repeat our spans.
_SERVER_LOGGERS = ("uvicorn", "gunicorn.error", "hypercorn.error")
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FIRST = ("timestamp", "level", "logger", "event")


class Emitter(Protocol):
    """What exports an event."""

    def emit(self, event: MutableMapping[str, object]) -> None:
        """Export one event."""
        ...


class StdoutLogger:
    """What structlog wraps: knows its name and writes finished lines to standard output.

    Args:
        name: The logger's name.
    """

    def __init__(self, name: str = "root") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Write one line; standard output that is closed or full is the host's business, not a reason to raise."""
        write_line(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def write_line(line: str) -> None:
    """Write one line to what is standard output right now; never raises."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        LOST_LINES.count += 1


@dataclass(slots=True)
class LostLines:
    """Lines that could not be written to standard output."""

    count: int = 0


LOST_LINES = LostLines()


class EventFinisher:
    """Completes an event with what only the process knows, exports it and renders it.

    Args:
        service_name: Goes into every line.
        emitter: Exports the event; None when logs are not exported.
    """

    def __init__(self, *, service_name: str, emitter: Emitter | None) -> None:
        self._service_name = service_name
        self._emitter = emitter

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Complete, export and render: structlog's last processor. Never raises."""
        event.setdefault("level", "warning" if method == "warn" else method)
        event.setdefault("logger", getattr(logger, "name", "root"))
        return self.finish(event)

    def finish(self, event: EventDict) -> str:
        """Complete, export and render an event; an event that cannot be rendered still leaves a line."""
        try:
            self.complete(event)
            self.export(event)
            return render(event)
        except Exception as error:
            return json.dumps({"level": "error", "event": f"a log event could not be written: {type(error).__name__}"})

    def complete(self, event: EventDict) -> None:
        """Add time, exception and trace context."""
        event.setdefault("timestamp", datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"))
        flatten_exception(event)
        self.add_context(event)

    def add_context(self, event: EventDict) -> None:
        """Add service name, trace id and span id."""
        event["service.name"] = self._service_name
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = trace.format_trace_id(context.trace_id)
            event["span_id"] = trace.format_span_id(context.span_id)

    def export(self, event: EventDict) -> None:
        """Hand an event to the emitter."""
        if self._emitter is not None:
            self._emitter.emit(event)


def flatten_exception(event: EventDict) -> None:
    """Replace ``exc_info`` by OpenTelemetry's three fields, if there is an exception."""
    info = event.pop("exc_info", None)
    if not info:
        return
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exc_info()[1]
    if error is None:
        return
    event["exception.type"] = type(error).__qualname__
    event["exception.message"] = str(error)
    event["exception.stacktrace"] = "".join(traceback.format_exception(error))


def render(event: EventDict) -> str:
    """Render an event as one JSON line; what people look for comes first."""
    ordered = {key: event[key] for key in _FIRST if key in event}
    return json.dumps({**ordered, **event}, default=str, ensure_ascii=False)


class RecordHandler(logging.Handler):
    """Brings records of the standard library into the stream.

    Args:
        finisher: Completes, exports and renders them.
        is_writing: Whether they are written to standard output too; False when the host has handlers that write.
    """

    def __init__(self, finisher: EventFinisher, *, is_writing: bool) -> None:
        super().__init__()
        self._finisher = finisher
        self._is_writing = is_writing

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one record; never raises."""
        try:
            line = self._finisher.finish(event_of(record))
        except Exception:
            self.handleError(record)
            return
        if self._is_writing:
            write_line(line)


def event_of(record: logging.LogRecord) -> EventDict:
    """Return the event that a record stands for; a structlog event that came this way is unpacked."""
    event: EventDict = {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS}
    if isinstance(record.msg, dict):
        event.update(record.msg)
    else:
        event["event"] = record.getMessage()
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    event["exc_info"] = record.exc_info
    return {key: value for key, value in event.items() if not key.startswith("_")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSetup:
    """What was set up on the root logger.

    Args:
        handler: Our handler.
        is_owner: Whether it is the one that writes; False when the host has handlers of its own.
    """

    handler: RecordHandler
    is_owner: bool

    def attach(self) -> None:
        """Put the handler back after somebody has replaced the root logger's handlers."""
        root = logging.getLogger()
        if self.handler not in root.handlers:
            root.addHandler(self.handler)

    def set_level(self, level: int | str | None) -> None:
        """Let the root logger pass this level and above; None changes nothing."""
        self.attach()
        if level is not None:
            logging.getLogger().setLevel(level)


def configure_logs(config: TelemetryConfig, emitter: Emitter | None) -> LogSetup | None:
    """Set up structlog and the standard library.

    A structlog that the host has configured keeps its look and gets ids and export; root handlers of the host stay the
    only ones that write.

    Returns:
        What was put on the root logger; None when logs are left alone.
    """
    if not config.configure_logs:
        return None
    finisher = EventFinisher(service_name=config.service_name, emitter=emitter)
    if structlog.is_configured():
        _join_structlog(finisher)
    else:
        _configure_structlog(config, finisher)
    return _configure_standard_library(config, finisher)


def _configure_structlog(config: TelemetryConfig, finisher: EventFinisher) -> None:
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, finisher],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.log_level]),
        logger_factory=StdoutLogger,
        cache_logger_on_first_use=True,
    )


def _join_structlog(finisher: EventFinisher) -> None:
    """Put ids and export before the host's renderer, in place, because loggers in use hold this very list."""
    settings = structlog.get_config()
    processors: list[Processor] = settings["processors"]
    reaches_standard_library = isinstance(settings["logger_factory"], structlog.stdlib.LoggerFactory)
    joined = _processor(finisher.add_context)
    processors[-1:-1] = [joined] if reaches_standard_library else [joined, _processor(finisher.export, copies=True)]


def _processor(act: Callable[[EventDict], None], *, copies: bool = False) -> Processor:
    def process(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        seen = dict(event) if copies else event
        if copies:
            seen.setdefault("level", method)
            seen.setdefault("logger", getattr(logger, "name", "root"))
            flatten_exception(seen)
        act(seen)
        return event

    return process


def _configure_standard_library(config: TelemetryConfig, finisher: EventFinisher) -> LogSetup:
    root = logging.getLogger()
    is_writing = not root.handlers
    handler = RecordHandler(finisher, is_writing=is_writing)
    root.addHandler(handler)
    if is_writing:
        root.setLevel(config.log_level)
    for name in _SERVER_LOGGERS:
        server = logging.getLogger(name)
        if server.handlers and not server.propagate:
            server.addHandler(RecordHandler(finisher, is_writing=False))
    return LogSetup(handler=handler, is_owner=is_writing)


def get_logger(name: str = "root") -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose events are JSON lines with trace ids once `init_telemetry` has run.

    Args:
        name: Usually ``__name__``.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
