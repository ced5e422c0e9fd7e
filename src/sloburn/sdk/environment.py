"""Settle the settings: arguments over ``SLOBURN_*`` and ``OTEL_*`` variables over defaults.

The one module of the SDK that reads `os.environ`. Nothing here raises: a value that makes no sense is reported as a
problem and the next best source is used, because a typing error in a deployment must not stop the service.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from sloburn.sdk import stream_environment as streams
from sloburn.sdk import upstream, values
from sloburn.sdk.config import (
    DEFAULT_EXCLUDED_PATHS,
    SIGNALS,
    Arguments,
    Compression,
    LocalMetrics,
    Protocol,
    Sampling,
    Signal,
    Target,
    TelemetryConfig,
    WebInstrumentation,
)
from sloburn.sdk.limits import exemplar_filter, limits
from sloburn.sdk.project import COMMIT_VARIABLES, Project
from sloburn.sdk.proxies import proxy_for
from sloburn.sdk.web_environment import libraries, web_settings

Value = TypeVar("Value")

_HTTP: Protocol = "http/protobuf"
_PROTOCOLS: dict[str, Protocol] = {
    "http/protobuf": "http/protobuf",
    "http": "http/protobuf",
    "grpc": "grpc",
    "memory": "memory",
}
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
_DEFAULT_URL = {
    "http/protobuf": "http://localhost:4318",
    "grpc": "http://localhost:4317",
    "memory": "memory://this-process",
}
_NOT_GIVEN: tuple[str, object] = ("", None)
NO_PROJECT = Project()
_NO_PAIRS: tuple[tuple[str, str], ...] = ()


def process_environment() -> MutableMapping[str, str]:
    """Return the process's environment."""
    return os.environ


def without_misspelt() -> AbstractContextManager[None]:
    """Hide from OpenTelemetry, until the end of the block, what it would stumble over while it is loaded or started."""
    resolver = Resolver(os.environ)
    _check_upstream(resolver)
    names = {problem.partition(":")[0] for problem in resolver.problems}
    names |= {name for name in upstream.READERS if not os.environ.get(name)}
    upstream.hush(os.environ, names)
    return upstream.hidden(os.environ, names)


def _check_upstream(resolver: Resolver) -> None:
    upstream.check(resolver.pick)
    limits(resolver.pick)
    exemplar_filter(resolver.pick)


@dataclass(slots=True)
class Resolver:
    """Picks the first source that makes sense and remembers what did not.

    Args:
        environ: The environment variables.
        problems: One sentence for each value that was refused: key, value, expectation.
    """

    environ: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def refuse(self, problem: str) -> None:
        """Remember, once, what makes no sense."""
        if problem not in self.problems:
            self.problems.append(problem)

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
                self.refuse(f"{name}: {error}")
            except Exception as error:  # what a host passes may fail in any way when it is looked at
                self.refuse(f"{name}: cannot be read ({type(error).__name__})")
        return default


def resolve(
    arguments: Arguments, environ: Mapping[str, str], project: Project = NO_PROJECT
) -> tuple[TelemetryConfig, tuple[str, ...]]:
    """Settle every setting.

    Args:
        arguments: What the caller of `init_telemetry` gave.
        environ: The environment variables.
        project: Names the service when nothing else does.

    Returns:
        The settings, and one sentence for each value that was refused.
    """
    resolver = Resolver(environ)
    pick = resolver.pick
    interval = pick(("export_interval", arguments.export_interval), ("SLOBURN_EXPORT_INTERVAL",), values.seconds, None)
    config = TelemetryConfig(
        enabled=_enabled(resolver, arguments),
        resource_attributes=_resource_attributes(resolver, arguments, project),
        targets=_targets(resolver, arguments),
        span_interval_seconds=interval or pick(_NOT_GIVEN, ("OTEL_BSP_SCHEDULE_DELAY",), values.milliseconds, 1.0),
        metric_interval_seconds=interval
        or pick(_NOT_GIVEN, ("OTEL_METRIC_EXPORT_INTERVAL",), values.milliseconds, 5.0),
        max_queue_size=pick(_NOT_GIVEN, ("OTEL_BSP_MAX_QUEUE_SIZE",), values.count, 8192),
        max_batch_size=pick(_NOT_GIVEN, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",), values.count, 512),
        sampling=_sampling(resolver, arguments),
        log_level=pick(("log_level", arguments.log_level), ("SLOBURN_LOG_LEVEL",), values.level, "INFO"),
        configure_logs=_is_on(resolver, "configure_logs", arguments.configure_logs),
        fastapi=pick(("fastapi", arguments.fastapi), ("SLOBURN_FASTAPI",), values.one_of(_WEB), "own"),
        has_stable_http_names="http" in environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(","),
        celery=_is_on(resolver, "celery", arguments.celery),
        excluded_paths=_excluded_paths(resolver, arguments),
        handle_sigterm=_is_on(resolver, "handle_sigterm", arguments.handle_sigterm),
        log_stream=streams.log_settings(pick, arguments),
        redaction=streams.redaction_settings(pick, arguments),
        audit=streams.audit_settings(pick, arguments),
        shutdown_timeout_seconds=pick(
            ("shutdown_timeout", arguments.shutdown_timeout), ("SLOBURN_SHUTDOWN_TIMEOUT",), values.seconds, 2.2
        ),
        local=_local_metrics(resolver, arguments),
        web=web_settings(pick, arguments),
        libraries=libraries(pick, arguments),
        freeze_gc=_is_on(resolver, "freeze_gc", arguments.freeze_gc, default=False),
        limits=limits(pick),
        exemplar_filter=exemplar_filter(pick),
    )
    upstream.check(pick)
    return config, tuple(resolver.problems)


def _is_on(resolver: Resolver, name: str, given: object, *, default: bool = True) -> bool:
    return resolver.pick((name, given), (f"SLOBURN_{name.upper()}",), values.boolean, default=default)


def _excluded_paths(resolver: Resolver, arguments: Arguments) -> frozenset[str]:
    return resolver.pick(
        ("exclude_paths", arguments.exclude_paths),
        ("SLOBURN_EXCLUDE_PATHS",),
        values.paths,
        frozenset(DEFAULT_EXCLUDED_PATHS),
    )


def _enabled(resolver: Resolver, arguments: Arguments) -> bool:
    """``OTEL_SDK_DISABLED`` is an operator's kill switch and the OpenTelemetry SDK obeys it anyway: it always wins."""
    disabled = resolver.pick(_NOT_GIVEN, ("OTEL_SDK_DISABLED",), values.boolean, default=False)
    wanted = resolver.pick(("enabled", arguments.enabled), ("SLOBURN_ENABLED",), values.boolean, default=True)
    return wanted and not disabled


def _local_metrics(resolver: Resolver, arguments: Arguments) -> LocalMetrics:
    """A folder that is named is wanted."""
    pick = resolver.pick
    folder = pick(("metrics_folder", arguments.metrics_folder), ("SLOBURN_METRICS_FOLDER",), values.text, "")
    return LocalMetrics(
        prometheus=pick(
            ("prometheus", arguments.prometheus), ("SLOBURN_PROMETHEUS",), values.boolean, default=bool(folder)
        ),
        folder=folder or None,
        system=pick(
            ("system_metrics", arguments.system_metrics), ("SLOBURN_SYSTEM_METRICS",), values.boolean, default=False
        ),
    )


def _resource_attributes(resolver: Resolver, arguments: Arguments, project: Project) -> tuple[tuple[str, str], ...]:
    pick = resolver.pick
    commit = project.commit or pick(_NOT_GIVEN, COMMIT_VARIABLES, values.text, "")
    merged = {"service.version": project.version, "vcs.ref.head.revision": commit}
    merged |= dict(pick(_NOT_GIVEN, ("OTEL_RESOURCE_ATTRIBUTES",), values.pairs, _NO_PAIRS))
    merged |= {
        "service.name": pick(_NOT_GIVEN, ("OTEL_SERVICE_NAME",), values.text, merged.get("service.name", "")),
        "service.version": pick(
            _NOT_GIVEN, ("SLOBURN_SERVICE_VERSION",), values.text, merged.get("service.version", "")
        ),
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
    fallback = project.name or f"unknown_service:{Path(sys.executable or 'python').name}"
    merged["service.name"] = merged["service.name"] or fallback
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
    url, login = _without_login(_url(resolver, arguments, signal, protocol))
    if login and "authorization" not in headers:
        headers["authorization"] = login
    return Target(
        url=url,
        protocol=protocol,
        headers=tuple(sorted(headers.items())),
        timeout_seconds=_timeout(resolver, arguments, names("TIMEOUT")),
        compression=pick(
            ("compression", arguments.compression), names("COMPRESSION"), values.one_of(_COMPRESSIONS), "none"
        ),
        ca_file=pick(_NOT_GIVEN, names("CERTIFICATE"), values.text, "") or None,
        client_certificate_file=pick(_NOT_GIVEN, names("CLIENT_CERTIFICATE"), values.text, "") or None,
        client_key_file=pick(_NOT_GIVEN, names("CLIENT_KEY"), values.text, "") or None,
        # gRPC reads these variables by itself.
        proxy=_proxy(resolver, url) if protocol == _HTTP else "",
    )


def _without_login(url: str) -> tuple[str, str]:
    """Split ``https://user:password@host`` into an address that may be shown and the header that says the same."""
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    if not login:
        return url, ""
    return parts._replace(netloc=place).geturl(), f"Basic {b64encode(unquote(login).encode()).decode()}"


def _proxy(resolver: Resolver, url: str) -> str:
    try:
        return proxy_for(url, resolver.environ)
    except ValueError as error:
        resolver.refuse(f"proxy variables: {error}")
        return ""


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
    pick = resolver.pick
    keep_failed = _is_on(resolver, "keep_failed", arguments.keep_failed)
    ratio = pick(("sample_ratio", arguments.sample_ratio), ("SLOBURN_SAMPLE_RATIO",), values.ratio, None)
    if ratio is not None:
        return Sampling(ratio=ratio, keep_failed=keep_failed)
    fixed, parent_based = pick(
        _NOT_GIVEN, ("OTEL_TRACES_SAMPLER",), values.one_of(_SAMPLERS), _SAMPLERS["parentbased_always_on"]
    )
    if fixed is None:
        fixed = pick(_NOT_GIVEN, ("OTEL_TRACES_SAMPLER_ARG",), values.ratio, 1.0)
    return Sampling(ratio=fixed, parent_based=parent_based, keep_failed=keep_failed)
