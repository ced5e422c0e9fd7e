"""Log records to the body of an OTLP logs request.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from sloburn.sdk.exporters import wire


def logs_to_bytes(records: Sequence[ReadableLogRecord]) -> bytes:
    """Return the body of an OTLP logs request."""
    return wire.grouped([((item.resource, item.instrumentation_scope), encode_record(item)) for item in records])


def encode_record(readable: ReadableLogRecord) -> bytes:
    """Encode one log record as a field of its scope."""
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
