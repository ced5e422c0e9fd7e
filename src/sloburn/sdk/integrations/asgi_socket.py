"""One server span per WebSocket connection, from the handshake to the end."""

from __future__ import annotations

import asyncio
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Tracer

from sloburn.sdk.integrations.asgi_scope import (
    Message,
    Receive,
    Scope,
    Send,
    read_headers,
    route_of,
    span_attributes,
)
from sloburn.sdk.integrations.presence import Presence, with_header
from sloburn.sdk.integrations.span_failure import record_error, set_failed
from sloburn.sdk.log_errors import type_name

# What the handshake is answered with: RFC 6455, 4.2.2, and the ASGI specification for a close before it was accepted.
_SWITCHING_PROTOCOLS, _REFUSED = 101, 403


class Observer(Protocol):
    """Who watches connections."""

    tracer: Tracer
    wanted_headers: frozenset[bytes]
    request_id_header: str

    def parent_of(self, headers: dict[str, str]) -> Context:
        """Return the context that the handshake came with."""
        ...

    def note_failure(self, error: Exception) -> None:
        """Say that a connection is not fully observed."""
        ...


class Connection:
    """A WebSocket connection and how it ends.

    Args:
        observer: Whose it is.
        scope: The handshake.
    """

    def __init__(self, observer: Observer, scope: Scope) -> None:
        self._observer = observer
        self._scope = scope
        self._status: int | None = None
        self._has_client_left = False
        headers = read_headers(scope, observer.wanted_headers)
        parent = observer.parent_of(headers)
        self._span = observer.tracer.start_span(
            "GET", context=parent, kind=SpanKind.SERVER, attributes=span_attributes(scope, headers, "GET")
        )
        self.presence = Presence(self._span, parent, headers, observer.request_id_header)

    def watch_receive(self, receive: Receive) -> Receive:
        """Notice that the connection is over."""

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._has_client_left = True
            return message

        return watched

    def watch_send(self, send: Send) -> Send:
        """Notice the answer to the handshake, return the correlation id with it, and notice that nobody is there."""

        async def watched(message: Message) -> None:
            answer: int | None = None
            shown = message
            try:
                answer = self._answer(message)
                # A close has no headers.
                if answer is not None and message["type"] != "websocket.close":
                    shown = with_header(message, self.presence)
            except Exception as failure:
                self._observer.note_failure(failure)
            try:
                await send(shown)
            except OSError:
                self._has_client_left = True
                raise
            self._status = answer or self._status

        return watched

    def _answer(self, message: Message) -> int | None:
        """Return the status that a message answers the handshake with; None of one that does not."""
        if self._status is not None:
            return None
        if message["type"] == "websocket.http.response.start":
            return int(message["status"])
        return {"websocket.accept": _SWITCHING_PROTOCOLS, "websocket.close": _REFUSED}.get(message["type"])

    def end(self, error: BaseException | None) -> None:
        """End the span; never raises."""
        try:
            self._end(error)
        except Exception as failure:
            self._observer.note_failure(failure)

    def _end(self, error: BaseException | None) -> None:
        try:
            self._describe(None if self._has_client_left and _is_farewell(error) else error)
        finally:
            self._span.end()

    def _describe(self, error: BaseException | None) -> None:
        span, route, status = self._span, route_of(self._scope), self._status
        if route:
            span.update_name(f"GET {route}")
            span.set_attribute("http.route", route)
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if error is not None:
            record_error(span, error)
        error_type = self._error_type(error)
        if error_type:
            span.set_attribute("error.type", error_type)
            set_failed(span, error)

    def _error_type(self, error: BaseException | None) -> str:
        """Return why the connection failed; empty when it did not. Its server answers with 500 when nobody does."""
        if error is not None:
            return type_name(error)
        if self._status is None:
            return "" if self._has_client_left else "no_response"
        return str(self._status) if self._status >= 500 else ""


def _is_farewell(error: BaseException | None) -> bool:
    """Tell whether this is how an application is told that the client has left: no failure of the service."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_farewell, error.exceptions))
    return isinstance(error, (asyncio.CancelledError, OSError)) or type(error).__name__ == "WebSocketDisconnect"
