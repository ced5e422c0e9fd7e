"""What the SDK runs with: frozen settings, resolved once, handed to everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Literal, TypedDict

from sloburn.sdk.limits import ExemplarFilter, Limits
from sloburn.sdk.redaction import RedactionCallback
from sloburn.sdk.stream_config import AuditSettings, LogSettings, RedactionSettings

Signal = Literal["traces", "metrics", "logs"]
Protocol = Literal["http/protobuf", "grpc", "memory"]
Compression = Literal["none", "gzip", "deflate"]
WebInstrumentation = Literal["own", "contrib", "off"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
DEFAULT_EXCLUDED_PATHS = ("/health", "/healthz", "/livez", "/readyz", "/startupz", "/metrics")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one signal goes, and how.

    Args:
        url: The full address that takes this signal.
        protocol: OTLP over HTTP with binary protobuf, or over gRPC; ``memory`` goes nowhere, for tests.
        headers: Pairs sent with every request; values may be secret and are never logged.
        timeout_seconds: The longest that one request may take.
        compression: How request bodies are packed.
        ca_file: Certificate authority for TLS; the system's when absent.
        client_certificate_file: Certificate for mutual TLS.
        client_key_file: Its key.
        proxy: Address of the HTTP proxy that requests go through, with its password; empty for none.
    """

    url: str
    protocol: Protocol
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_seconds: float = 10.0
    compression: Compression = "none"
    ca_file: str | None = None
    client_certificate_file: str | None = None
    client_key_file: str | None = None
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which new traces are recorded.

    Args:
        ratio: Share of traces without a parent that is recorded, 0 to 1.
        parent_based: Whether a parent's decision is followed.
        keep_failed: Whether traces that are not sampled are sent when their local root has failed.
    """

    ratio: float = 1.0
    parent_based: bool = True
    keep_failed: bool = True


# The client libraries that are instrumented when they and their contrib package are there.
LIBRARIES = frozenset({"httpx", "requests", "sqlalchemy", "asyncpg", "psycopg", "redis"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """How requests are observed.

    Args:
        request_id_header: Carries the correlation id, in lower case; empty when there is none.
        boundaries_seconds: Further bucket boundaries of all histograms of durations, those of SLOs among them.
        tightest_seconds: The smallest threshold of an SLO; a slower trace is kept, sampled or not.
    """

    request_id_header: str = "x-request-id"
    boundaries_seconds: tuple[float, ...] = ()
    tightest_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMetrics:
    """What is measured and kept on this machine.

    Args:
        prometheus: Whether what is measured is kept for ``/metrics`` from the start.
        folder: Where the processes of this service keep that; None finds a folder of its own.
        system: Whether process and host are measured by psutil.
    """

    prometheus: bool = False
    folder: str | None = None
    system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """Everything `init_telemetry` decided before it started anything.

    Args:
        enabled: False leaves true no-ops behind; JSON logs on standard output stay.
        resource_attributes: What describes this service, in order, ``service.name`` among it.
        targets: One destination for each signal that is exported.
        span_interval_seconds: How often spans and log records leave.
        metric_interval_seconds: How often metrics are collected and leave.
        max_queue_size: Spans, and log records, held while they cannot leave; more are dropped and counted.
        max_batch_size: Spans, or log records, in one request.
        sampling: Which traces are recorded.
        log_level: The lowest level that is written and exported, a name of the standard library.
        configure_logs: Whether structlog and the root logger are set up.
        log_stream: Where log lines go and how they look.
        redaction: What is kept out of everything that leaves the process.
        audit: Where audit records go.
        fastapi: Who instruments FastAPI and Starlette.
        has_stable_http_names: Whether ``OTEL_SEMCONV_STABILITY_OPT_IN`` makes contrib use the stable HTTP names.
        celery: Whether Celery is instrumented.
        excluded_paths: Request paths without span and metric.
        handle_sigterm: Whether SIGTERM flushes before the previous handler runs.
        shutdown_timeout_seconds: The longest that the exit may be delayed, all signals together.
        local: What is measured and kept on this machine.
        web: How requests are observed.
        libraries: The client libraries that are instrumented.
        freeze_gc: Whether objects of the start are taken out of garbage collection when the application has started.
        limits: How much one span or log record may hold.
        exemplar_filter: Which measurements leave an exemplar by OTLP.
    """

    enabled: bool
    resource_attributes: tuple[tuple[str, str], ...]
    targets: tuple[tuple[Signal, Target], ...]
    span_interval_seconds: float
    metric_interval_seconds: float
    max_queue_size: int
    max_batch_size: int
    sampling: Sampling
    log_level: str
    configure_logs: bool
    fastapi: WebInstrumentation
    has_stable_http_names: bool
    celery: bool
    excluded_paths: frozenset[str]
    handle_sigterm: bool
    shutdown_timeout_seconds: float
    log_stream: LogSettings = field(default_factory=LogSettings)
    redaction: RedactionSettings = field(default_factory=RedactionSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    local: LocalMetrics = LocalMetrics()
    web: WebSettings = WebSettings()
    libraries: frozenset[str] = LIBRARIES
    freeze_gc: bool = False
    limits: Limits = field(default_factory=Limits)
    exemplar_filter: ExemplarFilter = "trace_based"

    @property
    def service_name(self) -> str:
        """The name under which this service reports."""
        return dict(self.resource_attributes)["service.name"]

    @property
    def is_captured(self) -> bool:
        """Whether it was started by a test, so that the code under test has no say in where telemetry goes."""
        return any(target.protocol == "memory" for _, target in self.targets)

    def target(self, signal: Signal) -> Target | None:
        """Return the destination of a signal, None when it is not exported."""
        return dict(self.targets).get(signal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The keyword arguments of `init_telemetry` as the caller wrote them; None means "not given"."""

    service_name: str | None = None
    service_version: str | None = None
    environment: str | None = None
    resource_attributes: Mapping[str, str] | None = None
    endpoint: str | None = None
    protocol: str | None = None
    headers: Mapping[str, str] | None = None
    timeout: float | None = None
    compression: str | None = None
    export_interval: float | None = None
    sample_ratio: float | None = None
    traces: bool | None = None
    metrics: bool | None = None
    logs: bool | None = None
    log_level: str | None = None
    configure_logs: bool | None = None
    log_format: str | None = None
    log_levels: Mapping[str, str] | str | None = None
    log_file: str | PathLike[str] | None = None
    log_file_max_bytes: int | None = None
    log_file_count: int | None = None
    follow_threads: bool | None = None
    redact: bool | None = None
    redact_keys: Iterable[str] | None = None
    redact_patterns: Iterable[str] | None = None
    redact_callback: RedactionCallback | None = None
    audit_file: str | PathLike[str] | None = None
    audit_key_file: str | PathLike[str] | None = None
    audit_sync: bool | None = None
    fastapi: str | None = None
    celery: bool | None = None
    exclude_paths: Iterable[str] | None = None
    handle_sigterm: bool | None = None
    shutdown_timeout: float | None = None
    prometheus: bool | None = None
    metrics_folder: str | None = None
    system_metrics: bool | None = None
    keep_failed: bool | None = None
    slo_files: Iterable[str] | str | None = None
    histogram_boundaries: Iterable[float] | None = None
    request_id_header: str | None = None
    libraries: Iterable[str] | bool | None = None
    freeze_gc: bool | None = None
    enabled: bool | None = None


class Settings(TypedDict, total=False):
    """The keyword arguments of `init_telemetry`.

    Each but ``reconfigure`` and ``redact_callback`` is an environment variable too: ``SLOBURN_`` and its name in
    capitals, ``SLOBURN_EXPORT_INTERVAL`` for instance, with lists parted by commas and pairs as ``key=value``. These
    have other names:

    =========================================  ===========================================================
    ``service_name``, ``resource_attributes``  ``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``
    ``endpoint``, ``protocol``, ``headers``    ``OTEL_EXPORTER_OTLP_ENDPOINT`` and so on, or for one signal
    ``timeout``, ``compression``               ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` and so on
    ``traces``, ``metrics``, ``logs``          ``OTEL_TRACES_EXPORTER=none`` and so on
    ``slo_files``                              ``SLOBURN_SLOS``, a path or several, parted by colons
    ``redact_patterns``                        ``SLOBURN_REDACT_PATTERN``, one pattern
    =========================================  ===========================================================

    ``OTEL_TRACES_SAMPLER``, ``OTEL_METRIC_EXPORT_INTERVAL``, ``OTEL_BSP_*`` and limits have their specified meaning
    where nothing of the above says otherwise.

    Args:
        service_name: Under which name this service reports; ``OTEL_SERVICE_NAME`` otherwise.
        service_version: Which version of it.
        environment: Where it runs, for instance ``production``.
        resource_attributes: What else describes it.
        endpoint: Base address of the receiver, for instance ``http://localhost:4318``.
        protocol: ``http/protobuf`` (the default) or ``grpc``.
        headers: Pairs sent with every request.
        timeout: The longest that one request may take, in seconds; 10 by default.
        compression: ``none`` (the default), ``gzip`` or ``deflate``.
        export_interval: How often spans, metrics and logs leave, in seconds; 1 by default, 5 for metrics.
        sample_ratio: Share of new traces that is recorded, 0 to 1; all by default.
        traces: False exports no traces.
        metrics: False exports no metrics.
        logs: False exports no logs.
        log_level: The lowest level that is logged, ``INFO`` by default.
        configure_logs: False leaves structlog and the root logger alone.
        log_format: ``json`` (the default), ``console`` for people, or ``auto``: for people on a terminal.
        log_levels: Other levels for some loggers, for instance ``{"sqlalchemy": "WARNING"}``.
        log_file: JSON lines go to this file too.
        log_file_max_bytes, log_file_count: When it is rotated, and how many are kept; 50 MB and 5 by default.
        follow_threads: False lets threads and executors begin without the fields and the span of whoever uses them.
        redact: False lets secrets through in logs, span attributes, baggage and health output.
        redact_keys, redact_patterns: Further names of fields, and regular expressions, that find secrets.
        redact_callback: Gets a `RedactionMatch` and returns what is written instead; None redacts.
        audit_file: Where `get_audit_logger` writes its chain of records.
        audit_key_file, audit_sync: A key against forgery; whether every record is forced to the disk at once.
        fastapi: Who instruments FastAPI and Starlette: ``own`` (the default), ``contrib`` or ``off``.
        celery: False leaves Celery alone.
        exclude_paths: Request paths without span and metric; by default those of health checks and metrics.
        handle_sigterm: False does not flush on SIGTERM.
        shutdown_timeout: The longest that the exit may be delayed, in seconds, all signals together; 2.2 by default,
            so that a server has ended three seconds after it was told to.
        prometheus: True keeps what is measured for ``/metrics`` from the start, not only from ``mount_metrics`` on.
        metrics_folder: Where the workers of this service keep that; by default a temporary folder that they find.
        system_metrics: True measures process and host; needs psutil.
        keep_failed: False drops unsampled traces even if their local root failed; otherwise they are sent, marked.
        slo_files: SLO documents, or folders of them, whose thresholds become boundaries of the histograms; a trace that
            takes longer than the smallest of them is kept, sampled or not.
        histogram_boundaries: Further boundaries, in seconds.
        request_id_header: Carries the correlation id, ``X-Request-ID`` by default; ``none`` for none.
        libraries: Which client libraries are instrumented when their contrib package is installed; all by default.
        freeze_gc: True spares what the start has created from garbage collection once the application has started.
        enabled: False switches telemetry off; ``OTEL_SDK_DISABLED=true`` does so whatever is given here.
        reconfigure: True lets a later call change where telemetry goes, as whom, how much and for which requests.
    """

    service_name: str | None
    service_version: str | None
    environment: str | None
    resource_attributes: Mapping[str, str] | None
    endpoint: str | None
    protocol: str | None
    headers: Mapping[str, str] | None
    timeout: float | None
    compression: str | None
    export_interval: float | None
    sample_ratio: float | None
    traces: bool | None
    metrics: bool | None
    logs: bool | None
    log_level: str | None
    configure_logs: bool | None
    log_format: str | None
    log_levels: Mapping[str, str] | str | None
    log_file: str | PathLike[str] | None
    log_file_max_bytes: int | None
    log_file_count: int | None
    follow_threads: bool | None
    redact: bool | None
    redact_keys: Iterable[str] | None
    redact_patterns: Iterable[str] | None
    redact_callback: RedactionCallback | None
    audit_file: str | PathLike[str] | None
    audit_key_file: str | PathLike[str] | None
    audit_sync: bool | None
    fastapi: str | None
    celery: bool | None
    exclude_paths: Iterable[str] | None
    handle_sigterm: bool | None
    shutdown_timeout: float | None
    prometheus: bool | None
    metrics_folder: str | None
    system_metrics: bool | None
    keep_failed: bool | None
    slo_files: Iterable[str] | str | None
    histogram_boundaries: Iterable[float] | None
    request_id_header: str | None
    libraries: Iterable[str] | bool | None
    freeze_gc: bool | None
    enabled: bool | None
    reconfigure: bool
