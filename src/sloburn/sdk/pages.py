"""Answer a few paths over HTTP: inside an ASGI application, or on a small server of our own in workers without one."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from opentelemetry import context

from sloburn.sdk.exclusion import FORGET, MOUNTED_PATHS

logger = logging.getLogger("sloburn")

_SLOWEST_CLIENT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client gets.

    Args:
        status: HTTP status.
        content_type: Of the body.
        body: The body.
        encoding: How the body is packed; empty when it is not.
    """

    status: int = 200
    content_type: str
    body: bytes
    encoding: str = ""

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers; what is asked for here is never the same twice."""
        encoding = [("content-encoding", self.encoding)] if self.encoding else []
        length = str(len(self.body))
        return [
            ("content-type", self.content_type),
            ("content-length", length),
            ("cache-control", "no-store"),
            ("vary", "accept, accept-encoding"),
            *encoding,
        ]


class Page(Protocol):
    """Makes answers; never raises."""

    async def __call__(self, headers: Mapping[str, str]) -> Answer:
        """Answer within the event loop that serves."""
        ...

    def answer(self, headers: Mapping[str, str]) -> Answer:
        """Answer without an event loop."""
        ...


def json_answer(document: object, status: int = 200) -> Answer:
    """Return a document as JSON."""
    body = json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
    return Answer(status=status, content_type="application/json", body=body)


# Starlette's own: says whether a route is meant, and what the scope gets when it is.
Matches = Callable[[Mapping[str, Any]], tuple[Enum, Any]]


class Application(Protocol):
    """What is asked of a FastAPI or Starlette application."""

    router: Any

    def add_route(self, path: str, route: Any, **options: Any) -> None:  # noqa: ANN401 - Starlette's own signature
        """Add a route."""
        ...


def mount(app: Application, pages: Mapping[str, Page]) -> None:
    """Let an application answer some paths, before any route of its own, and exclude them from telemetry.

    Args:
        app: FastAPI or Starlette.
        pages: What to answer, by path.
    """
    for path, page in pages.items():
        MOUNTED_PATHS.add(path)
        app.add_route(path, AsgiPage(page), methods=["GET", "HEAD"], include_in_schema=False)
        # A route that takes everything may have come before.
        routes = app.router.routes
        route = routes.pop()
        route.matches = _forgetting(route.matches)
        routes.insert(0, route)


def _forgetting(matches: Matches) -> Matches:
    """Let a route take what it matches out of telemetry: a router asks it, too, when it redirects to it."""

    def matches_unseen(scope: Mapping[str, Any]) -> tuple[Enum, Any]:
        match, child_scope = matches(scope)
        if match.name == "FULL" and (forget := scope.get(FORGET)):
            forget()
        return match, child_scope

    return matches_unseen


class AsgiPage:
    """One page as an ASGI application.

    Args:
        page: Makes the answer.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    async def __call__(self, scope: Mapping[str, Any], receive: object, send: Callable[..., Awaitable[None]]) -> None:  # noqa: ARG002
        """Answer one request, unseen."""
        if forget := scope.get(FORGET):
            forget()
        # What the page itself does, to look at a database for instance, is no part of a trace that is forgotten.
        token = context.attach(context.Context())
        try:
            await self._answer(scope, send)
        finally:
            context.detach(token)

    async def _answer(self, scope: Mapping[str, Any], send: Callable[..., Awaitable[None]]) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        answer = await self._page(headers)
        pairs = [(name.encode(), value.encode()) for name, value in answer.headers()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        body = b"" if scope.get("method") == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})


class PageServer:
    """Serves pages on a thread of its own, for processes without a web framework. Ends with the process.

    Args:
        pages: What to answer, by path.
        host: Where to listen.
        port: Where to listen; 0 takes a free one.

    Raises:
        OSError: The address cannot be used.
    """

    def __init__(self, pages: Mapping[str, Page], *, host: str, port: int) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(pages))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="sloburn-pages", daemon=True)
        self._thread.start()
        self._owner = os.getpid()
        if hasattr(os, "register_at_fork"):
            # A child that kept the socket would keep clients waiting that nobody answers.
            os.register_at_fork(after_in_child=self._server.socket.close)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop to listen."""
        if self._owner == os.getpid():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def serve(pages: Mapping[str, Page], *, host: str, port: int) -> PageServer | None:
    """Serve pages on a thread of its own; when the address cannot be used one line says so.

    Returns:
        The server; None when the address cannot be used.
    """
    try:
        return PageServer(pages, host=host, port=port)
    except OSError as error:
        logger.warning("%s cannot be served on %s:%d: %s", ", ".join(pages), host, port, error.strerror)
        return None


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SLOWEST_CLIENT_SECONDS

        def do_GET(self) -> None:
            answer = self._answer()
            self.send_response(answer.status)
            for name, value in answer.headers():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else answer.body)

        do_HEAD = do_GET

        def _answer(self) -> Answer:
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                return json_answer({"error": f"there is nothing here, try {', '.join(pages)}"}, 404)
            headers = {name.lower(): value for name, value in self.headers.items()}
            return page.answer(headers)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing: whoever watches asks every few seconds."""

    return Handler
