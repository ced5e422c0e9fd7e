"""Spans to the body of an OTLP trace request.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from sloburn.sdk.exporters import wire
from sloburn.sdk.redaction import redact_attributes, redact_text

_KINDS = {
    SpanKind.INTERNAL: b"\x30\x01",
    SpanKind.SERVER: b"\x30\x02",
    SpanKind.CLIENT: b"\x30\x03",
    SpanKind.PRODUCER: b"\x30\x04",
    SpanKind.CONSUMER: b"\x30\x05",
}
_STATUSES = {StatusCode.UNSET: b"", StatusCode.OK: b"\x18\x01", StatusCode.ERROR: b"\x18\x02"}
# SpanFlags: bit 8 says that bit 9 is meaningful, bit 9 that the parent is remote.
_LOCAL, _REMOTE = 0x100, 0x300
_FLAGS = {flags: b"\x85\x01" + flags.to_bytes(4, "little") for flags in (_LOCAL, _REMOTE)}
_LINK_FLAGS = {flags: b"\x35" + flags.to_bytes(4, "little") for flags in (_LOCAL, _REMOTE)}
_times = Struct("<cQcQ").pack


def spans_to_bytes(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the body of an OTLP trace request."""
    return wire.grouped([((span.resource, span.instrumentation_scope), encode_span(span)) for span in spans])


def encode_span(span: ReadableSpan) -> bytes:
    """Encode one span as a field of its scope."""
    body = _span(span)
    return b"\x12" + wire.varint(len(body)) + body


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.get_span_context(), span.parent
    parts = [
        _ids(context) if context else b"",
        _trace_state(context.trace_state) if context and context.trace_state else b"",
        b"\x22\x08" + parent.span_id.to_bytes(8, "big") if parent else b"",
        wire.text(b"\x2a", redact_text(span.name)),
        _KINDS[span.kind],
        _times(b"\x39", span.start_time or 0, b"\x41", span.end_time or 0),
        wire.attributes(b"\x4a", _clean(span.attributes)),
        wire.number(b"\x50", span.dropped_attributes),
        b"".join([wire.block(b"\x5a", _event(event)) for event in span.events]),
        wire.number(b"\x60", span.dropped_events),
        b"".join([wire.block(b"\x6a", _link(link)) for link in span.links]),
        wire.number(b"\x70", span.dropped_links),
        _status(span.status),
        _FLAGS[_REMOTE if parent and parent.is_remote else _LOCAL],
    ]
    return b"".join(parts)


def _ids(context: SpanContext) -> bytes:
    return b"\x0a\x10" + context.trace_id.to_bytes(16, "big") + b"\x12\x08" + context.span_id.to_bytes(8, "big")


def _trace_state(state: TraceState) -> bytes:
    return wire.text(b"\x1a", ",".join([f"{key}={value}" for key, value in state.items()]))


def _event(event: Event) -> bytes:
    return (
        wire.fixed64(b"\x09", event.timestamp)
        + wire.text(b"\x12", redact_text(event.name))
        + wire.attributes(b"\x1a", _clean(event.attributes))
        + wire.number(b"\x20", event.dropped_attributes)
    )


def _link(link: Link) -> bytes:
    return (
        _ids(link.context)
        + wire.attributes(b"\x22", _clean(link.attributes))
        + wire.number(b"\x28", link.dropped_attributes)
        + _LINK_FLAGS[_REMOTE if link.context.is_remote else _LOCAL]
    )


def _clean(attributes: Mapping[str, object] | None) -> Mapping[str, object]:
    """Take secrets out; the SDK's mapping takes a lock for each item, its copy is a plain dictionary."""
    if not attributes:
        return {}
    return redact_attributes(attributes.copy() if hasattr(attributes, "copy") else dict(attributes))


def _status(status: Status) -> bytes:
    return wire.block(
        b"\x7a",
        wire.text(b"\x12", redact_text(status.description) if status.description else None)
        + _STATUSES[status.status_code],
    )
