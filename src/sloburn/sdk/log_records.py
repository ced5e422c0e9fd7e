"""Records of the standard library: they join the stream, and what the host's own handlers show of them is redacted."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Mapping
from typing import Any, cast

import structlog
from structlog.typing import EventDict

from sloburn.sdk.log_errors import stacktrace
from sloburn.sdk.log_events import EventFinisher
from sloburn.sdk.log_files import write_line
from sloburn.sdk.log_levels import word
from sloburn.sdk.redaction import Redactor

# What the standard library takes for the parts of a message.
Arguments = tuple[object, ...] | Mapping[str, object] | None

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
# What every line begins with: a field of ``extra`` under such a name keeps its value and gets another name.
_HEAD = frozenset({"event", "level", "logger", "timestamp"})
_ACCESS_LOGGER = "uvicorn.access"
_ACCESS_FIELDS = (
    "client.address", "http.request.method", "url.path", "network.protocol.version", "http.response.status_code",
)  # fmt: skip


class RecordHandler(logging.Handler):
    """Brings records of the standard library into the stream.

    Args:
        finisher: Completes, exports and renders them.
        is_writing: Whether they are written to standard output too; False when the host has handlers that write.
    """

    def __init__(self, finisher: EventFinisher, *, is_writing: bool) -> None:
        super().__init__()
        self._finisher = finisher
        self.is_writing = is_writing

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one record; never raises."""
        try:
            event = event_of(record)
            if self.is_writing:
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
        """Let every record pass; only what holds a secret is replaced. Never raises.

        A message that cannot be made is the handler's business, which reports it as Python does. A formatter that
        renders exceptions by itself shows them as it does: `exc_text` is what the standard library's looks at.
        """
        for redact in (self._redact_fields, self._redact_error, self._redact_message):
            with contextlib.suppress(Exception):
                redact(record)
        return True

    def _redact_message(self, record: logging.LogRecord) -> None:
        redactor = self._finisher.sinks.redactor
        if isinstance(record.msg, dict):
            record.msg = redactor.attributes(record.msg)
            return
        message = record.getMessage()
        cleaned = redactor.text(message)
        if cleaned != message and not self._redact_arguments(record, cleaned):
            record.msg, record.args = cleaned, ()

    def _redact_arguments(self, record: logging.LogRecord, cleaned: str) -> bool:
        """Redact the arguments alone, as formatters of access lines look at them; False when that is not enough.

        Args:
            record: What is logged.
            cleaned: Its message without secrets.
        """
        try:
            arguments = _clean_arguments(record.args, self._finisher.sinks.redactor)
            is_enough = str(record.msg) % arguments == cleaned
        except Exception:
            return False
        if is_enough:
            record.args = arguments
        return is_enough

    def _redact_error(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is None or record.exc_text:
            return
        shown = stacktrace(error, str)
        cleaned = self._finisher.sinks.redactor.text(shown)
        if shown != cleaned:
            record.exc_text = cleaned.rstrip("\n")

    def _redact_fields(self, record: logging.LogRecord) -> None:
        """Redact what was given as ``extra``."""
        fields = {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS}
        cleaned = self._finisher.sinks.redactor.attributes(fields)
        if cleaned is not fields:
            vars(record).update(cleaned)


def _clean_arguments(arguments: Arguments, redactor: Redactor) -> Arguments:
    """Return arguments without secrets; a mapping keeps its type, which may know a text for what is absent."""
    if isinstance(arguments, tuple):
        return tuple(redactor.text(part) if isinstance(part, str) else part for part in arguments)
    kept: Any = copy.copy(arguments)
    kept.update(redactor.attributes(kept))
    return cast("Arguments", kept)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.msg} (its arguments do not fit: {type(error).__name__})"


def event_of(record: logging.LogRecord) -> EventDict:
    """Return the event that a record stands for; a structlog event that came this way is unpacked."""
    event: EventDict = {
        f"extra.{key}" if key in _HEAD else key: value
        for key, value in vars(record).items()
        if key not in _RECORD_FIELDS
    }
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
