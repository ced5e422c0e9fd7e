"""A real OTLP/HTTP receiver for tests: listens on a free port, decodes with upstream's messages, can misbehave."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint

from sloburn.sdk.exemplars import MARK_ATTRIBUTE

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpan:
    """A span that arrived; the mark of an exemplar, which depends on the second, is no part of its attributes."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    status: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    resource: dict[str, Any]
    is_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLog:
    """A log record that arrived."""

    body: Any
    severity: str
    logger: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPoint:
    """The newest value of one metric stream: a sum, or how many values a histogram has counted."""

    name: str
    unit: str
    value: float
    boundaries: tuple[float, ...]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    exemplars: tuple[str, ...]


@dataclass(slots=True)
class Arrivals:
    """Everything that arrived; of the last request with spans also how many were in it."""

    spans: list[SeenSpan] = field(default_factory=list)
    last_spans: int = 0
    logs: list[SeenLog] = field(default_factory=list)
    points: dict[tuple[str, str, str], SeenPoint] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


class Collector:
    """Listens on a free loopback port until it is closed.

    Args:
        statuses: Answers to give first, one for each request; then 200.
        is_hanging: Takes requests and never answers.
        delay_seconds: Takes so long for each answer.
        answer: Body of a 200.
        port: Where to listen; 0 takes a free one.
    """

    def __init__(
        self,
        *,
        statuses: tuple[int, ...] = (),
        is_hanging: bool = False,
        delay_seconds: float = 0.0,
        answer: bytes = b"",
        port: int = 0,
    ) -> None:
        self.arrivals = Arrivals()
        self.answer = answer
        self._statuses = list(statuses)
        self._changed = threading.Condition()
        self._is_closing = threading.Event()
        self._is_hanging = is_hanging
        self._delay_seconds = delay_seconds
        self._connections: set[socket.socket] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, holds: Callable[[Arrivals], object], seconds: float = PATIENCE_SECONDS) -> Arrivals:
        """Wait until a condition holds and return what has arrived; fail with what has when it never does."""
        deadline = monotonic() + seconds
        with self._changed:
            while not holds(self.arrivals):
                left = deadline - monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise AssertionError(f"it never arrived; this did: {self.arrivals}")
        return self.arrivals

    def span(self, name: str) -> SeenSpan:
        """Wait for the one span of this name."""
        self.wait_for(lambda seen: any(span.name == name for span in seen.spans))
        (span,) = [span for span in self.arrivals.spans if span.name == name]
        return span

    def total(self, name: str) -> float:
        """Return the sum of the newest values of all streams of a metric, over all processes."""
        return sum(point.value for point in self.arrivals.points.values() if point.name == name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in list(self._connections):
            # A kept connection would go on being served by its thread, as if the Collector still lived.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        with self._changed:
            self.arrivals.paths.append(path)
            self.arrivals.headers.append(headers)
            status = self._statuses.pop(0) if self._statuses else 200
            if status == 200:
                _decode(path, _unpack(headers, body), self.arrivals)
            self._changed.notify_all()
        return status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self) -> None:
                super().setup()
                collector._connections.add(self.connection)
                if collector._is_closing.is_set():
                    # It was taken at the very end, and whoever ends us may have looked for connections already.
                    with contextlib.suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)

            def finish(self) -> None:
                collector._connections.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector._is_hanging:
                    collector._is_closing.wait(60)
                    self.close_connection = True
                    return
                collector._is_closing.wait(collector._delay_seconds)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = collector._take(self.path, headers, body)
                answer = collector.answer if status == 200 else b""
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                pass

        return Handler


def _unpack(headers: dict[str, str], body: bytes) -> bytes:
    encoding = headers.get("content-encoding", "")
    return gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body) if encoding == "deflate" else body


def _decode(path: str, body: bytes, seen: Arrivals) -> None:
    if path.endswith("traces"):
        _decode_spans(ExportTraceServiceRequest.FromString(body), seen)
    elif path.endswith("logs"):
        _decode_logs(ExportLogsServiceRequest.FromString(body), seen)
    else:
        _decode_points(ExportMetricsServiceRequest.FromString(body), seen)


def _decode_spans(request: ExportTraceServiceRequest, seen: Arrivals) -> None:
    before = len(seen.spans)
    for part in request.resource_spans:
        resource = _attributes(part.resource.attributes)
        for scope in part.scope_spans:
            seen.spans += [
                SeenSpan(
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    status=span.status.code,
                    attributes=_attributes(pair for pair in span.attributes if pair.key != MARK_ATTRIBUTE),
                    events=[(event.name, _attributes(event.attributes)) for event in span.events],
                    resource=resource,
                    is_marked=any(pair.key == MARK_ATTRIBUTE and pair.value.bool_value for pair in span.attributes),
                )
                for span in scope.spans
            ]
    seen.last_spans = len(seen.spans) - before


def _decode_logs(request: ExportLogsServiceRequest, seen: Arrivals) -> None:
    for part in request.resource_logs:
        resource = _attributes(part.resource.attributes)
        for scope in part.scope_logs:
            seen.logs += [
                SeenLog(
                    body=_value(record.body),
                    severity=record.severity_text,
                    logger=scope.scope.name,
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    attributes=_attributes(record.attributes),
                    resource=resource,
                )
                for record in scope.log_records
            ]


def _decode_points(request: ExportMetricsServiceRequest, seen: Arrivals) -> None:
    # A mapping of its own each time: a test that walks the one before is not disturbed.
    points = dict(seen.points)
    for part in request.resource_metrics:
        resource = _attributes(part.resource.attributes)
        for metric in (metric for scope in part.scope_metrics for metric in scope.metrics):
            for attributes, value, boundaries, exemplars in _values(metric):
                key = (metric.name, str(resource.get("service.instance.id")), str(sorted(attributes.items())))
                points[key] = SeenPoint(
                    name=metric.name,
                    unit=metric.unit,
                    value=value,
                    boundaries=boundaries,
                    attributes=attributes,
                    resource=resource,
                    exemplars=exemplars,
                )
    seen.points = points


def _values(metric: Metric) -> Iterator[tuple[dict[str, Any], float, tuple[float, ...], tuple[str, ...]]]:
    for counted in metric.histogram.data_points:
        yield _attributes(counted.attributes), counted.count, tuple(counted.explicit_bounds), _exemplars(counted)
    for point in (*metric.sum.data_points, *metric.gauge.data_points):
        yield _attributes(point.attributes), point.as_int or point.as_double, (), _exemplars(point)


def _exemplars(point: HistogramDataPoint | NumberDataPoint) -> tuple[str, ...]:
    """Return the traces that a point's exemplars lead to."""
    return tuple(exemplar.trace_id.hex() for exemplar in point.exemplars)


def _attributes(pairs: Any) -> dict[str, Any]:
    found: list[KeyValue] = list(pairs)
    return {pair.key: _value(pair.value) for pair in found}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None
