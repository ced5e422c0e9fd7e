"""One server span and two metrics per request, for any ASGI application.

A lean path of our own instead of contrib's middleware or FastAPI's telemetry: as they come, those emit three and four
spans per request and cost more (bench/sdk_cost.py measures how much), and contrib's speaks the stable conventions only
after a variable was written to the environment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from opentelemetry import context, propagate
from opentelemetry.trace import SpanKind, Tracer

from sloburn.sdk.config import TelemetryConfig
from sloburn.sdk.exclusion import FORGET, MOUNTED_PATHS
from sloburn.sdk.integrations.asgi_scope import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    method_of,
    read_headers,
    route_of,
    span_attributes,
    wanted_headers,
)
from sloburn.sdk.integrations.asgi_socket import Connection
from sloburn.sdk.integrations.http_metrics import HttpServerMetrics
from sloburn.sdk.integrations.presence import Presence, with_header
from sloburn.sdk.integrations.span_failure import record_error, set_failed
from sloburn.sdk.log_errors import remember_ids, type_name

_Observed = TypeVar("_Observed")

logger = logging.getLogger("sloburn")


class RequestObserver:
    """Follows requests through an application.

    Args:
        tracer: Starts the spans.
        metrics: Gets the durations.
        config: Says which paths are let through unseen and which header carries the correlation id.
    """

    def __init__(self, *, tracer: Tracer, metrics: HttpServerMetrics, config: TelemetryConfig) -> None:
        self.tracer = tracer
        self.metrics = metrics
        self._propagated = frozenset(name.lower() for name in propagate.get_global_textmap().fields)
        self._has_failed = False
        self.reconfigure(config)

    def reconfigure(self, config: TelemetryConfig) -> None:
        """Go on under other settings."""
        self._excluded_paths = config.excluded_paths
        self.request_id_header = config.web.request_id_header
        self.wanted_headers = wanted_headers(self._propagated | {self.request_id_header})

    def excludes(self, scope: Scope) -> bool:
        """Tell whether a request is let through unseen."""
        path = scope.get("path", "")
        if path.endswith("/"):
            path = path.rstrip("/") or "/"
        if path in self._excluded_paths or path in MOUNTED_PATHS:
            return True
        prefix: str = scope.get("root_path") or ""
        return bool(prefix) and path.startswith(prefix) and path[len(prefix) :] in self._excluded_paths

    def parent_of(self, headers: dict[str, str]) -> context.Context:
        """Return the context that the request came with."""
        if self._propagated.isdisjoint(headers):
            return context.get_current()
        return propagate.extract(headers)

    async def http(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request under a span, with metrics."""
        exchange = self._begin(Exchange, scope)
        if exchange is None:
            await app(scope, receive, send)
            return
        scope[FORGET] = exchange.forget
        await self._follow(exchange, app, scope, receive, send)

    async def websocket(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket connection under a span that lasts as long as the connection."""
        connection = self._begin(Connection, scope)
        if connection is None:
            await app(scope, receive, send)
            return
        await self._follow(connection, app, scope, receive, send)

    async def _follow(
        self, observed: Exchange | Connection, app: App, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the application serve, and end what is observed."""
        try:
            await app(scope, observed.watch_receive(receive), observed.watch_send(send))
        except BaseException as error:
            self._end(observed, error)
            raise
        self._end(observed, None)

    def _end(self, observed: Exchange | Connection, error: BaseException | None) -> None:
        """End what is observed; raises nothing of ours, as that would hide the application's exception."""
        try:
            observed.end(error)
        finally:  # what an exception says of itself may be one that ends a task
            self._leave(observed, error)

    def _leave(self, observed: Exchange | Connection, error: BaseException | None) -> None:
        """Put back what was current."""
        try:
            observed.presence.leave()
            if error is not None:
                remember_ids(error, observed.presence.ids())
        except Exception as failure:
            self.note_failure(failure)

    def _begin(self, kind: Callable[[RequestObserver, Scope], _Observed], scope: Scope) -> _Observed | None:
        """Begin to observe a request; one that cannot be observed is served all the same."""
        try:
            return kind(self, scope)
        except Exception as error:
            self.note_failure(error)
            return None

    def note_failure(self, error: Exception) -> None:
        """Say once that requests are not fully observed."""
        if not self._has_failed:
            self._has_failed = True
            logger.warning("requests are not fully observed: %s: %s", type(error).__name__, error)


class Exchange:
    """One HTTP request and its response.

    Args:
        observer: Whose it is.
        scope: The request.
    """

    def __init__(self, observer: RequestObserver, scope: Scope) -> None:
        self._observer = observer
        self._scope = scope
        self._method = method_of(scope)
        self._scheme = scope.get("scheme", "http")
        self._status: int | None = None
        self._has_client_left = False
        self._responded: tuple[float, int] | None = None
        self._is_over = False
        headers = read_headers(scope, observer.wanted_headers)
        parent = observer.parent_of(headers)
        self._started = time.perf_counter()
        self._span = observer.tracer.start_span(
            self._method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes=span_attributes(scope, headers, self._method),
        )
        observer.metrics.begin(self._method, self._scheme)
        try:
            self.presence = Presence(self._span, parent, headers, observer.request_id_header)
        except BaseException:
            # Nobody will end a request that is served unseen.
            observer.metrics.end(self._method, self._scheme)
            raise

    def forget(self) -> None:
        """Leave no span and no duration: a page of ours answers. A span that never ends is never sent."""
        if not self._is_over:
            self._is_over = True
            self._observer.metrics.end(self._method, self._scheme)

    def watch_receive(self, receive: Receive) -> Receive:
        """Notice that the client has left."""

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._has_client_left = True
            return message

        return watched

    def watch_send(self, send: Send) -> Send:
        """Notice the status and the end of the response, and return the correlation id."""

        async def watched(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                self._status = message["status"]
                await send(self._with_id(message))
                return
            await send(message)
            if kind == "http.response.body" and not message.get("more_body", False):
                self._finish_response()

        return watched

    def _with_id(self, message: Message) -> Message:
        """Return the head of the response with the correlation id; as it is when that fails."""
        try:
            return with_header(message, self.presence)
        except Exception as failure:
            self._observer.note_failure(failure)
            return message

    def _finish_response(self) -> None:
        """End the request with its last byte: background tasks are not part of it.

        After a server error the exception that caused it is still to come: Starlette answers first and raises then.
        """
        self._responded = self._responded or (time.perf_counter(), time.time_ns())
        if self._status is not None and self._status < 500:
            self.end(None)

    def end(self, error: BaseException | None) -> None:
        """End the span and record the duration, once; never raises."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._end(error)
        except Exception as failure:
            self._observer.note_failure(failure)

    def _end(self, error: BaseException | None) -> None:
        finished, finished_unix_nano = self._responded or (time.perf_counter(), time.time_ns())
        if self._has_client_left and isinstance(error, asyncio.CancelledError):
            error = None
        try:
            self._observer.metrics.end(self._method, self._scheme)
            outcome = self._outcome(error)
            self._describe(error, outcome)
            # Before the span ends: an exemplar marks only what is recorded still.
            self._record(finished - self._started, outcome)
        finally:
            self._span.end(finished_unix_nano)

    def _record(self, seconds: float, outcome: Mapping[str, str | int]) -> None:
        labels: dict[str, str | int] = {"http.request.method": self._method, "url.scheme": self._scheme, **outcome}
        if self._scope.get("http_version"):
            labels["network.protocol.version"] = self._scope["http_version"]
        self._observer.metrics.record(seconds, labels, self.presence.context)

    def _outcome(self, error: BaseException | None) -> dict[str, str | int]:
        route, status = route_of(self._scope), self._status
        outcome: dict[str, str | int] = {"http.route": route} if route is not None else {}
        if status is not None:
            outcome["http.response.status_code"] = status
        if status is not None and status >= 500:
            # As contrib does; the exception's type is in the span's event.
            outcome["error.type"] = str(status)
        elif error is not None:
            outcome["error.type"] = type_name(error)
        elif status is None and not self._has_client_left:
            outcome["error.type"] = "no_response"
        return outcome

    def _describe(self, error: BaseException | None, outcome: dict[str, str | int]) -> None:
        span = self._span
        if not span.is_recording():
            return
        span.set_attributes(outcome)
        if "http.route" in outcome or self._method == "_OTHER":
            span.update_name(_span_name(self._method, outcome.get("http.route")))
        if error is not None:
            record_error(span, error)
        if "error.type" in outcome:
            set_failed(span, error)


def _span_name(method: str, route: object) -> str:
    verb = "HTTP" if method == "_OTHER" else method
    return f"{verb} {route}" if route else verb
