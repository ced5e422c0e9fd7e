"""What the SDK runs with: frozen settings, resolved once, handed to everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

Signal = Literal["traces", "metrics", "logs"]
Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["none", "gzip", "deflate"]
WebInstrumentation = Literal["own", "contrib", "off"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
DEFAULT_EXCLUDED_PATHS = ("/health", "/healthz", "/livez", "/readyz", "/metrics")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one signal goes, and how.

    Args:
        url: The full address that takes this signal.
        protocol: OTLP over HTTP with binary protobuf, or over gRPC.
        headers: Pairs sent with every request; values may be secret and are never logged.
        timeout_seconds: The longest that one request may take.
        compression: How request bodies are packed.
        ca_file: Certificate authority for TLS; the system's when absent.
        client_certificate_file: Certificate for mutual TLS.
        client_key_file: Its key.
    """

    url: str
    protocol: Protocol
    headers: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float = 10.0
    compression: Compression = "none"
    ca_file: str | None = None
    client_certificate_file: str | None = None
    client_key_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which new traces are recorded.

    Args:
        ratio: Share of traces without a parent that is recorded, 0 to 1.
        parent_based: Whether a parent's decision is followed.
    """

    ratio: float = 1.0
    parent_based: bool = True


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
        fastapi: Who instruments FastAPI and Starlette.
        has_stable_http_names: Whether ``OTEL_SEMCONV_STABILITY_OPT_IN`` makes contrib use the stable HTTP names.
        celery: Whether Celery is instrumented.
        excluded_paths: Request paths without span and metric.
        handle_sigterm: Whether SIGTERM flushes before the previous handler runs.
        shutdown_timeout_seconds: The longest that the exit may be delayed, all signals together.
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

    @property
    def service_name(self) -> str:
        """The name under which this service reports."""
        return dict(self.resource_attributes)["service.name"]

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
    fastapi: str | None = None
    celery: bool | None = None
    exclude_paths: Iterable[str] | None = None
    handle_sigterm: bool | None = None
    shutdown_timeout: float | None = None
    enabled: bool | None = None


class Settings(TypedDict, total=False):
    """The keyword arguments of `init_telemetry`; it describes them."""

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
    fastapi: str | None
    celery: bool | None
    exclude_paths: Iterable[str] | None
    handle_sigterm: bool | None
    shutdown_timeout: float | None
    enabled: bool | None
