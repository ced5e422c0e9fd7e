"""The processor's HTTP servers: how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from sloburn.server import listeners
from sloburn.server.config import Address
from sloburn.server.listeners import HttpServer, bind, bound_to


async def endless(_: Request) -> StreamingResponse:
    """Answer with more than any buffer between us holds."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1024 * 1024)

    return StreamingResponse(body())


async def stopped_with_a_stuck_reader() -> None:
    """Serve a client that reads nothing, then stop."""
    sock = bind(Address("127.0.0.1", 0), "listen")
    server = HttpServer(Starlette(routes=[Route("/", endless)]))
    running = asyncio.create_task(server.serve(sockets=[sock]))
    reader, writer = await asyncio.open_connection(*sock.getsockname(), limit=1)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    assert await reader.readexactly(8) == b"HTTP/1.1"
    await asyncio.wait_for(server.stop(running), 60)
    writer.close()


def test_who_does_not_read_is_cut_off_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that is stuck holds up the end no longer than the grace, and one line says that it was cut off."""
    monkeypatch.setattr(listeners, "GRACE_SECONDS", 1)
    asyncio.run(stopped_with_a_stuck_reader())
    assert caplog.messages == ["Cancel 1 running task(s), timeout graceful shutdown exceeded"]


def test_a_port_that_was_left_to_choose_is_told() -> None:
    """Port 0 takes any free one, and where that is can be asked."""
    with bind(Address("127.0.0.1", 0), "listen") as sock:
        assert bound_to(sock) == Address("127.0.0.1", sock.getsockname()[1])
