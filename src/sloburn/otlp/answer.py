"""What a receiver answers with: OTLP responses and ``google.rpc.Status``, in the encoding of the request.

Source: opentelemetry-proto, docs/specification.md, "OTLP/gRPC Response" and "OTLP/HTTP Response".
"""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sloburn.otlp.signal import Encoding, Signal

_RESPONSES: dict[Signal, tuple[type[Message], str]] = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
}
_LONGEST_MESSAGE = 2000


def accepted(signal: Signal, encoding: Encoding, rejected: int, message: str) -> bytes:
    """Return the body that says a request was taken; ``partial_success`` is unset if all of it was, without remark.

    Args:
        signal: Of the request.
        encoding: Of the request, thus of the answer.
        rejected: Spans, data points or log records that were refused for good.
        message: Why, or a warning; for people.
    """
    kind, field = _RESPONSES[signal]
    if not rejected and not message:
        return _write(kind(), encoding)
    return _write(kind(partial_success={field: rejected, "error_message": _sendable(message)}), encoding)


def status(
    encoding: Encoding,
    code: int,
    message: str,
    retry_after_seconds: int | None = None,
    *,
    is_bad_data: bool = False,
) -> bytes:
    """Return a ``google.rpc.Status``: with a RetryInfo if the sender should retry, a BadRequest if its data is bad.

    Args:
        encoding: Of the request, thus of the answer.
        code: A ``google.rpc.Code``.
        message: What went wrong and what was expected; for people.
        retry_after_seconds: How long the sender should wait; None if it must not retry.
        is_bad_data: The body cannot be decoded (OTLP/HTTP Response, "Bad Data").
    """
    answer = Status(code=code, message=_sendable(message))
    if retry_after_seconds is not None:
        answer.details.add().Pack(_retry_info(retry_after_seconds))
    if is_bad_data:
        answer.details.add().Pack(BadRequest(field_violations=[{"field": "body", "description": answer.message}]))
    return _write(answer, encoding)


def retry_info(seconds: int) -> bytes:
    """Return a serialized ``google.rpc.RetryInfo``."""
    return _write(_retry_info(seconds), Encoding.PROTOBUF)


def _retry_info(seconds: int) -> RetryInfo:
    info = RetryInfo()
    info.retry_delay.FromSeconds(seconds)
    return info


def _write(message: Message, encoding: Encoding) -> bytes:
    """Serialize a message."""
    if encoding is Encoding.JSON:
        return MessageToJson(message, indent=None, ensure_ascii=False).encode("utf-8")
    return message.SerializeToString()


def _sendable(text: str) -> str:
    """Return text of bounded length without what UTF-8 cannot write (lone surrogates out of somebody's JSON)."""
    return text[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode("utf-8")
