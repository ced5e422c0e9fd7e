"""The one function in which every event ends: completed, cleaned of secrets, exported, rendered and written.

structlog events do not pass through the standard library: they end in the last processor here. Foreign records come
from the root logger's handler and end in the same function. So there is one path for each, and each event leaves once.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog
from opentelemetry import baggage, context, trace
from structlog.typing import EventDict, WrappedLogger

from sloburn.sdk.log_context import REQUEST_ID, REQUEST_ID_BAGGAGE
from sloburn.sdk.log_errors import Fields, error_frames, error_head, remembered_ids, stacktrace, take_error
from sloburn.sdk.log_files import LineFile, write_line
from sloburn.sdk.log_levels import word
from sloburn.sdk.redaction import Redactor

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_ACCESS_LOGGER = "uvicorn.access"
_ACCESS_FIELDS = (
    "client.address", "http.request.method", "url.path", "network.protocol.version", "http.response.status_code",
)  # fmt: skip
_MOST_CALLERS = 40
_HERE = nullcontext()
_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode


class Emitter(Protocol):
    """What exports an event."""

    def emit(
        self, *, logger: str, level: str, body: object, attributes: MutableMapping[str, object], unix_nano: int
    ) -> None:
        """Export one event; its trace context is the current one."""
        ...


class Console(Protocol):
    """Renders an event for people."""

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Return one or more lines."""
        ...


@dataclass(slots=True, kw_only=True)
class Sinks:
    """Where events go; replaced as a whole when telemetry is configured anew, while loggers are in use.

    Args:
        service_name: Goes into every line.
        redactor: Takes secrets out.
        emitter: Exports events; None when logs are not exported.
        console: Renders lines for people; None renders JSON.
        file: Gets JSON lines too; None when no file is written.
    """

    service_name: str
    redactor: Redactor = field(default_factory=Redactor)
    emitter: Emitter | None = None
    console: Console | None = None
    file: LineFile | None = None


class EventFinisher:
    """Completes, exports and renders events.

    Args:
        sinks: Where they go.
    """

    def __init__(self, sinks: Sinks) -> None:
        self.sinks = sinks
        self._second = (0, "")

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Finish a structlog event: the only processor there is. Never raises."""
        structlog.contextvars.merge_contextvars(logger, method, event)
        event.setdefault("level", "warning" if method == "warn" else method)
        event.setdefault("logger", getattr(logger, "name", "root"))
        return self.finish(event)

    def finish(self, event: EventDict) -> str:
        """Complete, export and render an event; one that cannot be rendered still leaves a line."""
        try:
            return self._finish(event)
        except Exception as error:
            return json.dumps({"level": "error", "event": f"a log event could not be written: {type(error).__name__}"})

    def clean_in_place(self, event: EventDict) -> None:
        """Take secrets out of an event whose look is the host's and give it its ids."""
        self.sinks.redactor.redact(event)
        event.update(self._ids(event))

    def export(self, event: EventDict) -> None:
        """Export an event that somebody else renders; it is used up."""
        level, name = str(event.pop("level", "info")), str(event.pop("logger", "root"))
        error = take_error(event)
        self.sinks.redactor.clean(event)
        for key in ("timestamp", "trace_id", "span_id", "service.name"):
            event.pop(key, None)
        if error is not None and REQUEST_ID in (ids := self._ids(event, error)):
            event[REQUEST_ID] = ids[REQUEST_ID]
        self._export(level, name, event.pop("event", ""), event, error, time.time_ns())

    def _finish(self, event: EventDict) -> str:
        sinks = self.sinks
        level, name = str(event.pop("level")), str(event.pop("logger"))
        error = take_error(event)
        if "stack_info" in event and event.pop("stack_info") is True:
            event["stack"] = _callers()
        sinks.redactor.clean(event)
        unix_nano = time.time_ns()
        body = event.pop("event", "")
        head = {"timestamp": event.pop("timestamp", None) or self._timestamp(unix_nano), "level": level, "logger": name}
        ids = self._ids(event, error)
        if REQUEST_ID in ids:
            event[REQUEST_ID] = ids.pop(REQUEST_ID)
        self._export(level, name, body, event, error, unix_nano)
        if error is not None:
            event.update(error_head(error, sinks.redactor.text))
        line = {**head, "event": body, **event, "service.name": sinks.service_name, **ids}
        return self._render(line, error)

    def _render(self, line: Fields, error: BaseException | None) -> str:
        sinks, clean = self.sinks, self.sinks.redactor.text
        if sinks.console is not None and sinks.file is None:
            return _for_people(sinks.console, line, error, clean)
        framed = line if error is None else line | error_frames(error, clean)
        rendered = _encode(framed)
        if sinks.file is not None:
            sinks.file.write(rendered)
        return rendered if sinks.console is None else _for_people(sinks.console, line, error, clean)

    def _export(
        self, level: str, name: str, body: object, fields: EventDict, error: BaseException | None, unix_nano: int
    ) -> None:
        emitter = self.sinks.emitter
        if emitter is None:
            return
        attributes = dict(fields)
        if error is not None:
            clean = self.sinks.redactor.text
            attributes |= error_head(error, clean)
            attributes["exception.stacktrace"] = stacktrace(error, clean)
        with _HERE if error is None else _request_of(error):
            emitter.emit(logger=name, level=level, body=body, attributes=attributes, unix_nano=unix_nano)

    def _ids(self, event: EventDict, error: BaseException | None = None) -> EventDict:
        """Return trace id, span id and the request id that came as baggage, as far as there are any.

        Outside of every request those that the exception was raised in.
        """
        ids: EventDict = {}
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            ids["trace_id"] = f"{span.trace_id:032x}"
            ids["span_id"] = f"{span.span_id:016x}"
        request_id = baggage.get_baggage(REQUEST_ID_BAGGAGE)
        if request_id is not None and REQUEST_ID not in event:
            ids[REQUEST_ID] = str(request_id)
        if error is None or ids:
            return ids
        return {key: value for key, value in remembered_ids(error).items() if key not in event}

    def _timestamp(self, unix_nano: int) -> str:
        """Return a time as RFC 3339 with microseconds; the part before them is the same for a second."""
        seconds, rest = divmod(unix_nano, 1_000_000_000)
        known, text = self._second
        if known != seconds:
            text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (seconds, text)
        return f"{text}.{rest // 1000:06d}Z"


@contextmanager
def _request_of(error: BaseException | None) -> Iterator[None]:
    """Make the span that an exception has left the current one, where there is none."""
    ids = remembered_ids(error)
    if "trace_id" not in ids or trace.get_current_span().get_span_context().is_valid:
        yield
        return
    left = trace.SpanContext(int(ids["trace_id"], 16), int(ids["span_id"], 16), is_remote=False)
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(left)))
    try:
        yield
    finally:
        context.detach(token)


def _for_people(console: Console, line: Fields, error: BaseException | None, clean: Callable[[str], str]) -> str:
    shown = {key: value for key, value in line.items() if key not in ("exception.type", "exception.message")}
    if error is not None:
        shown["exception"] = stacktrace(error, clean)
    return console(None, str(line["level"]), shown)


def _callers() -> list[str]:
    """Return who logged, outermost first, without structlog's frames and ours."""
    frames = traceback.extract_stack(limit=_MOST_CALLERS)
    inner = ("structlog", "sloburn")
    return [f"{at.filename}:{at.lineno} {at.name}" for at in frames if not any(part in at.filename for part in inner)]


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
            event = event_of(record)
            if self._is_writing:
                write_line(self._finisher.finish(event))
            else:
                self._finisher.export(event)
        except Exception:
            self.handleError(record)


class RedactingFilter(logging.Filter):
    """Takes secrets out of records before a handler of the host formats them.

    Args:
        finisher: Knows the redactor.
    """

    def __init__(self, finisher: EventFinisher) -> None:
        super().__init__()
        self._finisher = finisher

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; its message is replaced only when it held a secret. Never raises.

        A message that cannot be made is the handler's business, which reports it as Python does.
        """
        try:
            self._redact(record)
        except Exception:
            return True
        return True

    def _redact(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, str):
            message = record.getMessage()
            cleaned = self._finisher.sinks.redactor.text(message)
            if cleaned != message:
                record.msg, record.args = cleaned, ()


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.msg} (its arguments do not fit: {type(error).__name__})"


def event_of(record: logging.LogRecord) -> EventDict:
    """Return the event that a record stands for; a structlog event that came this way is unpacked."""
    event: EventDict = {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS}
    if isinstance(record.msg, dict):
        event.update((str(key), value) for key, value in record.msg.items())
    else:
        event["event"] = _message_of(record)
    if record.name == _ACCESS_LOGGER and isinstance(record.args, tuple) and len(record.args) == len(_ACCESS_FIELDS):
        event.update(zip(_ACCESS_FIELDS, record.args, strict=True))
    if record.stack_info:
        event["stack"] = record.stack_info
    structlog.contextvars.merge_contextvars(None, "", event)
    event = {key: value for key, value in event.items() if not key.startswith("_")}
    return event | {"level": word(record.levelno), "logger": record.name, "exc_info": record.exc_info}
