"""The whole examination, in the order in which things can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sloburn.sdk.config import Arguments, Target, TelemetryConfig
from sloburn.sdk.declarative import declared
from sloburn.sdk.doctor.application import load_application, look_at_application
from sloburn.sdk.doctor.finding import Finding, note, problem
from sloburn.sdk.doctor.hops import Hops, look_at_hops, requests_taken
from sloburn.sdk.doctor.network import look_at_network
from sloburn.sdk.doctor.packages import installed, look_at_instrumentation, look_at_packages
from sloburn.sdk.doctor.round_trip import send_canary
from sloburn.sdk.doctor.settings import look_at_settings, place
from sloburn.sdk.doctor.side_by_side import side_by_side
from sloburn.sdk.environment import process_environment, resolve
from sloburn.sdk.init import running_telemetry
from sloburn.sdk.project import find_project

_SHARE_OF_LOOKING = 0.8
# A probe keeps its time itself, but for the look-up of the name: what is still under way so long after is one.
_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What to examine.

    Args:
        arguments: What would be given to `init_telemetry`.
        app: ``module:attribute``; its own settings are in force then.
        hops: Whom to ask for the canary.
        timeout_seconds: The longest wait for receivers that do not answer, all probes and the round trip together.
        wait_seconds: The longest wait for the canary at the hops, all together.
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
        yield from look_at_arrivals(config, what)


def _in_force(arguments: Arguments) -> tuple[TelemetryConfig, tuple[str, ...]]:
    running = running_telemetry()
    if running is not None:
        return running.config, running.status().problems
    environ, undeclared = declared(process_environment())
    config, refused = resolve(arguments, environ, find_project(None, Path.cwd()))
    return config, (*undeclared, *refused)


def look_at_arrivals(config: TelemetryConfig, what: Examination) -> Iterator[Finding]:
    """Look at the ways, then send the canary; where nothing answers it gets what is left of the time."""
    looking = what.timeout_seconds * _SHARE_OF_LOOKING
    ways = _ways(config, looking)
    yield from ways
    before = requests_taken(what.hops.processor) if what.hops.processor else None
    is_open = any(finding.level != "problem" for finding in ways)
    canary, answers = send_canary(config, what.timeout_seconds if is_open else what.timeout_seconds - looking)
    yield from answers
    is_taken = any(finding.level == "ok" for finding in answers)
    if is_taken:
        yield from look_at_hops(what.hops, canary, before, what.wait_seconds)
    elif what.hops != Hops():
        yield note("hops", "nobody behind it was asked: what was not taken cannot have come through")


def _ways(config: TelemetryConfig, timeout_seconds: float) -> list[Finding]:
    """Look at every address; what is in the way of all signals is said once."""
    targets = [target for _, target in config.targets if target.protocol != "memory"]
    found = side_by_side(
        [partial(_way, target, timeout_seconds) for target in targets], timeout_seconds + _SLACK_SECONDS
    )
    said: dict[str, Finding] = {}
    for target, findings in zip(targets, found, strict=True):
        for finding in findings or [_silent(target, timeout_seconds)]:
            said.setdefault(finding.text, finding)
    return list(said.values())


def _way(target: Target, timeout_seconds: float) -> list[Finding]:
    return list(look_at_network(target, min(timeout_seconds, target.timeout_seconds)))


def _silent(target: Target, timeout_seconds: float) -> Finding:
    text = f"{place(target)} could not be probed within {timeout_seconds:g} s"
    return problem("network", text, "the DNS of this machine may hang: check the name, or give --timeout more time")
