"""`init_telemetry`: put everything together, once, without ever harming the host."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, fields, replace
from typing import Unpack, cast

from sloburn.sdk import logs as log_streams
from sloburn.sdk.config import Arguments, Settings, TelemetryConfig
from sloburn.sdk.environment import process_environment, resolve
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.instrument import instrument
from sloburn.sdk.lifecycle import follow_process
from sloburn.sdk.log_export import LogEmitter
from sloburn.sdk.pipeline import destination, idle_telemetry, start_pipeline

logger = logging.getLogger("sloburn")


@dataclass(slots=True)
class _Process:
    """What this process runs: one telemetry, as OpenTelemetry has one provider of each kind."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    telemetry: Telemetry | None = None


_PROCESS = _Process()


def init_telemetry(**settings: Unpack[Settings]) -> Telemetry:
    """Send this process's traces, metrics and logs by OTLP and instrument FastAPI, Starlette and Celery.

    Arguments win over ``SLOBURN_*`` and ``OTEL_*`` environment variables, which win over defaults. Never raises and
    never waits: what is wrong ends in one log line and in ``status()`` of the handle. A second call returns the same
    handle.

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
        fastapi: Who instruments FastAPI and Starlette: ``own`` (the default), ``contrib`` or ``off``.
        celery: False leaves Celery alone.
        exclude_paths: Request paths without span and metric; by default those of health checks and metrics.
        handle_sigterm: False does not flush on SIGTERM.
        shutdown_timeout: The longest that the exit may be delayed, in seconds, all signals together; 3 by default.
        enabled: False switches telemetry off; ``OTEL_SDK_DISABLED=true`` does so whatever is given here.

    Returns:
        The handle of this process's telemetry.
    """
    names = {item.name for item in fields(Arguments)}
    unknown = tuple(f"{name}: there is no such setting" for name in settings if name not in names)
    known = cast("Settings", {name: value for name, value in settings.items() if name in names})
    return _init_once(Arguments(**known), unknown)


def _init_once(arguments: Arguments, unknown: tuple[str, ...]) -> Telemetry:
    with _PROCESS.lock:
        config, refused = resolve(arguments, process_environment())
        running = _PROCESS.telemetry
        if running is None:
            running = _PROCESS.telemetry = _start(config, (*unknown, *refused))
        elif running.config != config:
            logger.warning("init_telemetry was called again with other settings: the first call's stay in force")
        return running


def _start(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    try:
        return _start_enabled(config, problems) if config.enabled else _start_disabled(config, problems)
    except Exception as error:
        reason = f"telemetry could not be started: {type(error).__name__}: {error}"
        logger.warning(reason)
        return idle_telemetry(replace(config, enabled=False), (*problems, reason))


def _start_enabled(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    telemetry = start_pipeline(config, problems)
    emitter = LogEmitter(telemetry.logger_provider) if config.target("logs") else None
    logs = log_streams.configure_logs(config, emitter)
    after_fork = instrument(telemetry, logs)
    follow_process(telemetry, handle_sigterm=config.handle_sigterm, after_fork=after_fork)
    _announce(telemetry)
    return telemetry


def _start_disabled(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    log_streams.configure_logs(config, None)
    telemetry = idle_telemetry(config, problems)
    _report(problems)
    return telemetry


def _announce(telemetry: Telemetry) -> None:
    """Say in one line what is on and where it goes, and in another what was refused."""
    status, config = telemetry.status(), telemetry.config
    signals = ", ".join(status.signals) or "nothing"
    logger.info("telemetry of %s: %s to %s", config.service_name, signals, destination(config))
    _report(status.problems)


def _report(problems: tuple[str, ...]) -> None:
    if problems:
        logger.warning("telemetry settings that were refused: %s", "; ".join(problems))
