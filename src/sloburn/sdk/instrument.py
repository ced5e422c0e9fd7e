"""Connect the running telemetry with the frameworks that this process uses, when it imports them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from sloburn.sdk.audit import close_audit
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.import_hook import when_imported
from sloburn.sdk.integrations.http_metrics import HttpServerMetrics
from sloburn.sdk.integrations.libraries import instrument_libraries
from sloburn.sdk.logs import LogSetup

if TYPE_CHECKING:
    from sloburn.sdk.integrations.fastapi import ApplicationGate

logger = logging.getLogger("sloburn")

AfterFork = list[Callable[[], None]]


def instrument(telemetry: Telemetry, logs: LogSetup | None) -> AfterFork:
    """Instrument FastAPI, Starlette and Celery, now or when they are imported.

    Returns:
        What has to begin anew in forked children; it grows when a framework is imported later.
    """
    after_fork: AfterFork = []
    if telemetry.config.fastapi != "off":
        # Both are awaited from the start: FastAPI's module is half imported when Starlette's is complete.
        gate = functools.cache(lambda: _make_gate(telemetry, after_fork))
        when_imported("starlette.applications", lambda: _wrap("starlette.applications", "Starlette", gate()))
        when_imported("fastapi.applications", lambda: _wrap("fastapi.applications", "FastAPI", gate()))
    if telemetry.config.celery:
        when_imported("celery.app.base", lambda: _instrument_celery(telemetry, logs, after_fork))
    instrument_libraries(telemetry.config.libraries, telemetry.providers.tracer, telemetry.providers.meter)
    return after_fork


def _wrap(module: str, name: str, gate: ApplicationGate) -> None:
    from sloburn.sdk.integrations import fastapi

    fastapi.wrap(module, name, gate)


def _make_gate(telemetry: Telemetry, after_fork: AfterFork) -> ApplicationGate:
    from sloburn.sdk.integrations import fastapi, request_id
    from sloburn.sdk.integrations.asgi import RequestObserver

    config = telemetry.config
    observer = None
    if config.fastapi == "own" or not _can_use_contrib(telemetry):
        metrics = HttpServerMetrics(telemetry.meter, config.web.boundaries_seconds)
        after_fork += [metrics.after_fork, request_id.after_fork]
        observer = RequestObserver(tracer=telemetry.tracer, metrics=metrics, config=config)
        telemetry.when_reconfigured(observer.reconfigure)
    return fastapi.ApplicationGate(
        observer=observer,
        flush=lambda: _closed(telemetry.flush_at_end),
        excluded_paths=config.excluded_paths,
        freezes_gc=config.freeze_gc,
    )


def _can_use_contrib(telemetry: Telemetry) -> bool:
    from sloburn.sdk.integrations.fastapi import has_contrib

    if not has_contrib():
        logger.warning(
            "fastapi='contrib' needs opentelemetry-instrumentation-fastapi: pip install 'sloburn[fastapi]'; "
            "until then sloburn's own instrumentation is used"
        )
        return False
    if not telemetry.config.has_stable_http_names:
        logger.warning(
            "contrib emits the old HTTP names in milliseconds, which no SLO here reads: set "
            "OTEL_SEMCONV_STABILITY_OPT_IN=http before the process starts"
        )
    return True


def _instrument_celery(telemetry: Telemetry, logs: LogSetup | None, after_fork: AfterFork) -> None:
    from sloburn.sdk.integrations import celery

    interval = telemetry.config.metric_interval_seconds
    observer = celery.CeleryObserver(tracer=telemetry.tracer, meter=telemetry.meter, interval_seconds=interval)
    after_fork.append(observer.after_fork)
    celery.install(
        observer,
        flush=telemetry.flush_at_end,
        flush_in_child=lambda: _closed(telemetry.flush_in_child),
        logs=logs,
    )


def _closed(flush: Callable[[], object]) -> object:
    """Leave nothing open: uvicorn's workers and Celery's pool children end without running atexit."""
    close_audit()
    return flush()
