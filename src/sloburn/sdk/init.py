"""`init_telemetry`: put everything together, once, without ever harming the host."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, Unpack, cast

from sloburn.sdk import logs as log_streams
from sloburn.sdk import stream_losses
from sloburn.sdk.audit import close_audit, configure_audit
from sloburn.sdk.config import Arguments, Sampling, Settings, TelemetryConfig
from sloburn.sdk.declarative import declared
from sloburn.sdk.environment import process_environment, resolve
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.instrument import instrument
from sloburn.sdk.lifecycle import follow_process
from sloburn.sdk.log_export import LogEmitter
from sloburn.sdk.log_threads import follow_threads
from sloburn.sdk.outgoing import guard_baggage
from sloburn.sdk.pipeline import describe, idle_telemetry, restart_pipeline, start_pipeline
from sloburn.sdk.project import Project, find_project
from sloburn.sdk.uncaught import watch_uncaught
from sloburn.sdk.watching import watch

logger = logging.getLogger("sloburn")


@dataclass(slots=True)
class _Process:
    """What this process runs: one telemetry, as OpenTelemetry has one provider of each kind."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    telemetry: Telemetry | None = None
    project: Project | None = None


_PROCESS = _Process()


def init_telemetry(**settings: Unpack[Settings]) -> Telemetry:
    """Send this process's traces, metrics and logs by OTLP and instrument FastAPI, Starlette and Celery.

    Arguments win over ``SLOBURN_*`` and ``OTEL_*`` environment variables, which win over defaults. Never raises and
    never waits: what is wrong ends in one log line and in ``status()`` of the handle. A second call returns the same
    handle.

    Args:
        settings: Keyword arguments, described at `sloburn.sdk.config.Settings`.

    Returns:
        The handle of this process's telemetry.
    """
    names = {item.name for item in fields(Arguments)}
    is_again = settings.get("reconfigure") is True
    unknown = tuple(f"{name}: there is no such setting" for name in settings if name not in (*names, "reconfigure"))
    known = cast("Settings", {name: value for name, value in settings.items() if name in names})
    with _PROCESS.lock:
        project = _PROCESS.project = _PROCESS.project or find_project(_caller(), Path.cwd())
        return _init_once(Arguments(**cast("Any", known)), unknown, project, is_again=is_again)


def _caller() -> FrameType | None:
    """Return the frame of the host: the first one that is not of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "sloburn":
        frame = frame.f_back
    return frame


def _package_of(frame: FrameType | None) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame else ""


def running_telemetry() -> Telemetry | None:
    """Return what `init_telemetry` has started in this process; None before it."""
    return _PROCESS.telemetry


def _init_once(arguments: Arguments, unknown: tuple[str, ...], project: Project, *, is_again: bool) -> Telemetry:
    environ, undeclared = declared(process_environment())
    config, refused = resolve(arguments, environ, project)
    problems = (*unknown, *undeclared, *refused)
    running = _PROCESS.telemetry
    if running is None or (is_again and running.providers.identity is None):
        running = _PROCESS.telemetry = _start(config, problems)
    elif running.config != config and is_again:
        _restart(running, config, problems)
    elif running.config != config and not running.config.is_captured:
        logger.warning(
            "init_telemetry was called again with other settings: the first call's stay in force "
            "(reconfigure=True changes them)"
        )
    return running


def _restart(telemetry: Telemetry, config: TelemetryConfig, problems: tuple[str, ...]) -> None:
    """Go on under other settings: where telemetry goes, as whom, how much of it, and which requests are left out."""
    if not config.enabled:
        config = replace(config, targets=(), sampling=Sampling(ratio=0.0, parent_based=False))
    try:
        restart_pipeline(telemetry, config, problems)
        _set_up_streams(telemetry, config)
    except Exception as error:
        logger.warning("telemetry could not be reconfigured: %s: %s", type(error).__name__, error)
        return
    _announce(telemetry)


def _start(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    try:
        return _start_enabled(config, problems) if config.enabled else _start_disabled(config, problems)
    except Exception as error:
        reason = f"telemetry could not be started: {type(error).__name__}: {error}"
        logger.warning(reason)
        return idle_telemetry(replace(config, enabled=False), (*problems, reason))


def _start_enabled(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    telemetry = start_pipeline(config, problems)
    logs = _set_up_streams(telemetry, config)
    guard_baggage()
    stream_losses.watch_losses(telemetry.meter)
    watch(telemetry)
    after_fork = instrument(telemetry, logs)
    after_fork.append(stream_losses.after_fork)
    follow_threads(telemetry, _package_of(_caller()))
    if logs is not None:
        after_fork.append(logs.after_fork)
        watch_uncaught(telemetry, logs)
    follow_process(telemetry, handle_sigterm=config.handle_sigterm, after_fork=after_fork)
    # A chain that was begun after telemetry had ended is closed too.
    atexit.register(close_audit)
    telemetry.when_ended(close_audit)
    _announce(telemetry)
    return telemetry


def _set_up_streams(telemetry: Telemetry, config: TelemetryConfig) -> log_streams.LogSetup | None:
    """Set up logs, redaction and the audit trail, or change them."""
    emitter = LogEmitter(telemetry.logger_provider) if config.target("logs") else None
    logs = log_streams.configure_logs(config, emitter)
    configure_audit(config.audit, config.service_name, emitter)
    return logs


def _start_disabled(config: TelemetryConfig, problems: tuple[str, ...]) -> Telemetry:
    log_streams.configure_logs(config, None)
    configure_audit(config.audit, config.service_name, None)
    atexit.register(close_audit)
    telemetry = idle_telemetry(config, problems)
    _report(problems)
    return telemetry


def _announce(telemetry: Telemetry) -> None:
    """Say in one line what is on and where it goes, and in another what was refused."""
    status = telemetry.status()
    logger.info(describe(telemetry.config, tuple(status.signals)))
    _report(status.problems)


def _report(problems: tuple[str, ...]) -> None:
    if problems:
        logger.warning("telemetry settings that were refused: %s", "; ".join(problems))
