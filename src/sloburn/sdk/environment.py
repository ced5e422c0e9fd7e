"""Settle the settings: arguments over ``SLOBURN_*`` and ``OTEL_*`` variables over defaults.

The one module of the SDK that reads `os.environ`. Nothing here raises: a value that makes no sense is reported as a
problem and the next best source is used, because a typing error in a deployment must not stop the service.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sloburn.sdk import values
from sloburn.sdk.config import (
    DEFAULT_EXCLUDED_PATHS,
    SIGNALS,
    Arguments,
    Compression,
    Protocol,
    Sampling,
    Signal,
    Target,
    TelemetryConfig,
    WebInstrumentation,
)

Value = TypeVar("Value")

_HTTP: Protocol = "http/protobuf"
_PROTOCOLS: dict[str, Protocol] = {"http/protobuf": "http/protobuf", "http": "http/protobuf", "grpc": "grpc"}
_COMPRESSIONS: dict[str, Compression] = {"none": "none", "gzip": "gzip", "deflate": "deflate"}
_WEB: dict[str, WebInstrumentation] = {"own": "own", "contrib": "contrib", "off": "off"}
_EXPORTERS = {"otlp": True, "none": False}
_SAMPLERS: dict[str, tuple[float | None, bool]] = {
    "always_on": (1.0, False),
    "always_off": (0.0, False),
    "parentbased_always_on": (1.0, True),
    "parentbased_always_off": (0.0, True),
    "traceidratio": (None, False),
    "parentbased_traceidratio": (None, True),
}
_DEFAULT_URL = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}
_NOT_GIVEN: tuple[str, object] = ("", None)
_NO_PAIRS: tuple[tuple[str, str], ...] = ()


def process_environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


@dataclass(slots=True)
class Resolver:
    """Picks the first source that makes sense and remembers what did not.

    Args:
        environ: The environment variables.
        problems: One sentence for each value that was refused: key, value, expectation.
    """

    environ: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def pick(
        self, given: tuple[str, object], names: tuple[str, ...], read: Callable[[object], Value], default: Value
    ) -> Value:
        """Return the first of argument and variables that is set and can be read, else the default."""
        sources = [given, *((name, self.environ.get(name) or None) for name in names)]
        for name, raw in sources:
            if raw is None:
                continue
            try:
                return read(raw)
            except ValueError as error:
                self.problems.append(f"{name}: {error}")
            except Exception as error:  # what a host passes may fail in any way when it is looked at
                self.problems.append(f"{name}: cannot be read ({type(error).__name__})")
        return default


def resolve(arguments: Arguments, environ: Mapping[str, str]) -> tuple[TelemetryConfig, tuple[str, ...]]:
    """Settle every setting.

    Args:
        arguments: What the caller of `init_telemetry` gave.
        environ: The environment variables.

    Returns:
        The settings, and one sentence for each value that was refused.
    """
    resolver = Resolver(environ)
    pick = resolver.pick
    interval = pick(("export_interval", arguments.export_interval), ("SLOBURN_EXPORT_INTERVAL",), values.seconds, None)
    config = TelemetryConfig(
        enabled=_enabled(resolver, arguments),
        resource_attributes=_resource_attributes(resolver, arguments),
        targets=_targets(resolver, arguments),
        span_interval_seconds=interval or pick(_NOT_GIVEN, ("OTEL_BSP_SCHEDULE_DELAY",), values.milliseconds, 1.0),
        metric_interval_seconds=interval
        or pick(_NOT_GIVEN, ("OTEL_METRIC_EXPORT_INTERVAL",), values.milliseconds, 5.0),
        max_queue_size=pick(_NOT_GIVEN, ("OTEL_BSP_MAX_QUEUE_SIZE",), values.count, 8192),
        max_batch_size=pick(_NOT_GIVEN, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",), values.count, 512),
        sampling=_sampling(resolver, arguments),
        log_level=pick(("log_level", arguments.log_level), ("SLOBURN_LOG_LEVEL",), values.level, "INFO"),
        configure_logs=pick(
            ("configure_logs", arguments.configure_logs), ("SLOBURN_CONFIGURE_LOGS",), values.boolean, default=True
        ),
        fastapi=pick(("fastapi", arguments.fastapi), ("SLOBURN_FASTAPI",), values.one_of(_WEB), "own"),
        has_stable_http_names="http" in environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(","),
        celery=pick(("celery", arguments.celery), ("SLOBURN_CELERY",), values.boolean, default=True),
        excluded_paths=pick(
            ("exclude_paths", arguments.exclude_paths),
            ("SLOBURN_EXCLUDE_PATHS",),
            values.paths,
            frozenset(DEFAULT_EXCLUDED_PATHS),
        ),
        handle_sigterm=pick(
            ("handle_sigterm", arguments.handle_sigterm), ("SLOBURN_HANDLE_SIGTERM",), values.boolean, default=True
        ),
        shutdown_timeout_seconds=pick(
            ("shutdown_timeout", arguments.shutdown_timeout), ("SLOBURN_SHUTDOWN_TIMEOUT",), values.seconds, 3.0
        ),
    )
    return config, tuple(resolver.problems)


def _enabled(resolver: Resolver, arguments: Arguments) -> bool:
    """``OTEL_SDK_DISABLED`` is an operator's kill switch and the OpenTelemetry SDK obeys it anyway: it always wins."""
    disabled = resolver.pick(_NOT_GIVEN, ("OTEL_SDK_DISABLED",), values.boolean, default=False)
    wanted = resolver.pick(("enabled", arguments.enabled), ("SLOBURN_ENABLED",), values.boolean, default=True)
    return wanted and not disabled


def _resource_attributes(resolver: Resolver, arguments: Arguments) -> tuple[tuple[str, str], ...]:
    pick = resolver.pick
    merged = dict(pick(_NOT_GIVEN, ("OTEL_RESOURCE_ATTRIBUTES",), values.pairs, _NO_PAIRS))
    merged |= {
        "service.name": pick(_NOT_GIVEN, ("OTEL_SERVICE_NAME",), values.text, merged.get("service.name", "")),
        "deployment.environment.name": pick(
            _NOT_GIVEN, ("SLOBURN_ENVIRONMENT",), values.text, merged.get("deployment.environment.name", "")
        ),
    }
    merged |= dict(pick(("resource_attributes", arguments.resource_attributes), (), values.pairs, _NO_PAIRS))
    given: dict[str, tuple[str, object]] = {
        "service.name": ("service_name", arguments.service_name),
        "service.version": ("service_version", arguments.service_version),
        "deployment.environment.name": ("environment", arguments.environment),
    }
    merged |= {key: pick(source, (), values.text, merged.get(key, "")) for key, source in given.items()}
    merged["service.name"] = merged["service.name"] or f"unknown_service:{Path(sys.executable or 'python').name}"
    return tuple(sorted((key, value) for key, value in merged.items() if value))


def _targets(resolver: Resolver, arguments: Arguments) -> tuple[tuple[Signal, Target], ...]:
    wanted: dict[Signal, bool | None] = {
        "traces": arguments.traces,
        "metrics": arguments.metrics,
        "logs": arguments.logs,
    }
    return tuple(
        (signal, _target(resolver, arguments, signal))
        for signal in SIGNALS
        if _is_exported(resolver, signal, wanted[signal])
    )


def _is_exported(resolver: Resolver, signal: Signal, given: bool | None) -> bool:
    exporter = resolver.pick(_NOT_GIVEN, (f"OTEL_{signal.upper()}_EXPORTER",), values.one_of(_EXPORTERS), default=True)
    return resolver.pick((signal, given), (), values.boolean, default=exporter)


def _target(resolver: Resolver, arguments: Arguments, signal: Signal) -> Target:
    pick = resolver.pick

    def names(suffix: str) -> tuple[str, ...]:
        return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}"

    protocol = pick(("protocol", arguments.protocol), names("PROTOCOL"), values.one_of(_PROTOCOLS), _HTTP)
    headers = dict(pick(("headers", arguments.headers), names("HEADERS"), values.headers, _NO_PAIRS))
    return Target(
        url=_url(resolver, arguments, signal, protocol),
        protocol=protocol,
        headers=tuple(sorted(headers.items())),
        timeout_seconds=_timeout(resolver, arguments, names("TIMEOUT")),
        compression=pick(
            ("compression", arguments.compression), names("COMPRESSION"), values.one_of(_COMPRESSIONS), "none"
        ),
        ca_file=pick(_NOT_GIVEN, names("CERTIFICATE"), values.text, "") or None,
        client_certificate_file=pick(_NOT_GIVEN, names("CLIENT_CERTIFICATE"), values.text, "") or None,
        client_key_file=pick(_NOT_GIVEN, names("CLIENT_KEY"), values.text, "") or None,
    )


def _timeout(resolver: Resolver, arguments: Arguments, names: tuple[str, ...]) -> float:
    from_environment = resolver.pick(_NOT_GIVEN, names, values.timeout, 10.0)
    return resolver.pick(("timeout", arguments.timeout), (), values.seconds, from_environment)


def _url(resolver: Resolver, arguments: Arguments, signal: Signal, protocol: Protocol) -> str:
    """Build the address of a signal: a base address gets the signal's path, a signal's own address is used as it is."""
    pick = resolver.pick
    exact = (
        ""
        if arguments.endpoint
        else pick(_NOT_GIVEN, (f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT",), values.http_url, "")
    )
    if exact:
        return exact
    base = pick(
        ("endpoint", arguments.endpoint), ("OTEL_EXPORTER_OTLP_ENDPOINT",), values.http_url, _DEFAULT_URL[protocol]
    )
    return base if protocol == "grpc" else f"{base.rstrip('/')}/v1/{signal}"


def _sampling(resolver: Resolver, arguments: Arguments) -> Sampling:
    ratio = resolver.pick(("sample_ratio", arguments.sample_ratio), (), values.ratio, None)
    if ratio is not None:
        return Sampling(ratio=ratio)
    fixed, parent_based = resolver.pick(
        _NOT_GIVEN, ("OTEL_TRACES_SAMPLER",), values.one_of(_SAMPLERS), _SAMPLERS["parentbased_always_on"]
    )
    if fixed is None:
        fixed = resolver.pick(_NOT_GIVEN, ("OTEL_TRACES_SAMPLER_ARG",), values.ratio, 1.0)
    return Sampling(ratio=fixed, parent_based=parent_based)
