"""The one function in which every event ends: completed, cleaned of secrets, exported, rendered and written.

structlog events do not pass through the standard library: they end in the last processor here. Foreign records come
from our handlers (`sloburn.sdk.log_records`) and end in the same function. So there is one path for each, and each
event leaves once.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog
from structlog.typing import EventDict, WrappedLogger

from sloburn.sdk.log_context import REQUEST_ID
from sloburn.sdk.log_errors import Fields, error_frames, error_head, remembered_ids, stacktrace, take_error
from sloburn.sdk.log_files import LineFile
from sloburn.sdk.log_ids import Ids, ids_of_texts, present_ids
from sloburn.sdk.log_json import make_encode
from sloburn.sdk.redaction import Redactor, printed

_MOST_CALLERS = 40
_encode = make_encode()


class Emitter(Protocol):
    """What exports an event."""

    def emit(
        self,
        *,
        logger: str,
        level: str,
        body: object,
        attributes: MutableMapping[str, object],
        unix_nano: int,
        ids: Ids | None,
    ) -> None:
        """Export one event; its ids are those of the current context when absent."""
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
        ids = present_ids()
        event.update(ids.fields)
        if ids.request_id is not None:
            event.setdefault(REQUEST_ID, ids.request_id)

    def export(self, event: EventDict) -> None:
        """Export an event that somebody else renders; it is used up."""
        level, name = printed(event.pop("level", "info")), printed(event.pop("logger", "root"))
        error = take_error(event)
        self.sinks.redactor.clean(event)
        for key in ("timestamp", "trace_id", "span_id", "service.name"):
            event.pop(key, None)
        body, ids = event.pop("event", ""), _ids(event, error)
        if error is not None and ids.request_id is not None:
            event.setdefault(REQUEST_ID, ids.request_id)
        self._export(level, name, body, event, error, ids, time.time_ns())

    def _finish(self, event: EventDict) -> str:
        sinks = self.sinks
        level, name = printed(event.pop("level")), printed(event.pop("logger"))
        error = take_error(event)
        if "stack_info" in event and event.pop("stack_info") is True:
            event["stack"] = _callers()
        sinks.redactor.clean(event)
        unix_nano = time.time_ns()
        body = event.pop("event", "")
        head = {"timestamp": event.pop("timestamp", None) or self._timestamp(unix_nano), "level": level, "logger": name}
        ids = _ids(event, error)
        if ids.request_id is not None:
            event.setdefault(REQUEST_ID, ids.request_id)
        self._export(level, name, body, event, error, ids, unix_nano)
        if error is not None:
            event.update(error_head(error, sinks.redactor.text))
        line = {**head, "event": body, **event, "service.name": sinks.service_name, **ids.fields}
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
        self,
        level: str,
        name: str,
        body: object,
        fields: EventDict,
        error: BaseException | None,
        ids: Ids,
        unix_nano: int,
    ) -> None:
        emitter = self.sinks.emitter
        if emitter is None:
            return
        attributes = dict(fields)
        if error is not None:
            clean = self.sinks.redactor.text
            attributes |= error_head(error, clean)
            attributes["exception.stacktrace"] = stacktrace(error, clean)
        emitter.emit(logger=name, level=level, body=body, attributes=attributes, unix_nano=unix_nano, ids=ids)

    def _timestamp(self, unix_nano: int) -> str:
        """Return a time as RFC 3339 with microseconds; the part before them is the same for a second."""
        seconds, rest = divmod(unix_nano, 1_000_000_000)
        known, text = self._second
        if known != seconds:
            text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (seconds, text)
        return f"{text}.{rest // 1000:06d}Z"


def _ids(event: EventDict, error: BaseException | None) -> Ids:
    """Return the ids of the present context; outside of every request those that the exception was raised in."""
    ids = present_ids()
    if error is None or ids.trace_id or (ids.request_id is not None and REQUEST_ID not in event):
        return ids
    return ids_of_texts(remembered_ids(error))


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
