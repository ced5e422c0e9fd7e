"""FastAPI and Starlette: one span per request, metrics in seconds, logs once, nothing lost at the end."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from sloburn.sdk.integrations.http_metrics import DURATION_BOUNDARIES_SECONDS
from tests.sdk.collector import Arrivals, Collector, SeenSpan
from tests.sdk.processes import free_port, get, started, stop, succeed, wait_until

_SERVER = 2
_ERROR = 2
_REQUESTS = (
    "/api/items/5?page=1&X-Amz-Signature=secret",
    "/boom",
    "/teapot",
    "/stream",
    "/background",
    "/sub/acme/leaf/9",
    "/docs",
    "/nowhere",
    "/health",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a service left behind: what arrived and what it printed."""

    arrivals: Arrivals
    output: str

    def span(self, name: str) -> SeenSpan:
        """Return the one span of this name."""
        (span,) = [span for span in self.arrivals.spans if span.name == name]
        return span

    def lines(self) -> list[dict[str, object]]:
        """Return the JSON lines that it printed."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def served() -> Served:
    """Serve one request of each kind under uvicorn with an hour between exports, and end it by SIGTERM."""
    port = free_port()
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        with started("-m", "uvicorn", "web:app", "--port", str(port), extra=variables) as process:
            wait_until(lambda: get(f"http://127.0.0.1:{port}/health"), process)
            for path in _REQUESTS:
                get(f"http://127.0.0.1:{port}{path}")
            done = stop(process)
    assert done.status == -signal.SIGTERM, done.output
    return Served(arrivals=collector.arrivals, output=done.output)


def test_exactly_one_span_per_request_survives_sigterm(served: Served) -> None:
    """Each request leaves one server span although the process died of SIGTERM an hour before the next export."""
    assert sorted(span.name for span in served.arrivals.spans) == [
        "GET",
        "GET /api/items/{item_id}",
        "GET /background",
        "GET /boom",
        "GET /docs",
        "GET /stream",
        "GET /sub/{tenant}/leaf/{leaf_id}",
        "GET /teapot",
    ]
    assert {span.kind for span in served.arrivals.spans} == {_SERVER}


def test_span_attributes(served: Served) -> None:
    """A span says what was asked for in stable words, without the secret in the query."""
    span = served.span("GET /api/items/{item_id}")
    constant = {key: value for key, value in span.attributes.items() if key not in ("client.port", "server.port")}
    assert constant == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/items/{item_id}",
        "url.scheme": "http",
        "url.path": "/api/items/5",
        "url.query": "page=1&X-Amz-Signature=REDACTED",
        "server.address": "127.0.0.1",
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": constant["user_agent.original"],
    }
    assert span.resource["service.name"] == "web"


def test_exceptions_are_recorded(served: Served) -> None:
    """An exception is an event with type, message and stack, and makes the span an error."""
    span = served.span("GET /boom")
    ((name, event),) = span.events
    assert (span.status, name, span.attributes["error.type"]) == (_ERROR, "exception", "500")
    assert (event["exception.type"], event["exception.message"]) == ("RuntimeError", "kaput")
    assert "in boom" in event["exception.stacktrace"]


def test_server_error_without_exception(served: Served) -> None:
    """A 5xx that was answered on purpose is an error by its status."""
    span = served.span("GET /teapot")
    assert (span.status, span.attributes["error.type"], span.events) == (_ERROR, "503", [])


def test_request_durations(served: Served) -> None:
    """Durations are in seconds, on boundaries where objectives stand, one stream for each route and status."""
    points = [point for point in served.arrivals.points.values() if point.name == "http.server.request.duration"]
    assert {(point.unit, point.boundaries) for point in points} == {("s", DURATION_BOUNDARIES_SECONDS)}
    assert all(point.attributes["http.request.method"] == "GET" for point in points)
    routes = {(point.attributes.get("http.route"), point.attributes["http.response.status_code"]) for point in points}
    assert ("/api/items/{item_id}", 200) in routes
    assert (None, 404) in routes
    assert sum(point.value for point in points) == len(_REQUESTS) - 1
    (boom,) = [point for point in points if point.attributes.get("http.route") == "/boom"]
    assert boom.attributes["error.type"] == "500"


def test_active_requests(served: Served) -> None:
    """Requests in flight are counted and none is left at the end."""
    (active,) = [point for point in served.arrivals.points.values() if point.name == "http.server.active_requests"]
    assert active.value == 0
    assert active.attributes == {"http.request.method": "GET", "url.scheme": "http"}


def test_health_checks_leave_no_trace(served: Served) -> None:
    """Health checks are in neither spans nor metrics."""
    assert "/health" not in str(served.arrivals.spans) + str(served.arrivals.points)


@pytest.mark.parametrize(("logger", "event"), [("web", "item read"), ("stdlib", "item 5 read")])
def test_each_log_event_arrives_once(served: Served, logger: str, event: str) -> None:
    """A structlog event and a stdlib record are one JSON line and one OTLP record each, both with the span's ids."""
    span = served.span("GET /api/items/{item_id}")
    (line,) = [line for line in served.lines() if line["event"] == event]
    (record,) = [record for record in served.arrivals.logs if record.body == event]
    assert (line["logger"], line["trace_id"], line["span_id"]) == (logger, span.trace_id, span.span_id)
    assert (record.logger, record.trace_id, record.span_id) == (logger, span.trace_id, span.span_id)
    assert line["service.name"] == record.resource["service.name"] == "web"


def test_log_fields_keep_their_shape(served: Served) -> None:
    """Fields of an event arrive as they are, nested ones too."""
    (record,) = [record for record in served.arrivals.logs if record.body == "item read"]
    own = {key: value for key, value in record.attributes.items() if key != "request_id"}
    assert own == {"item_id": 5, "nested": {"tags": ["a", "b"]}}
    assert record.severity == "INFO"


def test_background_task_keeps_the_trace(served: Served) -> None:
    """What runs after the response still belongs to the request's trace."""
    (record,) = [record for record in served.arrivals.logs if record.body == "after the response"]
    assert record.trace_id == served.span("GET /background").trace_id


def test_server_errors_are_exported(served: Served) -> None:
    """The server's own log of an exception, which does not reach the root logger, arrives once too."""
    (record,) = [
        record for record in served.arrivals.logs if record.logger == "uvicorn.error" and record.severity == "ERROR"
    ]
    assert record.attributes["exception.type"] == "RuntimeError"


def test_request_that_outlives_sigterm() -> None:
    """A request that is being served when SIGTERM arrives is answered, and its span still leaves."""
    port = free_port()
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        with (
            started("-m", "uvicorn", "web:app", "--port", str(port), extra=variables) as process,
            ThreadPoolExecutor(1) as pool,
        ):
            wait_until(lambda: get(f"http://127.0.0.1:{port}/health"), process)
            answer = pool.submit(get, f"http://127.0.0.1:{port}/slow")
            assert process.stdout is not None
            lines = process.stdout
            wait_until(lambda: "slow begins" in lines.readline(), process)
            stop(process)
            assert answer.result() == 200
        assert collector.span("GET /slow").attributes["http.response.status_code"] == 200


def test_sigterm_without_life_span() -> None:
    """A server that runs no life span, whose SIGTERM handler is all there is, loses nothing either."""
    port = free_port()
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        with started("-m", "uvicorn", "web:app", "--port", str(port), "--lifespan", "off", extra=variables) as process:
            wait_until(lambda: get(f"http://127.0.0.1:{port}/health"), process)
            get(f"http://127.0.0.1:{port}/stream")
            stop(process)
        assert collector.span("GET /stream").name == "GET /stream"


_CALL = """
import asyncio, sys
import httpx
from sloburn import init_telemetry
async def call(app, path):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        return await client.get(path, headers={"traceparent": traceparent})
"""


def spans_of(code: str, **extra: str) -> list[SeenSpan]:
    """Run code that serves requests in its own process and return the spans that arrive."""
    with Collector() as collector:
        succeed(_CALL + code, extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **extra})
    return collector.arrivals.spans


def test_application_that_existed_before() -> None:
    """An application that was created and used before `init_telemetry` is instrumented and joins the caller's trace."""
    (span,) = spans_of(
        """
from fastapi import FastAPI
app = FastAPI()
@app.get("/early/{n}")
async def early(n: int): return n
asyncio.run(call(app, "/early/1"))
init_telemetry()
asyncio.run(call(app, "/early/2"))
"""
    )
    assert (span.name, span.trace_id, span.parent_id) == (
        "GET /early/{n}",
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
    )


def test_starlette() -> None:
    """A plain Starlette application is instrumented just so."""
    (span,) = spans_of(
        """
init_telemetry()
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
async def leaf(request): return PlainTextResponse("ok")
app = Starlette(routes=[Mount("/a", routes=[Route("/b/{c}", leaf)])])
asyncio.run(call(app, "/a/b/1"))
"""
    )
    assert span.name == "GET /a/b/{c}"


_FASTAPI = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/items/{n}")
async def read(n: int): return n
"""


def test_routes_of_every_kind() -> None:
    """Routers in routers, mounted applications, static mounts and hosts' prefixes all give a bounded template."""
    spans = spans_of(
        "init_telemetry()\n"
        + _FASTAPI
        + """
from fastapi import APIRouter
from starlette.responses import PlainTextResponse
inner, outer, other = APIRouter(prefix="/inner"), APIRouter(prefix="/{tenant}"), FastAPI()
@inner.get("/leaf/{leaf_id}")
async def leaf(tenant: str, leaf_id: int): return leaf_id
@other.get("/things/{thing_id}")
async def thing(thing_id: int): return thing_id
outer.include_router(inner)
app.include_router(outer, prefix="/v1")
app.include_router(outer, prefix="/v2")
app.mount("/other", other)
app.mount("/static", PlainTextResponse("ok"))
async def main():
    for path in ("/v1/acme/inner/leaf/1", "/v2/acme/inner/leaf/1", "/other/things/1", "/static/a/b.css", "/items/x"):
        print((await call(app, path)).status_code)
    print((await call(app, "/items/1")).status_code)
asyncio.run(main())
"""
    )
    assert [span.name for span in spans] == [
        "GET /v1/{tenant}/inner/leaf/{leaf_id}",
        "GET /v2/{tenant}/inner/leaf/{leaf_id}",
        "GET /other/things/{thing_id}",
        "GET /static/{path}",
        "GET /items/{n}",
        "GET /items/{n}",
    ]


def test_contrib_that_the_host_has_applied() -> None:
    """Where the host has called contrib itself, contrib instruments and we do not."""
    spans = spans_of(
        "init_telemetry()\n" + _FASTAPI + "from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor\n"
        "FastAPIInstrumentor.instrument_app(app)\nasyncio.run(call(app, '/items/1'))"
    )
    assert [span.name for span in spans if span.kind == _SERVER] == ["GET /items/{n}"]
    assert len(spans) == 3  # contrib adds a span for each message that is sent


def test_contrib_on_request() -> None:
    """With fastapi="contrib" contrib instruments every application, alone, with one span per request."""
    (span,) = spans_of(
        "init_telemetry(fastapi='contrib')\n" + _FASTAPI + "asyncio.run(call(app, '/items/1'))",
        OTEL_SEMCONV_STABILITY_OPT_IN="http",
    )
    assert (span.name, span.attributes["http.route"]) == ("GET /items/{n}", "/items/{n}")


def test_nobody_instruments() -> None:
    """With fastapi="off" we leave applications alone, and FastAPI's own telemetry is free to act."""
    spans = spans_of("init_telemetry(fastapi='off')\n" + _FASTAPI + "asyncio.run(call(app, '/items/1'))")
    assert [span.name for span in spans if span.kind == _SERVER] == ["GET /items/{n}"]


def test_attributes_equal_contribs() -> None:
    """Our span carries what contrib's carries under the stable conventions, the server's address corrected."""
    code = _FASTAPI + "asyncio.run(call(app, '/items/1?a=b'))"
    (ours,) = spans_of("init_telemetry()\n" + code)
    (theirs,) = spans_of("init_telemetry(fastapi='contrib')\n" + code, OTEL_SEMCONV_STABILITY_OPT_IN="http")
    # contrib puts the port into the address ("test:None"); the specification wants it beside it.
    places = {"server.address": "test", "server.port": 80}
    assert ours.attributes == {**theirs.attributes, **places}


def test_websocket() -> None:
    """A WebSocket connection is one span with the route's template."""
    (span,) = spans_of(
        """
import web
from starlette.testclient import TestClient
client = TestClient(web.app)
with client.websocket_connect("/socket/lobby"):
    pass
"""
    )
    assert (span.name, span.kind, span.attributes["http.route"]) == ("GET /socket/{room}", _SERVER, "/socket/{room}")
