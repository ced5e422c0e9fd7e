"""FastAPI and Starlette: every application is observed, whether it was created before `init_telemetry` or after.

The classes' ``__call__`` is wrapped, which is the outermost place there is. Exactly one instruments: FastAPI's own
telemetry steps aside for a request whose scope already carries ``fastapi.telemetry`` (its rule for mounted
applications), and we step aside for an application that contrib has instrumented.
"""

from __future__ import annotations

import functools
import gc
import logging
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import anyio.to_thread
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from sloburn.sdk.exclusion import MOUNTED_PATHS
from sloburn.sdk.integrations.asgi import RequestObserver
from sloburn.sdk.integrations.asgi_scope import App, Message, Receive, Scope, Send

logger = logging.getLogger("sloburn")

_SEEN = "sloburn.seen"
_CONTRIB_SCOPE = "opentelemetry.instrumentation."
_CONTRIB_MIDDLEWARE = ("opentelemetry.instrumentation.asgi", "OpenTelemetryMiddleware")

# An application object: Starlette's class, without importing it for a type.
Application = Any


class ApplicationGate:
    """Decides for every call of an application who observes it.

    Args:
        observer: Ours; None when contrib was asked for.
        flush: Sends what waits; may block for a bounded time.
        excluded_paths: For contrib.
        freezes_gc: Whether garbage collection stops looking at what exists when an application has started.
    """

    def __init__(
        self,
        *,
        observer: RequestObserver | None,
        flush: Callable[[], object],
        excluded_paths: frozenset[str],
        freezes_gc: bool = False,
    ) -> None:
        self._observer = observer
        self._freezes_gc = freezes_gc
        self._flush = flush
        self._excluded_paths = excluded_paths
        self._contrib: WeakKeyDictionary[Application, tuple[object, bool]] = WeakKeyDictionary()

    async def serve(self, call: App, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or the life span of an application."""
        kind = scope["type"]
        if _SEEN in scope or kind not in ("http", "websocket", "lifespan"):
            await call(scope, receive, send)
            return
        scope[_SEEN] = True
        if kind == "lifespan":
            if self._observer is None:
                # Before the first request: contrib wants the middleware to be built anew.
                self._look_at(app)
            await call(scope, receive, self._flush_at_end(send))
            return
        if self._is_contrib(app):
            await call(scope, receive, send)
            return
        await self._observe(call, scope, receive, send)

    async def _observe(self, call: App, scope: Scope, receive: Receive, send: Send) -> None:
        observer = self._observer
        scope.setdefault("fastapi.telemetry", None)
        if observer is None or observer.excludes(scope):
            await call(scope, receive, send)
        elif scope["type"] == "http":
            await observer.http(call, scope, receive, send)
        else:
            await observer.websocket(call, scope, receive, send)

    def _flush_at_end(self, send: Send) -> Send:
        """Flush when the application has shut down: uvicorn dies of SIGTERM right after, without running atexit."""

        async def watched(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await anyio.to_thread.run_sync(self._flush)
            elif message["type"] == "lifespan.startup.complete" and self._freezes_gc:
                # A full collection walks all that an application consists of, 20 to 40 ms, to find nothing.
                gc.collect()
                gc.freeze()
            await send(message)

        return watched

    def _is_contrib(self, app: Application) -> bool:
        """Tell whether contrib observes this call, and make it so when it was asked for."""
        span = trace.get_current_span()
        if isinstance(span, ReadableSpan) and span.kind is SpanKind.SERVER:
            scope = span.instrumentation_scope
            if scope is not None and scope.name.startswith(_CONTRIB_SCOPE):
                return True
        known, is_contrib = self._contrib.get(app, (None, False))
        if known is None or known is not app.middleware_stack:
            is_contrib = self._look_at(app)
        return is_contrib

    def _look_at(self, app: Application) -> bool:
        if app.middleware_stack is None:
            app.middleware_stack = app.build_middleware_stack()
        is_contrib = _holds_contrib(app.middleware_stack)
        if self._observer is None and not is_contrib:
            instrument_with_contrib(app, self._excluded_paths | MOUNTED_PATHS)
            app.middleware_stack = app.build_middleware_stack()
            is_contrib = True
        self._contrib[app] = (app.middleware_stack, is_contrib)
        return is_contrib


def wrap(module: str, name: str, gate: ApplicationGate) -> None:
    """Send every call of an application class through the gate.

    Args:
        module: Where the class is defined, which has been imported.
        name: The class.
        gate: Who decides.
    """
    kind = getattr(sys.modules[module], name)
    original = kind.__call__

    @functools.wraps(original)
    async def __call__(self: Application, scope: Scope, receive: Receive, send: Send) -> None:
        await gate.serve(functools.partial(original, self), self, scope, receive, send)

    kind.__call__ = __call__


def has_contrib() -> bool:
    """Tell whether contrib's FastAPI instrumentation is installed; not by an import, FastAPI may be half imported."""
    try:
        return find_spec("opentelemetry.instrumentation.fastapi") is not None
    except ModuleNotFoundError:
        return False


def instrument_with_contrib(app: Application, excluded_paths: frozenset[str]) -> None:
    """Let contrib instrument an application, without the two spans that it makes of every message."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    excluded = ",".join(f"{re.escape(path)}/?$" for path in sorted(excluded_paths))
    FastAPIInstrumentor.instrument_app(app, excluded_urls=excluded, exclude_spans=["receive", "send"])


def _holds_contrib(stack: object) -> bool:
    """Walk a middleware stack and look for contrib's middleware: its flag on the application may be wrong."""
    seen: set[int] = set()
    while stack is not None and id(stack) not in seen:
        seen.add(id(stack))
        if (type(stack).__module__, type(stack).__name__) == _CONTRIB_MIDDLEWARE:
            return True
        stack = getattr(stack, "app", None)
    return False
