"""The settings in force, without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from sloburn.sdk.config import Signal, Target, TelemetryConfig
from sloburn.sdk.doctor.finding import Finding, note, ok, problem

_ABOUT = "settings"
_PREFIXES = ("OTEL_", "SLOBURN_")
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
    yield _variables(environ)
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


def _variables(environ: Mapping[str, str]) -> Finding:
    names = sorted(name for name in environ if name.startswith(_PREFIXES))
    return ok(_ABOUT, f"environment variables in force: {', '.join(names) or 'none'}")


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
