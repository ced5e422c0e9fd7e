"""Build the three OpenTelemetry providers and connect them to the export workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from sloburn.sdk.config import TelemetryConfig
from sloburn.sdk.event_record import EventRecord
from sloburn.sdk.exemplars import MARK_ATTRIBUTE, MARKS, view_of_counters
from sloburn.sdk.histograms import Histograms
from sloburn.sdk.ids import IDS
from sloburn.sdk.limits import ExemplarFilter, Limits
from sloburn.sdk.meters import ForkSafeMeterProvider
from sloburn.sdk.prometheus.meters import MirroredMeterProvider
from sloburn.sdk.prometheus.process import SHOWN
from sloburn.sdk.resource import Identity
from sloburn.sdk.sampling import AttributedSpan, FailedTraces, WeighingSampler
from sloburn.sdk.upstream_limits import are_log_limits_usual, make_exemplar_filter, make_log_limits, make_span_limits


def drop(item: object) -> None:
    """Take an item of a signal that goes nowhere."""


class SpanQueue(SpanProcessor):
    """Hands every sampled span that has ended to a queue, and the spans of local traces that failed.

    Args:
        add: Takes the span; must neither block nor raise.
    """

    def __init__(self, add: Callable[[ReadableSpan], None] = drop) -> None:
        self._add = add
        self.failed_traces = FailedTraces(lambda span: self._add(span))

    def redirect(self, add: Callable[[ReadableSpan], None]) -> None:
        """Hand spans to another queue from now on."""
        self._add = add

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only ended spans are exported."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span if it is sampled, with the mark of an exemplar that leads to it."""
        context = span.get_span_context()
        if context is None:
            return
        if context.trace_flags.sampled:
            self._add(AttributedSpan(span, MARK_ATTRIBUTE, value=True) if MARKS.take(context) else span)
        else:
            self.failed_traces.hold(span)

    def after_fork(self) -> None:
        """Forget spans of the parent process."""
        self.failed_traces.clear()

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

    def __init__(self, add: Callable[[ReadableLogRecord | EventRecord], None] = drop) -> None:
        self._add = add

    def redirect(self, add: Callable[[ReadableLogRecord | EventRecord], None]) -> None:
        """Hand records to another queue from now on."""
        self._add = add

    def add(self, record: ReadableLogRecord | EventRecord) -> None:
        """Queue a record that is complete."""
        self._add(record)

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
        self.histograms = Histograms()

    def replace(self) -> InMemoryMetricReader:
        """Return a new reader for a new provider, and read from that one from now on."""
        self._reader = InMemoryMetricReader()
        return self._reader

    def read(self) -> MetricsData | None:
        """Collect the current values."""
        return self.histograms.add_to(self._reader.get_metrics_data())


class DirectLoggerProvider(LoggerProvider):
    """A logger provider that says when its only processor is our queue: then a record need not pass through the SDK.

    The SDK's path costs as much as all else that a log line costs together, mostly to copy attributes. It is taken all
    the same by a host that wants other limits than the default, as the SDK holds them.

    Args:
        resource: Describes the process.
        limits: How much a record may hold.
    """

    only_queue: LogQueue | None = None
    _processors = 0

    def __init__(self, resource: Resource, limits: Limits) -> None:
        super().__init__(resource=resource, shutdown_on_exit=False, log_record_limits=make_log_limits(limits))
        self._are_limits_usual = are_log_limits_usual(limits)

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Register a processor; with a second one, or a foreign one, every record goes the SDK's way."""
        self._processors += 1
        is_only = self._processors == 1 and isinstance(log_record_processor, LogQueue) and self._are_limits_usual
        self.only_queue = log_record_processor if is_only else None  # type: ignore[assignment]
        super().add_log_record_processor(log_record_processor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """Where tracers, meters and loggers come from, and what connects them with a pipeline.

    Args:
        tracer: Ours, or the one that the host had set before.
        meter: Ours, or the one that the host had set before.
        logger: Ours, or the one that the host had set before.
        identity: Describes this process.
        reading: The current metrics.
        spans: Takes spans that have ended.
        logs: Takes log records.
        sampler: Ours; None when the host's provider has its own.
    """

    tracer: trace.TracerProvider
    meter: metrics.MeterProvider
    logger: _logs.LoggerProvider
    identity: Identity | None = None
    reading: MetricReading = field(default_factory=MetricReading)
    spans: SpanQueue = field(default_factory=SpanQueue)
    logs: LogQueue = field(default_factory=LogQueue)
    sampler: WeighingSampler | None = None

    def after_fork(self) -> None:
        """Start the instruments anew in a forked child, as another instance."""
        if self.identity is not None:
            self.identity.after_fork()
        self.spans.after_fork()
        MARKS.after_fork()
        if isinstance(self.meter, MirroredMeterProvider):
            self.meter.after_fork()

    def reconfigure(self, config: TelemetryConfig) -> None:
        """Go on under other settings: the same providers, because the world has got hold of them."""
        if self.identity is not None and dict(config.resource_attributes) != self.identity.configured:
            self.identity.reconfigure(config)
            if isinstance(self.meter, MirroredMeterProvider) and isinstance(self.meter.real, ForkSafeMeterProvider):
                self.meter.real.renew()
        self.spans.failed_traces.tightest_seconds = config.web.tightest_seconds
        if self.sampler is not None:
            self.sampler.sampling = config.sampling


def make_providers(config: TelemetryConfig) -> Providers:
    """Return the global providers: the host's where it has set them, else new ones."""
    identity, reading, sampler = Identity(config), MetricReading(), WeighingSampler(config.sampling)
    spans, logs = SpanQueue(), LogQueue()
    spans.failed_traces.tightest_seconds = config.web.tightest_seconds
    tracer, is_sampler_ours = _make_tracer_provider(identity, sampler, config.limits)
    tracer.add_span_processor(spans)
    logger = _make_logger_provider(identity, config.limits)
    logger.add_log_record_processor(logs)
    return Providers(
        tracer=tracer,
        meter=_make_meter_provider(identity, reading, config.exemplar_filter),
        logger=logger,
        identity=identity,
        reading=reading,
        spans=spans,
        logs=logs,
        sampler=sampler if is_sampler_ours else None,
    )


def _make_tracer_provider(identity: Identity, sampler: WeighingSampler, limits: Limits) -> tuple[TracerProvider, bool]:
    current = trace.get_tracer_provider()
    if isinstance(current, TracerProvider):
        return current, False
    provider = TracerProvider(
        resource=identity.resource,
        sampler=sampler,
        id_generator=IDS,
        shutdown_on_exit=False,
        span_limits=make_span_limits(limits),
    )
    trace.set_tracer_provider(provider)
    return provider, True


def _make_logger_provider(identity: Identity, limits: Limits) -> LoggerProvider:
    current = _logs.get_logger_provider()
    if isinstance(current, LoggerProvider):
        return current
    provider = DirectLoggerProvider(identity.resource, limits)
    _logs.set_logger_provider(provider)
    return provider


def _make_meter_provider(
    identity: Identity, reading: MetricReading, exemplars: ExemplarFilter
) -> metrics.MeterProvider:
    current = metrics.get_meter_provider()
    if isinstance(current, MeterProvider):
        current.add_metric_reader(reading.replace())
        return MirroredMeterProvider(current, SHOWN.mirror)

    histograms = reading.histograms = Histograms(exemplars)

    def make() -> MeterProvider:
        histograms.begin(identity.resource)
        return MeterProvider(
            resource=identity.resource,
            metric_readers=[reading.replace()],
            shutdown_on_exit=False,
            exemplar_filter=make_exemplar_filter(exemplars),
            views=[view_of_counters()],
        )

    provider = MirroredMeterProvider(ForkSafeMeterProvider(make, histograms), SHOWN.mirror)
    metrics.set_meter_provider(provider)
    return provider
