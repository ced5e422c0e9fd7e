"""Packages that do not fit together, and others that instrument the same things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions

from sloburn.sdk.doctor.finding import Finding, note, ok, problem

_PACKAGES, _INSTRUMENTATION = "packages", "instrumentation"
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)\s*\(?==\s*([A-Za-z0-9_.]+)\)?\s*(?:;(.*))?$")
_OTHERS = {
    "ddtrace": "Datadog's tracer patches the same libraries",
    "newrelic": "New Relic's agent patches the same libraries",
    "logfire": "logfire sets the global providers when it is configured: call init_telemetry before it",
    "opentelemetry-distro": "opentelemetry-instrument sets the global providers first: do not use both",
}
_TRUE = ("true", "1", "yes", "on")

Versions = Mapping[str, tuple[str, tuple[str, ...]]]


def installed() -> Versions:
    """Return version and requirements of every installed distribution, by normalised name."""
    found = {}
    for one in distributions():
        name = one.metadata["Name"] if one.metadata else None
        if name:
            found[_normal(name)] = (one.version, tuple(one.requires or ()))
    return found


def look_at_packages(versions: Versions) -> Iterator[Finding]:
    """Yield packages of OpenTelemetry whose pinned versions do not fit together."""
    ours = {name: about for name, about in versions.items() if name.startswith("opentelemetry-")}
    conflicts = [text for name, (_, requires) in ours.items() for text in _conflicts(name, requires, versions)]
    for text in conflicts:
        yield problem(_PACKAGES, text, "install matching versions: pip install --upgrade 'sloburn[all]'")
    if not conflicts:
        sdk = versions.get("opentelemetry-sdk", ("missing", ()))[0]
        yield ok(_PACKAGES, f"opentelemetry-sdk {sdk}; {len(ours)} OpenTelemetry packages fit together")


def look_at_instrumentation(versions: Versions, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what would export or instrument a second time."""
    before = len(found := [*_variables(environ), *_others(versions)])
    yield from found
    if not before:
        yield ok(_INSTRUMENTATION, "nothing else instruments or exports beside sloburn")


def _conflicts(name: str, requires: tuple[str, ...], versions: Versions) -> Iterator[str]:
    for requirement in requires:
        pin = _PINNED.match(requirement.strip())
        # What an extra or another system asks for is not asked for here.
        if pin is None or pin[3] or _normal(pin[1]) not in versions:
            continue
        version = versions[_normal(pin[1])][0]
        if version != pin[2]:
            yield f"{name} {versions[name][0]} needs {_normal(pin[1])} {pin[2]}, installed is {version}"


def _variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    def is_on(name: str) -> bool:
        return environ.get(name, "").strip().lower() in _TRUE

    if is_on("FASTAPI_OTEL_AUTO_CONFIGURE"):
        text = "FASTAPI_OTEL_AUTO_CONFIGURE makes FastAPI set up exporters of its own: telemetry would leave twice"
        yield problem(_INSTRUMENTATION, text, "remove FASTAPI_OTEL_AUTO_CONFIGURE")
    if is_on("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED"):
        text = "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED adds a second log handler: logs would leave twice"
        yield problem(_INSTRUMENTATION, text, "remove it")
    if "auto_instrumentation" in environ.get("PYTHONPATH", ""):
        text = "the program runs under opentelemetry-instrument, which sets the global providers and instruments first"
        yield problem(_INSTRUMENTATION, text, "start the program without it, or do not call init_telemetry")


def _others(versions: Versions) -> Iterator[Finding]:
    for name, why in _OTHERS.items():
        if name in versions:
            yield note(_INSTRUMENTATION, f"{name} {versions[name][0]} is installed", why)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
