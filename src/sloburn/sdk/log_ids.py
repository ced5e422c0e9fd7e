"""What ties an event to its request: trace id, span id and the request id that came as baggage."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from opentelemetry import baggage, context, trace

from sloburn.sdk.log_context import REQUEST_ID, REQUEST_ID_BAGGAGE


class Ids:
    """The ids of one context, as fields of a line and as OTLP wants them.

    Args:
        trace_id: 0 outside of every span.
        span_id: Likewise.
        flags: Those of the span's context.
        request_id: None when no baggage brought one.
    """

    __slots__ = ("fields", "flags", "request_id", "span_id", "trace_id")

    def __init__(self, *, trace_id: int = 0, span_id: int = 0, flags: int = 0, request_id: str | None = None) -> None:
        self.trace_id, self.span_id, self.flags, self.request_id = trace_id, span_id, flags, request_id
        self.fields = {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"} if trace_id else {}


NO_IDS = Ids()


def ids_of(present: context.Context) -> Ids:
    """Return the ids that a context holds."""
    span = trace.get_current_span(present).get_span_context()
    request_id = baggage.get_baggage(REQUEST_ID_BAGGAGE, present)
    text = None if request_id is None else str(request_id)
    if not span.is_valid:
        return Ids(request_id=text)
    return Ids(trace_id=span.trace_id, span_id=span.span_id, flags=int(span.trace_flags), request_id=text)


def ids_of_texts(texts: Mapping[str, str]) -> Ids:
    """Return the ids that an exception carries as texts."""
    if "trace_id" not in texts:
        return Ids(request_id=texts.get(REQUEST_ID))
    return Ids(trace_id=int(texts["trace_id"], 16), span_id=int(texts["span_id"], 16), request_id=texts.get(REQUEST_ID))


class _Known:
    """The ids of the context of the last event: most requests log more than one. The context itself is not held."""

    pair: tuple[Callable[[], context.Context | None], Ids] = (lambda: None, NO_IDS)


def present_ids() -> Ids:
    """Return the ids of the present context."""
    present = context.get_current()
    known, ids = _Known.pair
    if known() is not present:
        ids = ids_of(present)
        _Known.pair = (weakref.ref(present), ids)
    return ids
