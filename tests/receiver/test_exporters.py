"""OpenTelemetry's own exporters are understood, and understand the answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from sloburn.errors import MalformedBody, Overloaded
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.intake import Receipt
from tests.receiver.intakes import RecordingIntake
from tests.receiver.servers import PATIENCE_SECONDS, Receiver, grpc_receiver, http_receiver

Serve = Callable[[RecordingIntake], AbstractContextManager[Receiver]]
Export = Callable[[Receiver, ReadableSpan], SpanExportResult]


@pytest.fixture
def span() -> ReadableSpan:
    """Return a span that ended."""
    tracer = TracerProvider(resource=Resource({"service.name": "checkout"})).get_tracer("test")
    with tracer.start_as_current_span("GET /cart", attributes={"http.response.status_code": 503}) as span:
        pass
    assert isinstance(span, ReadableSpan)
    return span


def export_http(receiver: Receiver, span: ReadableSpan) -> SpanExportResult:
    """Send a span by OTLP/HTTP, compressed."""
    exporter = HttpSpanExporter(f"{receiver.url}/v1/traces", compression=Compression.Gzip, timeout=PATIENCE_SECONDS)
    try:
        return exporter.export([span])
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]


def export_grpc(receiver: Receiver, span: ReadableSpan) -> SpanExportResult:
    """Send a span by OTLP/gRPC, compressed."""
    exporter = GrpcSpanExporter(
        receiver.target, insecure=True, compression=grpc.Compression.Gzip, timeout=PATIENCE_SECONDS
    )
    try:
        return exporter.export([span])
    finally:
        exporter.shutdown()


BOTH = pytest.mark.parametrize(
    ("serve", "export"), [(http_receiver, export_http), (grpc_receiver, export_grpc)], ids=["http", "grpc"]
)


@BOTH
def test_a_span_arrives(serve: Serve, export: Export, span: ReadableSpan) -> None:
    """What the exporter sent decodes to the span."""
    intake = RecordingIntake()
    with serve(intake) as receiver:
        assert export(receiver, span) is SpanExportResult.SUCCESS
    [body] = intake.bodies
    [resource_spans] = decode(Signal.TRACES, Encoding.PROTOBUF, body).resource_spans
    read = resource_spans.scope_spans[0].spans[0]
    assert any_value(resource_spans.resource.attributes.get("service.name", b"")) == "checkout"
    assert (read.name, any_value(read.attributes.get("http.response.status_code", b""))) == ("GET /cart", 503)


@BOTH
def test_an_overload_is_retried_after_the_time_that_was_asked_for(
    serve: Serve, export: Export, span: ReadableSpan
) -> None:
    """The exporter understands the answer to an overload: it comes again, and then succeeds."""

    class OnceOverloaded(RecordingIntake):
        async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:
            self.outcome = Receipt() if self.requests else Overloaded("the queue is full")
            return await super().submit(signal, encoding, body)

    intake = OnceOverloaded()
    with serve(intake) as receiver:
        assert export(receiver, span) is SpanExportResult.SUCCESS
    assert len(intake.requests) == 2


@BOTH
def test_a_malformed_body_is_not_retried(
    serve: Serve, export: Export, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """The exporter understands that sending again cannot help, and logs why."""
    intake = RecordingIntake(MalformedBody("no protobuf"))
    with serve(intake) as receiver, caplog.at_level(logging.ERROR):
        assert export(receiver, span) is SpanExportResult.FAILURE
    assert len(intake.requests) == 1


@pytest.fixture
def receiver_with_intake() -> Iterator[tuple[Receiver, RecordingIntake]]:
    """Serve OTLP/HTTP."""
    intake = RecordingIntake()
    with http_receiver(intake) as receiver:
        yield receiver, intake


def test_metrics_arrive(receiver_with_intake: tuple[Receiver, RecordingIntake]) -> None:
    """What the SDK's reader sends decodes to the counter and the histogram."""
    receiver, intake = receiver_with_intake
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(f"{receiver.url}/v1/metrics", timeout=PATIENCE_SECONDS), 3_600_000
    )
    provider = MeterProvider([reader])
    provider.get_meter("test").create_counter("jobs", unit="1").add(7, {"queue": "mail"})
    provider.get_meter("test").create_histogram("took", unit="s").record(0.3)
    provider.shutdown(timeout_millis=PATIENCE_SECONDS * 1000)
    metrics = decode(Signal.METRICS, Encoding.PROTOBUF, intake.bodies[0]).resource_metrics[0].scope_metrics[0].metrics
    found: dict[str, Any] = {metric.name: metric for metric in metrics}
    [point] = found["jobs"].sum.data_points
    assert (found["jobs"].WhichOneof("data"), point.as_int, any_value(point.attributes.get("queue"))) == (
        "sum",
        7,
        "mail",
    )
    [point] = found["took"].histogram.data_points
    assert (found["took"].unit, point.count, point.sum, sum(point.bucket_counts)) == ("s", 1, 0.3, 1)


def test_log_records_arrive(receiver_with_intake: tuple[Receiver, RecordingIntake]) -> None:
    """What the SDK's processor sends decodes to the record."""
    receiver, intake = receiver_with_intake
    provider = LoggerProvider()
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{receiver.url}/v1/logs", timeout=PATIENCE_SECONDS))
    )
    provider.get_logger("test").emit(body="paid", severity_text="INFO", attributes={"order": "a-1"})
    provider.shutdown()
    [record] = decode(Signal.LOGS, Encoding.PROTOBUF, intake.bodies[0]).resource_logs[0].scope_logs[0].log_records
    assert any_value(record.body) == "paid"
    assert (record.severity_text, any_value(record.attributes.get("order", b""))) == ("INFO", "a-1")
