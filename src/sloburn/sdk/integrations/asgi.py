"""One server span and two metrics per request, for any ASGI application.

A lean path of our own instead of contrib's middleware or FastAPI's telemetry: those emit three and four spans per
request and cost three to four times as much (measured: 204-275 us and 131-215 us inline, against 69 us for one span and
one histogram), and contrib's speaks the stable conventions only after a variable was written to the environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Token
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from sloburn.sdk.integrations.asgi_scope import (
    Scope,
    method_of,
    read_headers,
    route_of,
    span_attributes,
    wanted_headers,
)
from sloburn.sdk.integrations.http_metrics import HttpServerMetrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestObserver:
    """Follows requests through an application.

    Args:
        tracer: Starts the spans.
        metrics: Gets the durations.
        excluded_paths: Paths that are let through unseen.
    """

    def __init__(self, *, tracer: Tracer, metrics: HttpServerMetrics, excluded_paths: frozenset[str]) -> None:
        self._tracer = tracer
        self._metrics = metrics
        self._excluded_paths = excluded_paths
        self._wanted_headers = wanted_headers()

    def excludes(self, scope: Scope) -> bool:
        """Tell whether a request is let through unseen."""
        return scope.get("path", "") in self._excluded_paths

    async def http(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request under a span, with metrics."""
        request = _Exchange(self._tracer, self._metrics, scope, self._wanted_headers)
        token = request.begin()
        try:
            await app(scope, request.watch_receive(receive), request.watch_send(send))
        except BaseException as error:
            request.end(error)
            raise
        finally:
            request.end(None)
            context.detach(token)

    async def websocket(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket connection under a span that lasts as long as the connection."""
        headers = read_headers(scope, self._wanted_headers)
        attributes = span_attributes(scope, headers, "GET")
        with self._tracer.start_as_current_span(
            "GET", context=propagate.extract(headers), kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            try:
                await app(scope, receive, send)
            finally:
                _name(span, "GET", route_of(scope))


class _Exchange:
    """One HTTP request and its response."""

    def __init__(self, tracer: Tracer, metrics: HttpServerMetrics, scope: Scope, wanted: frozenset[bytes]) -> None:
        self._metrics = metrics
        self._scope = scope
        self._method = method_of(scope)
        self._scheme = scope.get("scheme", "http")
        headers = read_headers(scope, wanted)
        self._parent = propagate.extract(headers)
        self._started = time.perf_counter()
        self._span = tracer.start_span(
            self._method,
            context=self._parent,
            kind=SpanKind.SERVER,
            attributes=span_attributes(scope, headers, self._method),
        )
        self._status: int | None = None
        self._has_client_left = False
        self._responded: tuple[float, int] | None = None
        self._is_over = False

    def begin(self) -> Token[context.Context]:
        """Make the span the current one."""
        self._metrics.begin(self._method, self._scheme)
        return context.attach(trace.set_span_in_context(self._span, self._parent))

    def watch_receive(self, receive: Receive) -> Receive:
        """Notice that the client has left."""

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._has_client_left = True
            return message

        return watched

    def watch_send(self, send: Send) -> Send:
        """Notice the status and the end of the response."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._finish_response()

        return watched

    def _finish_response(self) -> None:
        """End the request with its last byte: background tasks are not part of it.

        After a server error the exception that caused it is still to come: Starlette answers first and raises then.
        """
        self._responded = self._responded or (time.perf_counter(), time.time_ns())
        if self._status is not None and self._status < 500:
            self.end(None)

    def end(self, error: BaseException | None) -> None:
        """End the span and record the duration, once."""
        if self._is_over:
            return
        self._is_over = True
        finished, finished_unix_nano = self._responded or (time.perf_counter(), time.time_ns())
        if self._has_client_left and isinstance(error, asyncio.CancelledError):
            error = None
        outcome = self._outcome(error)
        self._close_span(error, outcome, finished_unix_nano)
        self._metrics.end(self._method, self._scheme)
        labels: dict[str, str | int] = {"http.request.method": self._method, "url.scheme": self._scheme, **outcome}
        if self._scope.get("http_version"):
            labels["network.protocol.version"] = self._scope["http_version"]
        self._metrics.record(finished - self._started, labels)

    def _outcome(self, error: BaseException | None) -> dict[str, str | int]:
        route = route_of(self._scope)
        outcome: dict[str, str | int] = {"http.route": route} if route is not None else {}
        if self._status is not None:
            outcome["http.response.status_code"] = self._status
        if error is not None:
            outcome["error.type"] = type_name(error)
        elif self._status is not None and self._status >= 500:
            outcome["error.type"] = str(self._status)
        elif self._status is None and not self._has_client_left:
            outcome["error.type"] = "no_response"
        return outcome

    def _close_span(self, error: BaseException | None, outcome: dict[str, str | int], end_time: int) -> None:
        span = self._span
        if span.is_recording():
            span.set_attributes(outcome)
            _name(span, self._method, outcome.get("http.route"))
            if error is not None:
                span.record_exception(error)
            if "error.type" in outcome:
                span.set_status(StatusCode.ERROR, str(error) if error is not None else None)
        span.end(end_time)


def _name(span: Span, method: str, route: object) -> None:
    verb = "HTTP" if method == "_OTHER" else method
    span.update_name(f"{verb} {route}" if route else verb)
    if route:
        span.set_attribute("http.route", str(route))


def type_name(error: BaseException) -> str:
    """Return an exception's type as ``error.type`` wants it: with its module, unless it is built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
