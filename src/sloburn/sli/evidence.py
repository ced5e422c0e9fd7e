"""What a person is shown of a bad event: its ids, its exception and the attributes that explain it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sloburn.otlp.messages import LogRecord, Span
from sloburn.otlp.span_status import read_status
from sloburn.sli.select import Attribute, Facts
from sloburn.sli.spelling import spelled
from sloburn.sli.status import FailingTrace

# OpenTelemetry semantic conventions 1.44: the attributes that most often tell good events from bad ones.
EXPLAINED = (
    "http.route",
    "http.request.method",
    "http.response.status_code",
    "error.type",
    "rpc.method",
    "messaging.destination.name",
    "service.version",
    "service.instance.id",
)

MAX_TEXT = 300

Evidence = tuple[int, FailingTrace]
"""A bad event and its number: series share events, and the store keeps each once."""


def exception_of(span: Span, value_of: Callable[[bytes], Attribute]) -> tuple[str, str]:
    """Return type and message of the span's last recorded exception; empty texts if there is none.

    Source: OpenTelemetry semantic conventions, "Exceptions on spans".
    """
    for event in reversed(span.events):
        if event.name == "exception":
            kind, message = event.attributes.get("exception.type"), event.attributes.get("exception.message")
            return _text(value_of(kind) if kind else ""), _text(value_of(message) if message else "")
    return "", ""


def failing_trace(
    span: Span, facts: Facts, exception: str, message: str, explained: Iterable[str] = EXPLAINED
) -> FailingTrace:
    """Put together what is known of a bad span; of its attributes those that explain it."""
    status = facts.attributes.get("http.response.status_code")
    shown = ((key, facts.attributes.get(key)) for key in explained)
    return FailingTrace(
        at_unix_nano=span.end_time_unix_nano,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        name=_text(span.name),
        duration_ns=span.end_time_unix_nano - span.start_time_unix_nano,
        status=_text(facts.status if status is None else status),
        exception=exception or _text(facts.attributes.get("error.type") or ""),
        message=message or _text(read_status(span.status)[1]),
        attributes=tuple((key, _text(value)) for key, value in shown if value is not None),
    )


def failing_record(
    record: LogRecord, facts: Facts, exception: str, message: str, body: Attribute, explained: Iterable[str] = EXPLAINED
) -> FailingTrace:
    """Put together what is known of a bad log record; it has no duration."""
    shown = ((key, facts.attributes.get(key)) for key in explained)
    text = "" if body is None else body
    return FailingTrace(
        at_unix_nano=record.time_unix_nano or record.observed_time_unix_nano,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        name=_text(facts.event or text),
        duration_ns=0,
        status=_text(record.severity_text or ("" if facts.severity is None else str(facts.severity))),
        exception=_text(exception),
        message=_text(message or (text if facts.event else "")),
        attributes=tuple((key, _text(value)) for key, value in shown if value is not None),
    )


def _text(value: Attribute) -> str:
    return spelled(value) if isinstance(value, bool) else str(value)[:MAX_TEXT]
