"""Client libraries, instrumented by contrib where its package for them is installed.

The instrumentor is loaded when the library is, so that a service pays for what it uses only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from sloburn.sdk.import_hook import when_imported

# The module that marks a library as used, and the class that instruments it.
INSTRUMENTORS: Mapping[str, tuple[str, str]] = {
    "httpx": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry.instrumentation.requests", "RequestsInstrumentor"),
    "sqlalchemy": ("opentelemetry.instrumentation.sqlalchemy", "SQLAlchemyInstrumentor"),
    "asyncpg": ("opentelemetry.instrumentation.asyncpg", "AsyncPGInstrumentor"),
    "psycopg": ("opentelemetry.instrumentation.psycopg", "PsycopgInstrumentor"),
    "redis": ("opentelemetry.instrumentation.redis", "RedisInstrumentor"),
}
# Where Celery's transport is there first, Redis is its broker: each of its polls would be a trace. Who wants Redis
# traced there too calls contrib's instrumentor.
_LEFT_ALONE_BESIDE: Mapping[str, str] = {"redis": "kombu"}


class Instrumentor(Protocol):
    """What contrib's instrumentors have in common."""

    is_instrumented_by_opentelemetry: bool

    def instrument(self, *, tracer_provider: TracerProvider, meter_provider: MeterProvider) -> None:
        """Instrument the library."""
        ...


def instrument_libraries(wanted: frozenset[str], tracers: TracerProvider, meters: MeterProvider) -> None:
    """Instrument client libraries, now or when they are imported.

    Args:
        wanted: Which of `INSTRUMENTORS`.
        tracers: Where their spans come from.
        meters: Where their metrics come from.
    """
    for name in sorted(wanted & set(INSTRUMENTORS)):
        when_imported(name, _make_act(name, tracers, meters))


def _make_act(name: str, tracers: TracerProvider, meters: MeterProvider) -> Callable[[], None]:
    module, kind = INSTRUMENTORS[name]

    def act() -> None:
        if _LEFT_ALONE_BESIDE.get(name) in sys.modules or not _is_installed(module):
            return
        instrumentor = cast("Instrumentor", getattr(import_module(module), kind)())
        # The host may have instrumented it itself, with hooks of its own.
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(tracer_provider=tracers, meter_provider=meters)

    return act


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
