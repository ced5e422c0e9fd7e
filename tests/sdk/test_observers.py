"""Who observes requests, connections and tasks: hosts get their own answers and errors, spans end, nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import structlog
from opentelemetry import context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.websockets import WebSocketDisconnect

from sloburn.sdk.config import Arguments
from sloburn.sdk.environment import resolve
from sloburn.sdk.integrations.asgi import RequestObserver
from sloburn.sdk.integrations.asgi_scope import App, Message, Receive, Scope, Send
from sloburn.sdk.integrations.celery import CeleryObserver
from sloburn.sdk.integrations.celery_metrics import TaskMetrics
from sloburn.sdk.integrations.http_metrics import HttpServerMetrics

_END: dict[str, Message] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1001},
}
_HEAD: dict[str, Message] = {
    "http": {"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]},
    "websocket": {"type": "websocket.accept", "headers": [(b"x-own", b"1")]},
}
_LAST: dict[str, Message] = {
    "http": {"type": "http.response.body", "body": b"x"},
    "websocket": {"type": "websocket.close", "code": 1000},
}
_ID = (b"x-request-id", b"r-1")


class Mute(ValueError):
    """Its message cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("mute")


class Undecided(ValueError):
    """Is neither true nor false."""

    def __bool__(self) -> bool:
        raise ArithmeticError("undecided")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """An observer of each kind and what it leaves behind."""

    web: RequestObserver
    tasks: CeleryObserver
    spans: InMemorySpanExporter
    reader: InMemoryMetricReader

    def span(self) -> ReadableSpan:
        """Return the one span that has ended."""
        (span,) = self.spans.get_finished_spans()
        return span

    def failure(self) -> tuple[bool, object, list[str]]:
        """Return whether the one span is an error, of which type, and its events."""
        span = self.span()
        attributes = span.attributes or {}
        return not span.status.is_unset, attributes.get("error.type"), [event.name for event in span.events]

    def active(self) -> list[float]:
        """Return how many requests are in flight."""
        data = self.reader.get_metrics_data()
        if not isinstance(data, MetricsData):
            return []
        metrics = [metric for resource in data.resource_metrics for scope in resource.scope_metrics
                   for metric in scope.metrics if metric.name == "http.server.active_requests"]  # fmt: skip
        points = [point for metric in metrics for point in metric.data.data_points]
        return [point.value for point in points if isinstance(point, NumberDataPoint)]

    def visit(self, kind: str, app: App, afterwards: App | None = None) -> list[Message]:
        """Send one request, or open one connection, and leave when asked for more; return what was answered.

        Args:
            kind: What ASGI calls it.
            app: Serves it, observed.
            afterwards: Serves it once more in the same context, unobserved.
        """
        sent: list[Message] = []

        async def receive() -> Message:
            return _END[kind]

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": kind, "scheme": "http", "path": "/", "headers": [_ID]}

        async def serve() -> None:
            await getattr(self.web, kind)(app, scope, receive, send)
            if afterwards is not None:
                await afterwards(scope, receive, send)

        asyncio.run(serve())
        return sent


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Observers with all that they leave behind in memory."""
    config, problems = resolve(Arguments(), {})
    assert problems == ()
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    tracer, meter = tracers.get_tracer("test"), meters.get_meter("test")
    web = RequestObserver(tracer=tracer, metrics=HttpServerMetrics(meter), config=config)
    yield Rig(web=web, tasks=CeleryObserver(tracer=tracer, meter=meter), spans=spans, reader=reader)
    meters.shutdown()
    tracers.shutdown()


def failing(error: BaseException, *, is_left: bool, kind: str = "websocket") -> App:
    """Return an application that begins to answer and fails, before or after the client has left."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(_HEAD[kind])
        if is_left:
            await receive()
        raise error

    return app


def answering(kind: str) -> App:
    """Return an application that answers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(_HEAD[kind])
        await send(_LAST[kind])

    return app


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("error", [Mute("x"), Undecided("x")], ids=["mute", "undecided"])
def test_exception_that_cannot_be_looked_at(rig: Rig, kind: str, error: ValueError) -> None:
    """An exception whose own methods fail reaches the server as it is, and its span ends as an error of its type."""
    with pytest.raises(type(error)) as caught:
        rig.visit(kind, failing(error, is_left=False, kind=kind))
    assert caught.value is error
    assert rig.failure() == (True, f"{__name__}.{type(error).__name__}", ["exception"])
    expected = "(its message cannot be shown)" if isinstance(error, Mute) else "x"
    assert (rig.span().status.description, (rig.span().events[0].attributes or {})["exception.message"]) == (
        expected,
    ) * 2


_BROKEN = (
    "asgi.with_header",
    "asgi_socket.with_header",
    "asgi_socket.Connection._answer",
    "asgi.route_of",
    "asgi_socket.route_of",
    "presence.Presence.ids",
    "presence.Presence.leave",
    "request_id.out_of_logs",
)
# Without these nothing is begun.
_UNSEEN = ("presence.Presence.__init__", "request_id.choose", "request_id.into_logs")


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("name", _BROKEN + _UNSEEN)
def test_part_of_ours_that_breaks(rig: Rig, monkeypatch: pytest.MonkeyPatch, kind: str, name: str) -> None:
    """Whatever of ours breaks, the host's answer and its exception go through, and no request stays in flight."""

    def broken(*_: object) -> None:
        raise RuntimeError("telemetry is broken")

    monkeypatch.setattr(f"sloburn.sdk.integrations.{name}", broken)
    sent = rig.visit(kind, answering(kind))
    assert [message["type"] for message in sent] == [_HEAD[kind]["type"], _LAST[kind]["type"]]
    with pytest.raises(KeyError, match="own"):
        rig.visit(kind, failing(KeyError("own"), is_left=False, kind=kind))
    assert rig.active() == ([0] if kind == "http" else [])
    assert len(rig.spans.get_finished_spans()) == (0 if name in _UNSEEN else 2)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_nothing_stays_current(rig: Rig, kind: str) -> None:
    """What is served next in the same context, as on the same connection, finds it as it was before."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((structlog.contextvars.get_contextvars(), context.get_current() == outside))
        await answering(kind)(scope, receive, send)

    outside = context.get_current()
    rig.visit(kind, app, afterwards=app)
    assert seen == [({"request_id": "r-1"}, False), ({}, True)]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_nothing_stays_current_after_an_exception_that_interrupts(rig: Rig, kind: str) -> None:
    """An exception that cancels the task when it is asked for its message leaves the context as it was, too."""

    class Interrupting(ValueError):
        def __str__(self) -> str:
            raise asyncio.CancelledError

    left: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        outside = context.get_current()
        with pytest.raises((Interrupting, asyncio.CancelledError)):
            await getattr(rig.web, kind)(failing(Interrupting(), is_left=False, kind=kind), scope, receive, send)
        left.append(context.get_current() == outside)

    rig.visit(kind, answering(kind), afterwards=app)
    assert left == [True]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_own_id_in_capitals(rig: Rig, kind: str) -> None:
    """An id that the application puts into its answer is the only one, however the header is written."""
    own = [(b"X-Request-ID", b"own")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**_HEAD[kind], "headers": own})
        await send(_LAST[kind])

    assert rig.visit(kind, app)[0]["headers"] == own


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("is_left", [False, True])
def test_no_answer(rig: Rig, kind: str, is_left: bool) -> None:
    """An application that answers nothing has failed, unless nobody is there any more: its server answers with 500."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if is_left:
            await receive()

    assert rig.visit(kind, app) == []
    assert rig.failure() == ((False, None, []) if is_left else (True, "no_response", []))


_LEFT = (
    WebSocketDisconnect(1001),
    OSError("gone"),
    asyncio.CancelledError(),
    BaseExceptionGroup("tasks", [WebSocketDisconnect(1001), ExceptionGroup("inner", [OSError("gone")])]),
    BaseExceptionGroup("tasks", [asyncio.CancelledError(), WebSocketDisconnect(1001)]),
)
_FAULTS = (RuntimeError("kaput"), ExceptionGroup("tasks", [WebSocketDisconnect(1001), RuntimeError("kaput")]))


@pytest.mark.parametrize("error", _LEFT, ids=repr)
def test_end_of_a_connection_that_the_client_has_left(rig: Rig, error: BaseException) -> None:
    """How an application hears that the client has left is no failure, alone or from all tasks of a group."""
    with pytest.raises(type(error)):
        rig.visit("websocket", failing(error, is_left=True))
    assert rig.failure() == (False, None, [])


@pytest.mark.parametrize(
    ("error", "is_left"), [*((error, False) for error in _LEFT), *((error, True) for error in _FAULTS)], ids=repr
)
def test_end_of_a_connection_that_fails(rig: Rig, error: BaseException, is_left: bool) -> None:
    """The same words are a failure while the client is there, and any other exception is one after it has left."""
    with pytest.raises(type(error)):
        rig.visit("websocket", failing(error, is_left=is_left))
    is_error, kind, events = rig.failure()
    assert (is_error, str(kind).rpartition(".")[2], events) == (True, type(error).__name__, ["exception"])


def task() -> SimpleNamespace:
    """Return a task as Celery's signals show it."""
    headers = {"sloburn_published_unix_nano": "1"}
    return SimpleNamespace(name="add", request=SimpleNamespace(headers=headers, id="1", retries=0))


def test_task_whose_exception_cannot_be_looked_at(rig: Rig) -> None:
    """A task that fails so leaves its span as an error, and nothing of it stays current."""
    outside, one, error = context.get_current(), task(), Mute("x")
    rig.tasks.begin(task_id="1", task=one)
    rig.tasks.fail(sender=one, task_id="1", exception=error)
    rig.tasks.end(task_id="1", task=one, state="FAILURE", retval=error)
    assert rig.failure() == (True, f"{__name__}.Mute", ["exception"])
    assert (context.get_current(), structlog.contextvars.get_contextvars()) == (outside, {})


def test_publish_whose_exception_cannot_be_looked_at(rig: Rig) -> None:
    """A publish that fails so raises what it raised, and its span is an error."""
    error = Mute("x")

    def send(*_: object) -> None:
        raise error

    with pytest.raises(Mute) as caught:
        rig.tasks.publish(send, "add", (), {})
    assert caught.value is error
    assert rig.failure() == (True, f"{__name__}.Mute", ["exception"])


def test_metric_of_tasks_that_breaks(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement that fails leaves nothing of the task behind for the next one on the same thread."""

    def broken(*_: object) -> None:
        raise RuntimeError("telemetry is broken")

    outside, first, second = context.get_current(), task(), task()
    rig.tasks.begin(task_id="1", task=first)
    monkeypatch.setattr(TaskMetrics, "ended", broken)
    with pytest.raises(RuntimeError, match="broken"):
        rig.tasks.end(task_id="1", task=first, state="SUCCESS")
    monkeypatch.setattr(TaskMetrics, "started", broken)
    with pytest.raises(RuntimeError, match="broken"):
        rig.tasks.begin(task_id="1", task=second)
    assert (context.get_current(), structlog.contextvars.get_contextvars()) == (outside, {})
    assert rig.span().name == "process add"
