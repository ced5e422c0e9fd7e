"""Know within seconds whether your Python services keep their promises, and why not.

Names are loaded when they are first used, so that `import sloburn` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sloburn.errors import ConfigError, SloburnError
    from sloburn.sdk.handle import Telemetry
    from sloburn.sdk.init import init_telemetry
    from sloburn.sdk.logs import get_logger

_HOMES = {
    "ConfigError": "sloburn.errors",
    "SloburnError": "sloburn.errors",
    "Telemetry": "sloburn.sdk.handle",
    "get_logger": "sloburn.sdk.logs",
    "init_telemetry": "sloburn.sdk.init",
}

__all__ = ["ConfigError", "SloburnError", "Telemetry", "get_logger", "init_telemetry"]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
