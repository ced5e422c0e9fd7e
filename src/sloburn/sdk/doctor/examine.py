"""The whole examination, in the order in which things can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sloburn.sdk.config import Arguments, TelemetryConfig
from sloburn.sdk.declarative import declared
from sloburn.sdk.doctor.application import load_application, look_at_application
from sloburn.sdk.doctor.finding import Finding
from sloburn.sdk.doctor.hops import Hops, look_at_hops, requests_taken
from sloburn.sdk.doctor.network import look_at_network
from sloburn.sdk.doctor.packages import installed, look_at_instrumentation, look_at_packages
from sloburn.sdk.doctor.round_trip import send_canary
from sloburn.sdk.doctor.settings import look_at_settings
from sloburn.sdk.environment import process_environment, resolve
from sloburn.sdk.init import running_telemetry
from sloburn.sdk.project import find_project


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What to examine.

    Args:
        arguments: What would be given to `init_telemetry`.
        app: ``module:attribute``; its own settings are in force then.
        hops: Whom to ask for the canary.
        timeout_seconds: The longest wait for one answer.
        wait_seconds: The longest wait for the canary at one hop.
    """

    arguments: Arguments
    app: str = ""
    hops: Hops
    timeout_seconds: float = 5.0
    wait_seconds: float = 20.0


def examine(what: Examination) -> Iterator[Finding]:
    """Yield what is found, as soon as it is.

    Raises:
        ConfigError: The application cannot be imported.
    """
    environ = process_environment()
    app = load_application(what.app) if what.app else None
    config, problems = _in_force(what.arguments)
    yield from look_at_settings(config, problems, environ)
    versions = installed()
    yield from look_at_packages(versions)
    yield from look_at_instrumentation(versions, environ)
    if what.app:
        yield from look_at_application(app)
    if config.enabled and config.targets:
        yield from _arrivals(config, what)


def _in_force(arguments: Arguments) -> tuple[TelemetryConfig, tuple[str, ...]]:
    running = running_telemetry()
    if running is not None:
        return running.config, running.status().problems
    environ, undeclared = declared(process_environment())
    config, refused = resolve(arguments, environ, find_project(None, Path.cwd()))
    return config, (*undeclared, *refused)


def _arrivals(config: TelemetryConfig, what: Examination) -> Iterator[Finding]:
    yield from _paths(config, what.timeout_seconds)
    before = requests_taken(what.hops.processor) if what.hops.processor else None
    canary, findings = send_canary(config, what.timeout_seconds)
    yield from findings
    yield from look_at_hops(what.hops, canary, before, what.wait_seconds)


def _paths(config: TelemetryConfig, timeout_seconds: float) -> Iterator[Finding]:
    """Look at every address once; what is in the way of all signals is said once."""
    said: set[str] = set()
    for _, target in config.targets:
        if target.protocol != "memory":
            found = [one for one in look_at_network(target, timeout_seconds) if one.text not in said]
            said |= {one.text for one in found}
            yield from found
