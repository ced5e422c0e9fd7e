"""The application within reach of a test: called directly, or behind a real server in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from sloburn.duration import SECOND
from sloburn.outputs.board import Board
from sloburn.outputs.web import page_app
from sloburn.sli.status import Snapshot
from tests.processor import READY_SECONDS, wait_until


@dataclass(frozen=True, slots=True)
class Direct:
    """Calls an application without a network."""

    app: Starlette

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Return the answer, its body inflated."""
        return self.call("GET", path, **options)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to any method."""
        return asyncio.run(self._call(method, path, options))

    def bytes_on_the_wire(self, path: str) -> bytes:
        """Return the body as it travels to a browser."""
        return asyncio.run(self._raw(path))

    def _client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://sloburn.test")

    async def _call(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        async with self._client() as client:
            return await client.request(method, path, **options)

    async def _raw(self, path: str) -> bytes:
        async with self._client() as client, client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            return b"".join([piece async for piece in answer.aiter_raw()])


class Served:
    """A page behind a real server, on a port of its own.

    Args:
        board: What it shows.
        options: For `page_app`.
    """

    def __init__(self, board: Board, **options: Any) -> None:
        config = uvicorn.Config(page_app(board, **options), host="127.0.0.1", port=0, log_level="error", lifespan="off")
        self.board = board
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._next: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="served-page")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._thread.start()
        wait_until(lambda: self._server.started, "the page is served")

    @property
    def url(self) -> str:
        """Its address."""
        (sock,) = self._server.servers[0].sockets
        return f"http://127.0.0.1:{sock.getsockname()[1]}"

    def publish(self, snapshot: Snapshot) -> None:
        """Hang up a snapshot, in the server's thread as an engine would."""
        self._loop.call_soon_threadsafe(self.board.publish, snapshot)

    def play(self, snapshot: Snapshot) -> None:
        """Hang up a snapshot again and again, each time a second later, as an engine does; until the next one."""
        self._loop.call_soon_threadsafe(self._play, snapshot)

    def _play(self, snapshot: Snapshot) -> None:
        if self._next is not None:
            self._next.cancel()
        self.board.publish(snapshot)
        later = replace(snapshot, at_unix_nano=snapshot.at_unix_nano + SECOND)
        self._next = self._loop.call_later(1, self._play, later)

    def close(self) -> None:
        """Close the board: every stream ends."""
        self._loop.call_soon_threadsafe(self.board.close)

    def stop(self) -> None:
        """Stop the server; streams that are still open would hold it up."""
        if self._thread.is_alive():
            self.close()
            self._server.should_exit = True
        self._thread.join(timeout=READY_SECONDS)
        assert not self._thread.is_alive()


@contextmanager
def served(snapshot: Snapshot | None = None, **options: Any) -> Iterator[Served]:
    """Serve a snapshot while a test runs."""
    server = Served(Board(), **options)
    server.start()
    try:
        if snapshot is not None:
            server.publish(snapshot)
            wait_until(lambda: server.board.latest is not None, "the first snapshot hangs")
        yield server
    finally:
        server.stop()
