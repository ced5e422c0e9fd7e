"""Know within seconds whether your Python services keep their promises, and why not.

Names are loaded when they are first used, so that `import sloburn` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sloburn.errors import ConfigError, SloburnError
    from sloburn.sdk.audit import get_audit_logger
    from sloburn.sdk.handle import Telemetry
    from sloburn.sdk.health.checks import health
    from sloburn.sdk.init import init_telemetry
    from sloburn.sdk.log_context import carry_context, log_context
    from sloburn.sdk.logs import get_logger
    from sloburn.sdk.prometheus.endpoint import mount_metrics, serve_metrics
    from sloburn.sdk.redaction import RedactionMatch
    from sloburn.sdk.track import count, gauge, track

_HOMES = {
    "ConfigError": "sloburn.errors",
    "RedactionMatch": "sloburn.sdk.redaction",
    "SloburnError": "sloburn.errors",
    "Telemetry": "sloburn.sdk.handle",
    "carry_context": "sloburn.sdk.log_context",
    "count": "sloburn.sdk.track",
    "gauge": "sloburn.sdk.track",
    "get_audit_logger": "sloburn.sdk.audit",
    "get_logger": "sloburn.sdk.logs",
    "health": "sloburn.sdk.health.checks",
    "init_telemetry": "sloburn.sdk.entry",
    "log_context": "sloburn.sdk.log_context",
    "mount_metrics": "sloburn.sdk.prometheus.endpoint",
    "serve_metrics": "sloburn.sdk.prometheus.endpoint",
    "track": "sloburn.sdk.track",
}

__all__ = [
    "ConfigError",
    "RedactionMatch",
    "SloburnError",
    "Telemetry",
    "carry_context",
    "count",
    "gauge",
    "get_audit_logger",
    "get_logger",
    "health",
    "init_telemetry",
    "log_context",
    "mount_metrics",
    "serve_metrics",
    "track",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _HOMES[name].startswith("sloburn.sdk."):
        return getattr(import_module(_HOMES[name]), name)
    from sloburn.sdk.collection import without_collection

    with without_collection(_HOMES[name]):
        from sloburn.sdk.environment import without_misspelt

        # OpenTelemetry raises over some variables while it is imported.
        with without_misspelt():
            value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
