"""From settings to running telemetry: providers, sources, senders and workers, connected."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from sloburn.errors import ConfigError
from sloburn.sdk.config import Signal, Target, TelemetryConfig
from sloburn.sdk.exporters.encoding import logs_to_bytes, metrics_to_bytes, spans_to_bytes
from sloburn.sdk.exporters.health import ExportHealth
from sloburn.sdk.exporters.sender import Sender
from sloburn.sdk.exporters.source import MetricSource, QueueSource, Source
from sloburn.sdk.exporters.transport import make_sender
from sloburn.sdk.exporters.worker import ExportWorker
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.providers import (
    LogQueue,
    MetricReading,
    Providers,
    SpanQueue,
    make_logger_provider,
    make_meter_provider,
    make_tracer_provider,
)
from sloburn.sdk.resource import make_resource, with_identity_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the three signals wait."""

    spans: QueueSource[ReadableSpan]
    logs: QueueSource[ReadableLogRecord]
    metrics: MetricSource
    reading: MetricReading

    def of(self, signal: Signal) -> Source:
        """Return the source of a signal."""
        by_signal: dict[Signal, Source] = {"traces": self.spans, "logs": self.logs, "metrics": self.metrics}
        return by_signal[signal]


def start_pipeline(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    """Build the providers and start one worker for each signal that has somewhere to go."""
    senders, refusals = _make_senders(config)
    sources = _make_sources(config)
    providers = _make_providers(config, sources, {signal for signal, _ in senders})
    health = ExportHealth(destination=destination(config))
    workers = tuple(_make_worker(config, signal, sources.of(signal), sender, health) for signal, sender in senders)
    for worker in workers:
        worker.start()
    return Telemetry(
        config=config, providers=providers, workers=workers, health=health, problems=(*problems, *refusals)
    )


def idle_telemetry(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    """Return a handle that does nothing, for telemetry that is switched off or could not be started."""
    providers = Providers(
        tracer=trace.NoOpTracerProvider(), meter=metrics.NoOpMeterProvider(), logger=_logs.NoOpLoggerProvider()
    )
    return Telemetry(config=config, providers=providers, problems=problems)


def destination(config: TelemetryConfig) -> str:
    """Return where telemetry goes as people may see it: without user, password, path and query."""
    places = {_place(target) for _, target in config.targets}
    return " and ".join(sorted(places)) or "nowhere"


def _place(target: Target) -> str:
    parts = urlsplit(target.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _make_senders(config: TelemetryConfig) -> tuple[list[tuple[Signal, Sender]], list[str]]:
    senders: list[tuple[Signal, Sender]] = []
    refusals: list[str] = []
    for signal, target in config.targets:
        try:
            senders.append((signal, make_sender(signal, target)))
        except ConfigError as error:
            refusals.append(str(error))
    return senders, list(dict.fromkeys(refusals))


def _make_sources(config: TelemetryConfig) -> Sources:
    reading = MetricReading()
    size, batch = config.max_queue_size, config.max_batch_size
    return Sources(
        spans=QueueSource(encode=spans_to_bytes, max_queue_size=size, max_batch_size=batch),
        logs=QueueSource(encode=logs_to_bytes, max_queue_size=size, max_batch_size=batch),
        metrics=MetricSource(read=reading.read, encode=metrics_to_bytes),
        reading=reading,
    )


def _make_providers(config: TelemetryConfig, sources: Sources, signals: set[Signal]) -> Providers:
    """Build all three providers; a signal that goes nowhere keeps its provider, because logs want the span's ids."""
    resource = make_resource(config)
    tracer = make_tracer_provider(resource, config.sampling)
    logger = make_logger_provider(resource)

    def resource_now() -> Resource:
        return with_identity_of(resource, tracer)

    meter = make_meter_provider(resource_now, sources.reading)
    if "traces" in signals:
        tracer.add_span_processor(SpanQueue(sources.spans.add))
    if "logs" in signals:
        logger.add_log_record_processor(LogQueue(sources.logs.add))
    return Providers(tracer=tracer, meter=meter, logger=logger)


def _make_worker(
    config: TelemetryConfig, signal: Signal, source: Source, sender: Sender, health: ExportHealth
) -> ExportWorker:
    is_metrics = signal == "metrics"
    target = config.target(signal)
    worker = ExportWorker(
        signal=signal,
        source=source,
        sender=sender,
        health=health,
        interval_seconds=config.metric_interval_seconds if is_metrics else config.span_interval_seconds,
        timeout_seconds=target.timeout_seconds if target else 10.0,
    )
    if isinstance(source, QueueSource):
        source.wake = worker.wake
    return worker
