"""What a person is shown of a bad event: its ids, its exception and the attributes that explain it."""

from __future__ import annotations

from collections.abc import Callable

from sloburn.otlp.messages import Span
from sloburn.sli.select import Attribute, Facts
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


def failing_trace(span: Span, facts: Facts, exception: str, message: str) -> FailingTrace:
    """Put together what is known of a bad span."""
    status = facts.attributes.get("http.response.status_code")
    shown = ((key, facts.attributes.get(key)) for key in EXPLAINED)
    return FailingTrace(
        at_unix_nano=span.end_time_unix_nano,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        name=_text(span.name),
        duration_ns=span.end_time_unix_nano - span.start_time_unix_nano,
        status=_text(facts.status if status is None else status),
        exception=exception or _text(facts.attributes.get("error.type") or ""),
        message=message or _text(span.status.message),
        attributes=tuple((key, _text(value)) for key, value in shown if value is not None),
    )


def _text(value: Attribute) -> str:
    return str(value)[:MAX_TEXT]
