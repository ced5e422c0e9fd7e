"""A failure on a span, whatever the exception does when it is looked at."""

from __future__ import annotations

from opentelemetry.trace import Span, StatusCode

from sloburn.sdk.log_errors import message_of, stacktrace, type_name


def record_error(span: Span, error: BaseException) -> None:
    """Leave an exception on a span as an event; what raises when it is made a text is left as far as it goes."""
    try:
        span.record_exception(error)
    except Exception:
        attributes = {
            "exception.type": type_name(error),
            "exception.message": message_of(error),
            "exception.stacktrace": stacktrace(error, str),
        }
        span.add_event("exception", attributes)


def set_failed(span: Span, error: BaseException | None) -> None:
    """Make a span an error, with the message of the exception that is the reason, if one is."""
    span.set_status(StatusCode.ERROR, None if error is None else message_of(error))
