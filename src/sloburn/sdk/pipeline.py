"""From settings to running telemetry: providers, sources, senders and workers, connected."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from sloburn.errors import ConfigError
from sloburn.sdk.config import Signal, Target, TelemetryConfig
from sloburn.sdk.environment import without_misspelt
from sloburn.sdk.event_record import EventRecord
from sloburn.sdk.exemplars import MARKS
from sloburn.sdk.exporters import wire
from sloburn.sdk.exporters.health import ExportHealth
from sloburn.sdk.exporters.log_encoding import encode_record
from sloburn.sdk.exporters.metric_encoding import metrics_to_bytes
from sloburn.sdk.exporters.self_metrics import measure_exports
from sloburn.sdk.exporters.sender import Sender
from sloburn.sdk.exporters.source import MetricSource, QueueSource, Source
from sloburn.sdk.exporters.span_encoding import encode_span
from sloburn.sdk.exporters.transport import make_sender
from sloburn.sdk.exporters.worker import ExportWorker
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.logs import look_after_logs
from sloburn.sdk.prometheus.process import SHOWN
from sloburn.sdk.providers import Providers, drop, make_providers


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What moves telemetry out of the process under one set of settings.

    Args:
        workers: One for each signal that has somewhere to go.
        health: What they share.
        refusals: Why some signals have nowhere to go, one sentence each.
    """

    workers: tuple[ExportWorker, ...]
    health: ExportHealth
    refusals: tuple[str, ...]


def start_pipeline(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    """Build the providers and start one worker for each signal that has somewhere to go."""
    with without_misspelt():
        providers = make_providers(config)
    pipeline = _run(config, providers)
    telemetry = Telemetry(
        config=config,
        providers=providers,
        workers=pipeline.workers,
        health=pipeline.health,
        problems=(*problems, *pipeline.refusals),
    )
    measure_exports(telemetry.meter, lambda: telemetry.status().signals)
    return telemetry


def restart_pipeline(telemetry: Telemetry, config: TelemetryConfig, problems: tuple[str, ...]) -> None:
    """Send what waits, then go on under other settings with the same providers and the same handle."""
    telemetry.shutdown()
    providers = telemetry.providers
    providers.reconfigure(config)
    pipeline = _run(config, providers)
    telemetry.resume(
        config=config, workers=pipeline.workers, health=pipeline.health, problems=(*problems, *pipeline.refusals)
    )


def _run(config: TelemetryConfig, providers: Providers) -> Pipeline:
    senders, refusals = _make_senders(config)
    sources = _make_sources(config, providers)
    health = ExportHealth(destination=destination(config))
    workers = tuple(_make_worker(config, signal, sources[signal], sender, health) for signal, sender in senders)
    for worker in workers:
        worker.start()
    return Pipeline(workers=workers, health=health, refusals=tuple(refusals))


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


def describe(config: TelemetryConfig, signals: tuple[Signal, ...]) -> str:
    """Return in one line what is on and where it goes, without any secret."""
    known = dict(config.resource_attributes)
    who = " ".join(filter(None, (config.service_name, known.get("service.version"))))
    if not signals:
        return f"telemetry of {who}: nothing is sent"
    protocols = sorted({"OTLP/gRPC" if target.protocol == "grpc" else "OTLP/HTTP" for _, target in config.targets})
    share = f" ({config.sampling.ratio:.4g} of new ones)" if config.sampling.ratio < 1 else ""
    sent = ", ".join(f"{signal}{share if signal == 'traces' else ''}" for signal in signals)
    proxied = " through a proxy" if any(target.proxy for _, target in config.targets) else ""
    return (
        f"telemetry of {who}: {sent} by {' and '.join(protocols)} to {destination(config)}{proxied} "
        f"every {config.span_interval_seconds:g} s"
    )


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


def _make_sources(config: TelemetryConfig, providers: Providers) -> dict[Signal, Source]:
    """Build a source for each signal and connect it with its provider; what goes nowhere is dropped at once.

    A signal that goes nowhere keeps its provider, because logs want the span's ids.
    """
    size, batch, groups = config.max_queue_size, config.max_batch_size, wire.Groups()
    resource_of = providers.identity.of if providers.identity else wire.as_it_is
    spans: QueueSource[ReadableSpan, wire.Group] = QueueSource(
        encode=encode_span,
        group_of=lambda span: groups.of(span.resource, span.instrumentation_scope),
        assemble=lambda items: wire.grouped(items, resource_of),
        max_queue_size=size,
        max_batch_size=batch,
    )
    logs: QueueSource[ReadableLogRecord | EventRecord, wire.Group] = QueueSource(
        encode=encode_record,
        group_of=lambda record: groups.of(record.resource, record.instrumentation_scope),
        assemble=lambda items: wire.grouped(items, resource_of),
        max_queue_size=size,
        max_batch_size=batch,
    )
    providers.spans.redirect(spans.add if config.target("traces") else drop)
    providers.logs.redirect(logs.add if config.target("logs") else drop)
    MARKS.is_on = config.target("metrics") is not None or SHOWN.mirror.store is not None
    metrics = MetricSource(read=providers.reading.read, encode=metrics_to_bytes)
    return {"traces": spans, "logs": logs, "metrics": metrics}


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
        look=look_after_logs if signal == "logs" else lambda: None,
    )
    if isinstance(source, QueueSource):
        source.wake = worker.wake
    return worker
