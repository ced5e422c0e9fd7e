"""Turn what the OpenTelemetry SDK finished into OTLP request bodies, and read the answers.

The one place that knows upstream's encoders. The encoder of log records is published only under a name with a leading
underscore, because logs are not declared stable yet; there is no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from sloburn.sdk.config import Signal


def spans_to_bytes(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the body of an OTLP trace request."""
    return encode_spans(spans).SerializeToString()


def metrics_to_bytes(metrics: MetricsData) -> bytes:
    """Return the body of an OTLP metrics request."""
    return encode_metrics(metrics).SerializeToString()


def logs_to_bytes(records: Sequence[ReadableLogRecord]) -> bytes:
    """Return the body of an OTLP logs request."""
    return encode_logs(records).SerializeToString()


def refused_items(signal: Signal, answer: bytes) -> int:
    """Return how many items the receiver refused although it took the request (partial success).

    https://opentelemetry.io/docs/specs/otlp/#partial-success-1
    """
    if not answer:
        return 0
    try:
        if signal == "traces":
            return ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
        if signal == "metrics":
            return ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points
        return ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records
    except DecodeError:
        return 0
