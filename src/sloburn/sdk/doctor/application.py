"""Import an application as its server would, and see what it starts and who instruments it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from sloburn.errors import ConfigError
from sloburn.sdk.doctor.finding import Finding, note, ok, problem
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.init import running_telemetry

_ABOUT = "instrumentation"


def load_application(name: str) -> object:
    """Import an application.

    Args:
        name: ``module:attribute``, as uvicorn and Celery take it.

    Raises:
        ConfigError: There is no such thing, or it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f"--app {name}: is not of the form module:attribute")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise ConfigError(f"--app {name}: cannot be imported: {type(error).__name__}: {error}") from error


def look_at_application(app: object) -> Iterator[Finding]:
    """Yield whether an application starts telemetry, and who instruments it."""
    telemetry = running_telemetry()
    if telemetry is None:
        text = "importing the application does not call init_telemetry"
        yield problem(
            _ABOUT, text, "call it where the module is imported: uvicorn's and gunicorn's workers only import"
        )
        return
    yield ok(_ABOUT, f"importing the application starts telemetry of {telemetry.config.service_name!r}")
    yield from _instrumentation(app, telemetry)


def _instrumentation(app: object, telemetry: Telemetry) -> Iterator[Finding]:
    is_contrib = bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
    wanted = telemetry.config.fastapi
    if is_contrib and wanted == "own":
        text = "contrib's FastAPI instrumentation is on this application: sloburn's own steps aside"
        yield note(_ABOUT, text, "remove instrument_app, or say fastapi='contrib'; contrib costs four times as much")
    if is_contrib and not telemetry.config.has_stable_http_names:
        text = "contrib emits the old HTTP names in milliseconds, which no SLO reads"
        yield problem(_ABOUT, text, "set OTEL_SEMCONV_STABILITY_OPT_IN=http before the process starts")
    if wanted == "off" and not is_contrib and hasattr(app, "router"):
        yield note(_ABOUT, "fastapi='off': FastAPI's own telemetry instruments, if anything does")
