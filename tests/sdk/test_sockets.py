"""WebSockets: one span each, whatever the handshake is answered with and whoever leaves first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sdk.collector import Collector, SeenSpan
from tests.sdk.processes import Finished, succeed

_ERROR = 2
_SERVE = """
import asyncio, json, sys
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], libraries=False)
from fastapi import FastAPI, WebSocket, WebSocketException
from opentelemetry import baggage
from starlette.responses import PlainTextResponse
app, log = FastAPI(), get_logger("app")
@app.websocket("/echo/{room}")
async def echo(socket: WebSocket, room: str):
    await socket.accept(headers=[(b"x-own", b"1")])
    log.info("accepted", room=room, baggage=baggage.get_baggage("request.id"))
    while True:
        text = await socket.receive_text()
        if text == "boom": raise RuntimeError("kaput")
        if text == "bye": return await socket.close(4001)
        await socket.send_text(text)
@app.websocket("/refuse")
async def refuse(socket: WebSocket): raise WebSocketException(1008)
@app.websocket("/full")
async def full(socket: WebSocket): await socket.send_denial_response(PlainTextResponse("full", 503))
@app.websocket("/early")
async def early(socket: WebSocket): raise RuntimeError("kaput")
@app.websocket("/deaf")
async def deaf(socket: WebSocket):
    await socket.accept()
    while True: await socket.send_text("x")

sent = []
async def visit(path, words, is_lost):
    left = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": word} for word in words)]
    async def receive():
        return left.pop(0) if left else {"type": "websocket.disconnect", "code": 1001}
    async def send(message):
        if is_lost and message["type"] == "websocket.send": raise OSError("the client is gone")
        headers = [[name.decode(), value.decode()] for name, value in message.get("headers", ())]
        sent.append({"type": message["type"], "headers": headers})
    scope = {"type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
             "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"x-request-id", b"r-1")],
             "client": None, "server": None, "subprotocols": [], "extensions": {"websocket.http.response": {}}}
    try: await app(scope, receive, send)
    except Exception as error: sent.append({"type": type(error).__name__})
asyncio.run(visit(sys.argv[2], json.loads(sys.argv[3]), len(sys.argv) > 4))
print("SENT" + json.dumps(sent))
"""


def visit(path: str, *words: str, is_lost: bool = False) -> tuple[SeenSpan, Finished]:
    """Open a connection, say something and leave; return its span and what was printed."""
    with Collector() as collector:
        done = succeed(_SERVE, collector.endpoint, path, json.dumps(words), *(["lost"] if is_lost else []))
        (span,) = collector.arrivals.spans
    return span, done


def sent_by(done: Finished) -> list[dict[str, Any]]:
    """Return what the application sent, and the exception that its server saw."""
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("SENT")]
    sent: list[dict[str, Any]] = json.loads(line.removeprefix("SENT"))
    return sent


@pytest.mark.parametrize(
    ("path", "words", "is_lost", "status"),
    [
        ("/echo/a", ["hi", "bye"], False, 101),
        ("/echo/a", ["hi"], False, 101),
        ("/deaf", [], True, 101),
        ("/refuse", [], False, 403),
    ],
    ids=["server closes", "client leaves", "client is gone", "refused"],
)
def test_connection_that_ends_well(path: str, words: list[str], is_lost: bool, status: int) -> None:
    """A client that leaves, heard or unheard, is as little a failure of the service as one that is refused."""
    span, _ = visit(path, *words, is_lost=is_lost)
    assert (span.status, span.events, span.attributes.get("error.type")) == (0, [], None)
    assert (span.name, span.attributes["http.response.status_code"]) == (f"GET {span.attributes['http.route']}", status)


@pytest.mark.parametrize(
    ("path", "words", "status", "error", "events"),
    [
        ("/echo/a", ["boom"], 101, "RuntimeError", ["exception"]),
        ("/early", [], None, "RuntimeError", ["exception"]),
        ("/full", [], 503, "503", []),
    ],
    ids=["handler fails", "fails before the handshake", "denied by a server error"],
)
def test_connection_that_fails(path: str, words: list[str], status: int | None, error: str, events: list[str]) -> None:
    """A handler that fails, or a handshake that is answered with a server error, is an error with its type."""
    span, _ = visit(path, *words)
    assert (span.status, [name for name, _ in span.events], span.attributes["error.type"]) == (_ERROR, events, error)
    assert span.attributes.get("http.response.status_code") == status


def test_correlation_id_of_a_connection() -> None:
    """The id comes back with the handshake, is in the log lines of the connection and in its baggage."""
    span, done = visit("/echo/a", "bye")
    assert sent_by(done) == [
        {"type": "websocket.accept", "headers": [["x-own", "1"], ["x-request-id", "r-1"]]},
        {"type": "websocket.close", "headers": []},
    ]
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if '"accepted"' in line]
    assert (line["request_id"], line["baggage"], line["trace_id"]) == ("r-1", "r-1", span.trace_id)
