"""The correlation id of a request: accepted, made, returned, in logs, in baggage, and what streams and sockets do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context

from sloburn.sdk.integrations.request_id import BAGGAGE_KEY, choose, into_context
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_SERVE = """
import asyncio, json, sys
import httpx
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], libraries=False{settings})
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from opentelemetry import baggage
app, log = FastAPI(), get_logger("app")
@app.get("/")
async def read():
    log.info("reading")
    return {{"baggage": baggage.get_baggage("request.id")}}
@app.get("/own")
async def own(): return PlainTextResponse("", headers={{"x-request-id": "own"}})
@app.get("/stream")
async def stream():
    async def parts():
        yield "a"
        log.info("streaming")
        yield "b"
    return StreamingResponse(parts())
async def ask(path, headers):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get(path, headers=headers)
        return answer.headers.get_list("x-request-id"), answer.text
path, headers = json.loads(sys.argv[2])
print("ANSWER" + json.dumps(asyncio.run(ask(path, headers))))
"""


def serve(path: str, headers: Mapping[str, str], settings: str = "") -> tuple[list[str], str, list[dict[str, Any]]]:
    """Serve one request; return the ids in its answer, its text and the log lines."""
    with Collector() as collector:
        done = succeed(_SERVE.format(settings=settings), collector.endpoint, json.dumps([path, headers]))
    (answer,) = [line.removeprefix("ANSWER") for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    ids, text = json.loads(answer)
    return ids, text, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def line_of(lines: list[dict[str, Any]], event: str) -> dict[str, Any]:
    """Return the one line of an event."""
    (line,) = [line for line in lines if line["event"] == event]
    return line


def test_id_of_the_client() -> None:
    """The client's id is returned, is in the logs, and is in baggage."""
    ids, text, lines = serve("/", {"X-Request-ID": "client-1"})
    assert (ids, json.loads(text)) == (["client-1"], {"baggage": "client-1"})
    assert line_of(lines, "reading")["request_id"] == "client-1"


def test_id_of_our_own() -> None:
    """Without an id, or with one that could forge a log line, one is made."""
    for headers in ({}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 200}):
        ids, _, lines = serve("/", headers)
        assert len(ids[0]) == 32
        assert line_of(lines, "reading")["request_id"] == ids[0]


def test_id_that_came_by_baggage() -> None:
    """An id that another service has put into baggage is used."""
    assert serve("/", {"baggage": "request.id=from-afar,other=1"})[0] == ["from-afar"]


def test_id_of_the_application() -> None:
    """An id that the application returns itself is the only one in the answer."""
    assert serve("/own", {})[0] == ["own"]


def test_id_in_a_stream() -> None:
    """What is logged while an answer streams carries the id too."""
    ids, text, lines = serve("/stream", {})
    assert (text, line_of(lines, "streaming")["request_id"]) == ("ab", ids[0])


@pytest.mark.parametrize("settings", [", request_id_header='none'"])
def test_no_ids(settings: str) -> None:
    """Where they are not wanted there are none."""
    ids, text, lines = serve("/", {"X-Request-ID": "client-1"}, settings)
    assert (ids, json.loads(text)) == ([], {"baggage": None})
    assert "request_id" not in line_of(lines, "reading")


def test_other_header() -> None:
    """The header may have another name."""
    with Collector() as collector:
        code = _SERVE.format(settings=", request_id_header='X-Correlation-ID'").replace(
            "x-request-id", "x-correlation-id"
        )
        done = succeed(code, collector.endpoint, json.dumps(["/", {"x-correlation-id": "c"}]))
    assert 'ANSWER[["c"]' in done.stdout


def test_choice() -> None:
    """Header before baggage before a new one, each only when it is sane; two new ones differ."""
    context = into_context("b", Context())
    assert baggage.get_baggage(BAGGAGE_KEY, context) == "b"
    assert choose("h", context) == "h"
    assert choose("h\nforged", context) == choose(None, context) == "b"
    assert choose(None, into_context("no good", Context())) != choose(None, Context())


_RAW = """
import asyncio, sys
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1])
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
async def endless(request):
    async def parts():
        while True:
            yield b"x"
            await asyncio.sleep(0.01)
    return StreamingResponse(parts())
async def socket(websocket):
    await websocket.accept()
    raise RuntimeError("kaput")
app = Starlette(routes=[Route("/endless", endless), WebSocketRoute("/socket/{room}", socket)])
def scope(kind, path):
    return {"type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
            "client": None, "server": None, "subprotocols": []}
"""


def test_client_that_leaves_a_stream() -> None:
    """A client that leaves in the middle of a stream ends the span, without an error."""
    code = """
async def main():
    sent = 0
    async def receive():
        while sent < 3: await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}
    async def send(message):
        nonlocal sent
        sent += 1
    await app(scope("http", "/endless"), receive, send)
asyncio.run(main())
"""
    with Collector() as collector:
        succeed(_RAW + code, collector.endpoint)
        span = collector.span("GET /endless")
        assert (span.status, span.attributes["http.response.status_code"]) == (0, 200)
        assert collector.total("http.server.request.duration") == 1


def test_task_that_is_cancelled() -> None:
    """A request whose task is cancelled while it is served, as at a hard stop, still ends its span."""
    code = """
async def main():
    async def receive(): await asyncio.Event().wait()
    async def send(message): pass
    task = asyncio.create_task(app(scope("http", "/endless"), receive, send))
    await asyncio.sleep(0.1)
    task.cancel()
    try: await task
    except asyncio.CancelledError: pass
asyncio.run(main())
"""
    with Collector() as collector:
        succeed(_RAW + code, collector.endpoint)
        assert "CancelledError" in collector.span("GET /endless").attributes["error.type"]


def test_socket_that_fails() -> None:
    """A WebSocket whose handler fails is one span with the exception."""
    code = """
async def main():
    left = [{"type": "websocket.connect"}]
    async def receive(): return left.pop() if left else await asyncio.Event().wait()
    async def send(message): pass
    try: await app(scope("websocket", "/socket/lobby"), receive, send)
    except RuntimeError: pass
asyncio.run(main())
"""
    with Collector() as collector:
        succeed(_RAW + code, collector.endpoint)
        span = collector.span("GET /socket/{room}")
    assert (span.status, [name for name, _ in span.events]) == (2, ["exception"])


def test_paths_left_out_leave_nothing() -> None:
    """Excluded paths have neither span nor metric nor id, with a slash at the end or without."""
    for path in ("/health", "/health/", "/metrics", "/livez/"):
        with Collector() as collector:
            done = succeed(_SERVE.format(settings=""), collector.endpoint, json.dumps([path, {}]))
            assert collector.arrivals.spans == []
            assert collector.total("http.server.request.duration") == 0
        assert "ANSWER[[]" in done.stdout
