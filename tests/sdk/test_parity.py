"""What our instrumentation says about a request, and what contrib's says with the stable conventions: the same."""

from __future__ import annotations

import json

import pytest

from tests.sdk.collector import Collector, SeenSpan
from tests.sdk.processes import succeed

_SERVER = 2

# Each request of the corpus: method, path, headers, HTTP version.
_CORPUS = [
    ("GET", "/plain", {}, "1.1"),
    ("GET", "/items/5", {"user-agent": "corpus/1"}, "1.1"),
    ("GET", "/items/5?a=1&b=%20x&sig=secret", {"host": "shop.example:8443"}, "2"),
    ("GET", "/items/not-a-number", {}, "1.1"),
    ("HEAD", "/plain", {}, "1.0"),
    ("POST", "/items", {"content-length": "0"}, "1.1"),
    ("PUT", "/plain", {}, "1.1"),
    ("OPTIONS", "/plain", {}, "1.1"),
    ("DELETE", "/api/v1/things/a/b", {}, "1.1"),
    ("GET", "/nowhere", {}, "1.1"),
    ("GET", "/redirect", {}, "1.1"),
    ("GET", "/stream", {}, "1.1"),
    ("GET", "/teapot", {}, "1.1"),
    ("GET", "/unavailable", {}, "1.1"),
    ("GET", "/boom", {}, "1.1"),
    ("GET", "/plain", {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "1.1"),
    ("GET", "/items/5", {"host": "[::1]:8000"}, "1.1"),
    ("GET", "/%C3%A9t%C3%A9", {}, "1.1"),
    ("BREW", "/plain", {}, "1.1"),
]

_SERVE = """
import asyncio, json, sys
from sloburn import init_telemetry
telemetry = init_telemetry(fastapi=sys.argv[2], libraries=False)
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import RedirectResponse, StreamingResponse
app, router = FastAPI(), APIRouter(prefix="/api/v1")

@app.get("/plain")
@app.head("/plain")
async def plain(): return 1
@app.get("/items/{item_id}")
async def read(item_id: int): return item_id
@app.post("/items", status_code=201)
async def create(): return 1
@router.delete("/things/{rest:path}")
async def remove(rest: str): return rest
@app.get("/redirect")
async def redirect(): return RedirectResponse("/plain")
@app.get("/stream")
async def stream(): return StreamingResponse(iter(["a", "b"]))
@app.get("/teapot")
async def teapot(): raise HTTPException(418)
@app.get("/unavailable")
async def unavailable(): raise HTTPException(503)
@app.get("/boom")
async def boom(): raise RuntimeError("kaput")
app.include_router(router)

def receiver():
    left = [{"type": "http.request", "body": b"", "more_body": False}]
    async def receive():
        return left.pop() if left else await asyncio.Event().wait()
    return receive
async def send(message): pass

async def main():
    for method, target, headers, version in json.loads(sys.argv[3]):
        path, _, query = target.partition("?")
        from urllib.parse import unquote
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": version, "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in ({"host": "shop.example"} | headers).items()],
            "client": ("10.0.0.9", 5000), "server": ("10.0.0.1", 8000), "state": {},
        }
        try: await app(scope, receiver(), send)
        except RuntimeError: pass
asyncio.run(main())
"""


def served_by(who: str) -> Collector:
    """Serve the corpus, instrumented by somebody, in a process of its own."""
    with Collector() as collector:
        variables = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
        succeed(_SERVE.replace("init_telemetry(", "init_telemetry(endpoint=sys.argv[1], "), collector.endpoint, who,
                json.dumps(_CORPUS), extra=variables)  # fmt: skip
    return collector


@pytest.fixture(scope="module")
def ours() -> Collector:
    """What arrived from our instrumentation."""
    return served_by("own")


@pytest.fixture(scope="module")
def theirs() -> Collector:
    """What arrived from contrib's."""
    return served_by("contrib")


def servers(collector: Collector) -> list[SeenSpan]:
    """Return the server spans in the order of their requests."""
    return [span for span in collector.arrivals.spans if span.kind == _SERVER]


@pytest.mark.parametrize("number", range(len(_CORPUS)), ids=[f"{method} {path}" for method, path, _, _ in _CORPUS])
def test_span(ours: Collector, theirs: Collector, number: int) -> None:
    """Name, status, parent and attributes of a server span equal contrib's."""
    mine, other = servers(ours)[number], servers(theirs)[number]
    assert comparable(mine.attributes) == corrected(comparable(other.attributes), number)
    assert (mine.name, mine.status, mine.parent_id) == (other.name, other.status, other.parent_id)


def comparable(attributes: dict[str, object]) -> dict[str, object]:
    """Return attributes without the secret that both hide, each in its own way."""
    query = attributes.get("url.query")
    return attributes | ({"url.query": str(query).partition("sig=")[0]} if query else {})


def corrected(attributes: dict[str, object], number: int) -> dict[str, object]:
    """Return contrib's attributes with what is right where contrib is not."""
    host = {"host": "shop.example"} | _CORPUS[number][2]
    return attributes | _SERVER_OF[host["host"]]


# contrib puts the whole host header into server.address and the socket's port beside it; the specification wants host
# and port of the header (server.address "SHOULD be the server domain name ... without a port").
_SERVER_OF: dict[str, dict[str, object]] = {
    "shop.example": {"server.address": "shop.example", "server.port": 80},
    "shop.example:8443": {"server.address": "shop.example", "server.port": 8443},
    "[::1]:8000": {"server.address": "::1", "server.port": 8000},
}


def test_exactly_one_instruments(ours: Collector, theirs: Collector) -> None:
    """Each request is one server span, and nothing beside it."""
    assert len(ours.arrivals.spans) == len(servers(ours)) == len(servers(theirs)) == len(_CORPUS)


def test_durations(ours: Collector, theirs: Collector) -> None:
    """The request durations have the same streams with the same counts as contrib's."""

    def streams(collector: Collector) -> dict[str, float]:
        name = "http.server.request.duration"
        points = [point for point in collector.arrivals.points.values() if point.name == name]
        return {json.dumps(point.attributes, sort_keys=True): point.value for point in points}

    assert streams(ours) == streams(theirs)
