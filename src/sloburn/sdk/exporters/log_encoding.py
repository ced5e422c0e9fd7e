"""Log records to the body of an OTLP logs request.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from opentelemetry.sdk._logs import ReadableLogRecord

from sloburn.sdk.event_record import EventRecord, severity_of
from sloburn.sdk.exporters import wire
from sloburn.sdk.log_ids import Ids

_MOST_LEVELS = 100


def logs_to_bytes(records: Sequence[ReadableLogRecord]) -> bytes:
    """Return the body of an OTLP logs request."""
    return wire.grouped([((item.resource, item.instrumentation_scope), encode_record(item)) for item in records])


def encode_record(readable: ReadableLogRecord | EventRecord) -> bytes:
    """Encode one log record as a field of its scope."""
    if type(readable) is EventRecord:
        return _encode_event(readable)
    return _encode_record(cast("ReadableLogRecord", readable))


def _encode_event(event: EventRecord) -> bytes:
    """Encode an event of ours: the parts that it always has, and what its level says made once."""
    time, ids = wire.pack_fixed64(event.timestamp), event.ids
    parts = [
        b"\x09",
        time,
        _LEVELS[event.level],
        wire.block(b"\x2a", wire.any_value(event.body)),
        wire.attributes(b"\x32", event.attributes),
        _ids(ids) if ids.trace_id else b"",
        b"\x59",
        time,
        wire.text(b"\x62", event.event_name),
    ]
    return wire.block(b"\x12", b"".join(parts))


def _ids(ids: Ids) -> bytes:
    flags = b"\x45" + ids.flags.to_bytes(4, "little") if ids.flags else b""
    return flags + b"\x4a\x10" + ids.trace_id.to_bytes(16, "big") + b"\x52\x08" + ids.span_id.to_bytes(8, "big")


class _Levels(dict[str, bytes]):
    """Severity, number and text, of each level."""

    def __missing__(self, level: str) -> bytes:
        """Encode a level; there are as many as loggers have methods."""
        severity = severity_of(level)
        encoded = wire.number(b"\x10", severity.value) + wire.text(b"\x1a", severity.name)
        if len(self) < _MOST_LEVELS:
            self[level] = encoded
        return encoded


_LEVELS = _Levels()


def _encode_record(readable: ReadableLogRecord) -> bytes:
    record = readable.log_record
    parts = [
        wire.fixed64(b"\x09", record.timestamp),
        wire.number(b"\x10", record.severity_number.value) if record.severity_number else b"",
        wire.text(b"\x1a", record.severity_text),
        wire.block(b"\x2a", wire.any_value(record.body)),
        wire.attributes(b"\x32", record.attributes),
        wire.number(b"\x38", readable.dropped_attributes),
        b"\x45" + int(record.trace_flags).to_bytes(4, "little") if record.trace_flags else b"",
        b"\x4a\x10" + record.trace_id.to_bytes(16, "big") if record.trace_id else b"",
        b"\x52\x08" + record.span_id.to_bytes(8, "big") if record.span_id else b"",
        wire.fixed64(b"\x59", record.observed_timestamp),
        wire.text(b"\x62", record.event_name),
    ]
    return wire.block(b"\x12", b"".join(parts))
