"""Build the three OpenTelemetry providers and connect them to the export workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from sloburn.sdk.config import Sampling
from sloburn.sdk.meters import ForkSafeMeterProvider


class SpanQueue(SpanProcessor):
    """Hands every sampled span that has ended to a queue.

    Args:
        add: Takes the span; must neither block nor raise.
    """

    def __init__(self, add: Callable[[ReadableSpan], None]) -> None:
        self._add = add

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only ended spans are exported."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span if it is sampled."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._add(span)

    def shutdown(self) -> None:
        """Do nothing: the workers have their own bounded end."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - upstream's signature
        """Do nothing: `Telemetry.flush` flushes all signals at once."""
        return True


class LogQueue(LogRecordProcessor):
    """Hands every log record to a queue.

    Args:
        add: Takes the record; must neither block nor raise.
    """

    def __init__(self, add: Callable[[ReadableLogRecord], None]) -> None:
        self._add = add

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue a read-only copy of the record, without its context: a context keeps a whole request alive."""
        self._add(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Do nothing: the workers have their own bounded end."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - upstream's signature
        """Do nothing: `Telemetry.flush` flushes all signals at once."""
        return True


class MetricReading:
    """The current metrics of a provider that is replaced in forked children."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()

    def replace(self) -> InMemoryMetricReader:
        """Return a new reader for a new provider, and read from that one from now on."""
        self._reader = InMemoryMetricReader()
        return self._reader

    def read(self) -> MetricsData | None:
        """Collect the current values."""
        return self._reader.get_metrics_data()


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """Where tracers, meters and loggers come from.

    Args:
        tracer: Ours, or the one that the host had set before.
        meter: Ours, or the one that the host had set before.
        logger: Ours, or the one that the host had set before.
    """

    tracer: trace.TracerProvider
    meter: metrics.MeterProvider
    logger: _logs.LoggerProvider

    def after_fork(self) -> None:
        """Start the instruments anew in a forked child; the SDK renews the rest by itself."""
        if isinstance(self.meter, ForkSafeMeterProvider):
            self.meter.after_fork()


def make_sampler(sampling: Sampling) -> Sampler:
    """Return the SDK's sampler for the settings."""
    root = TraceIdRatioBased(sampling.ratio)
    return ParentBased(root) if sampling.parent_based else root


def make_tracer_provider(resource: Resource, sampling: Sampling) -> TracerProvider:
    """Return the global tracer provider: the host's if it has set one, else a new one."""
    current = trace.get_tracer_provider()
    if isinstance(current, TracerProvider):
        return current
    provider = TracerProvider(resource=resource, sampler=make_sampler(sampling), shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    return provider


def make_logger_provider(resource: Resource) -> LoggerProvider:
    """Return the global logger provider: the host's if it has set one, else a new one."""
    current = _logs.get_logger_provider()
    if isinstance(current, LoggerProvider):
        return current
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    _logs.set_logger_provider(provider)
    return provider


def make_meter_provider(resource: Callable[[], Resource], reading: MetricReading) -> metrics.MeterProvider:
    """Return the global meter provider: the host's if it has set one, else a new one that survives forks.

    Args:
        resource: Describes the process that asks; asked again in forked children.
        reading: Gets the reader.
    """
    current = metrics.get_meter_provider()
    if isinstance(current, MeterProvider):
        current.add_metric_reader(reading.replace())
        return current

    def make() -> MeterProvider:
        return MeterProvider(resource=resource(), metric_readers=[reading.replace()], shutdown_on_exit=False)

    provider = ForkSafeMeterProvider(make)
    metrics.set_meter_provider(provider)
    return provider
