"""The settings in force, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from urllib.parse import urlsplit

from sloburn.sdk.config import Arguments, Signal, Target, TelemetryConfig
from sloburn.sdk.declarative import VARIABLE
from sloburn.sdk.doctor.finding import Finding, note, ok, problem
from sloburn.sdk.environment import resolve

_ABOUT = "settings"
_PREFIXES = ("OTEL_", "SLOBURN_")
# Read elsewhere: by `sloburn serve`, and by OpenTelemetry's logging instrumentation, which is switched off for it.
_ALSO_READ = frozenset({"SLOBURN_DATA", VARIABLE, "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED"})
# What is in these makes further variables count.
_DECIDING: tuple[Mapping[str, str], ...] = (
    {},
    {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://localhost:4318"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
)
# For others: Kubernetes writes the first kind for every service, which may be called sloburn or otel-collector, and the
# Collector and the stack beside it read the second.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_FOR_OTHERS = re.compile(
    r"_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$|^SLOBURN_(STACK_\w+|OTLP_ENDPOINT|TOKEN_FILE)$"
)
_OTHER_PORT = {"http/protobuf": (4317, "4317 is the port of gRPC: OTLP over HTTP is on 4318"),
               "grpc": (4318, "4318 is the port of OTLP over HTTP: gRPC is on 4317")}  # fmt: skip


def look_at_settings(config: TelemetryConfig, problems: Sequence[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is on and where it goes, and everything that was refused."""
    for refused in problems:
        yield problem(_ABOUT, f"a setting was refused: {refused}", "correct it, or remove it")
    if not config.enabled:
        switch = "OTEL_SDK_DISABLED" if "OTEL_SDK_DISABLED" in environ else "enabled=False or SLOBURN_ENABLED=false"
        yield problem(_ABOUT, f"telemetry is switched off by {switch}", f"remove {switch}")
        return
    yield _service(config)
    yield from _variables(environ)
    for signal in ("traces", "metrics", "logs"):
        yield from _signal(config, signal)
    if config.sampling.ratio < 1:
        yield note(_ABOUT, f"{config.sampling.ratio:.4g} of new traces is recorded: most requests leave no trace")


def _service(config: TelemetryConfig) -> Finding:
    name = config.service_name
    if name.startswith("unknown_service"):
        return note(
            _ABOUT, "the service has no name here, so no SLO could find it", "set OTEL_SERVICE_NAME or service_name="
        )
    return ok(_ABOUT, f"service {name!r}")


class _Asked(dict[str, str]):
    """An environment that remembers which of its variables somebody has asked for, set or not."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.names: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return a variable."""
        self.names.add(key)
        return super().get(key, default)


def _variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield which variables count, and every one that looks as if it did."""
    read = _names_read(environ)
    names = sorted(name for name in environ if name.startswith(_PREFIXES) and not _FOR_OTHERS.search(name))
    in_force = ", ".join(name for name in names if name in read)
    yield ok(_ABOUT, f"environment variables in force: {in_force or 'none'}")
    for name in names:
        if name not in read:
            yield _unread(name, read)


def _names_read(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names that settings are taken from, by taking them: a list would be outdated one day."""
    read = set(_ALSO_READ)
    for deciding in (environ, *_DECIDING):
        asked = _Asked(deciding)
        resolve(Arguments(), asked)
        read |= asked.names
    return frozenset(name for name in read if name.startswith(_PREFIXES))


def _unread(name: str, read: frozenset[str]) -> Finding:
    nearest = get_close_matches(name, sorted(read), n=1, cutoff=0.8)
    if name.startswith("SLOBURN_"):
        meant = f"did you mean {nearest[0]}? " if nearest else ""
        return problem(_ABOUT, f"nobody reads {name}", f"{meant}correct it, or remove it")
    meant = f"did you mean {nearest[0]}?" if nearest else "a library's own instrumentation may read it"
    return note(_ABOUT, f"sloburn does not read {name}", meant)


def _signal(config: TelemetryConfig, signal: Signal) -> Iterator[Finding]:
    target = config.target(signal)
    if target is None:
        yield note(_ABOUT, f"{signal} go nowhere", f"OTEL_{signal.upper()}_EXPORTER=none, or {signal}=False, says so")
        return
    headers = ", ".join(f"{name}: [set]" for name, _ in target.headers) or "none"
    packed = "" if target.compression == "none" else f", {target.compression}"
    yield ok(_ABOUT, f"{signal} go to {place(target)} by {target.protocol}{packed}; headers: {headers}")
    wrong_port, advice = _OTHER_PORT.get(target.protocol, (0, ""))
    if urlsplit(target.url).port == wrong_port:
        yield note(_ABOUT, f"{signal} go to port {wrong_port} by {target.protocol}", advice)


def place(target: Target) -> str:
    """Return where a target is as people may see it: without user, password and query."""
    parts = urlsplit(target.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
