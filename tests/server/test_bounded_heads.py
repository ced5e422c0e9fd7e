"""Heads and trailers without an end."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sloburn.server.config import Address
from sloburn.server.listeners import HttpServer, bind

_HEAD = b"POST / HTTP/1.1\r\nHost: here\r\n"


async def size_of_body(request: Request) -> PlainTextResponse:
    """Answer with how many bytes came."""
    return PlainTextResponse(str(len(await request.body())))


async def asked(pieces: list[bytes]) -> bytes:
    """Send pieces to a server until it closes; return all that it says."""
    sock = bind(Address("127.0.0.1", 0), "listen")
    server = HttpServer(Starlette(routes=[Route("/", size_of_body, methods=["POST"])]))
    running = asyncio.create_task(server.serve(sockets=[sock]))
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    said = asyncio.create_task(reader.read())
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass  # it has closed already
    try:
        return await asyncio.wait_for(said, 60)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        await asyncio.wait_for(server.stop(running), 60)


@pytest.mark.parametrize(
    "endless",
    [
        [_HEAD + b"X: ", *[b"a" * 65536] * 400],
        [_HEAD, *[b"X: 1\r\n" * 10_000] * 400],
        [b"POST /", *[b"a" * 65536] * 400],
        [_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", *[b"X: 1\r\n" * 10_000] * 400],
    ],
    ids=["header", "headers", "line", "trailers"],
)
def test_no_head_grows_without_an_end(endless: list[bytes]) -> None:
    """The connection ends long before all of it is taken, without the answer of a request that was served."""
    assert b"200 OK" not in asyncio.run(asked(endless))


def test_a_head_that_is_large_enough_and_a_body_that_is_larger() -> None:
    """What has a length passes, in whatever pieces it comes."""
    head = _HEAD + b"X: " + b"a" * 30_000 + b"\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n"
    answer = asyncio.run(asked([head[:100], head[100:], *[b"b" * 100_000] * 10]))
    assert (answer[:15], answer[-7:]) == (b"HTTP/1.1 200 OK", b"1000000")
