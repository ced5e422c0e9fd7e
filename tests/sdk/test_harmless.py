"""A Collector that is dead, hangs, is slow, refuses or lies: the host notices nothing, and losses are known."""

from __future__ import annotations

import base64
import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sloburn.sdk.config import Target
from sloburn.sdk.exporters.health import ExportHealth
from sloburn.sdk.exporters.http_sender import HttpSender
from sloburn.sdk.exporters.sender import Outcome
from tests.sdk.collector import Collector
from tests.sdk.processes import free_port, started, stop, succeed, wait_until

_Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def answering(*answers: _Answer) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Answer requests from a list, the last answer for ever; yield the address and what was asked for."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(url: str, **target: str) -> Outcome:
    """Send one empty request."""
    sender = HttpSender(target=Target(url=f"{url}/v1/traces", protocol="http/protobuf", **target))  # type: ignore[arg-type]
    try:
        return sender.send(b"", 5)
    finally:
        sender.close()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("is_date", [False, True])
def test_retry_after(status: int, is_date: bool) -> None:
    """How long to wait is understood as seconds and as a date."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    with answering((status, {"retry-after": later if is_date else "30"}, b"")) as (url, _):
        outcome = send(url)
    assert outcome.verdict == "retry"
    assert outcome.retry_after_seconds is not None
    assert 25 < outcome.retry_after_seconds <= 30


@pytest.mark.parametrize("value", ["soon", "-1", "Mon, 99 Foo 2026", "1e3"])
def test_retry_after_that_is_nonsense(value: str) -> None:
    """A time to wait that makes no sense is none."""
    with answering((503, {"retry-after": value}, b"")) as (url, _):
        assert send(url).retry_after_seconds is None


@pytest.mark.parametrize(
    ("headers", "body", "verdict", "refused"),
    [
        ({"content-type": "text/html"}, b"<html>login</html>", "retry", 0),
        ({"content-type": "application/x-protobuf"}, b"\xff\xff\xff", "refused", 0),
        ({"content-type": "application/json"}, b"not json", "refused", 0),
        ({"content-type": "application/json"}, b'{"partialSuccess": {"rejectedSpans": 3}}', "taken", 3),
        ({"content-type": "application/json"}, b'{"partialSuccess": {"rejectedSpans": -3}}', "taken", 0),
        ({"content-type": "application/json"}, b'{"partialSuccess": {"rejectedSpans": []}}', "refused", 0),
        ({"content-type": "application/json"}, b"[" * 50_000, "refused", 0),
        ({}, b"", "taken", 0),
    ],
)
def test_answers_that_lie(headers: dict[str, str], body: bytes, verdict: str, refused: int) -> None:
    """A 200 is believed only when it looks like one of an OTLP receiver."""
    with answering((200, headers, body)) as (url, _):
        outcome = send(url)
    assert (outcome.verdict, outcome.refused_items) == (verdict, refused)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x16\x03\x01\x02\x00secret=hunter2\xff\n" * 50, "the answer is not HTTP (BadStatusLine)"),
        (b"x" * 100_000, "the answer is not HTTP (LineTooLong)"),
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 503 \x1b[31mgo\x00 away" + b"!" * 300 + b"\r\ncontent-length: 0\r\n\r\n", "HTTP 503 [31mgo away!"),
    ],
    ids=["binary", "endless", "nothing", "reason"],
)
def test_whatever_answers_ends_as_one_short_line(answer: bytes, reason: str) -> None:
    """What something that is no OTLP receiver sends never reaches the host's log as it came."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        outcome = send(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert outcome.verdict == "retry"
    assert outcome.reason.replace("HTTP 503  ", "HTTP 503 ").startswith(reason)
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= 200


def test_certificates_that_are_not_there() -> None:
    """A file that cannot be read is named; it may appear later."""
    outcome = send("https://127.0.0.1:1", ca_file="/nowhere/ca.pem")
    expected = "cannot read certificates (/nowhere/ca.pem): No such file or directory"
    assert (outcome.verdict, outcome.reason) == ("retry", expected)


@pytest.mark.parametrize(
    ("status", "fate"),
    [(401, "HTTP 401 Unauthorized): it is lost, as it is refused for good"), (503, "it is kept up to a bound")],
)
def test_line_says_whether_anything_is_kept(status: int, fate: str) -> None:
    """Whoever reads that telemetry cannot be delivered is told whether it is lost."""
    with Collector(statuses=(status,) * 100) as collector:
        done = succeed(_WORK + "work()\ntelemetry.flush(5)", collector.endpoint)
    assert done.stdout.count(fate) == 1


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"], ids=["header", "body"])
def test_answer_that_drips_is_no_answer(head: bytes) -> None:
    """A receiver that sends a byte now and then is given up when the time for the request is over."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(head)
                while not is_over.wait(0.05):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        sender = HttpSender(target=Target(url=f"http://127.0.0.1:{server.getsockname()[1]}", protocol="http/protobuf"))
        begun = monotonic()
        outcome = sender.send(b"", 0.5)
        took = monotonic() - begun
        is_over.set()
        thread.join()
    assert (outcome.verdict, outcome.reason) == ("retry", "no answer in time")
    assert took < 3


def test_answer_of_a_receiver_that_closes() -> None:
    """An answer is read to its end although the connection ends with it."""
    body = b"x" * 50_000
    with answering((200, {"connection": "close", "content-type": "text/html"}, body)) as (url, asked):
        assert [send(url).reason for _ in range(2)] == ["a web page answers, not an OTLP receiver"] * 2
    assert len(asked) == 2


def test_plain_request_through_a_proxy() -> None:
    """A plain request asks the proxy for the whole address and logs in to the proxy."""
    with answering((200, {}, b"")) as (proxy, asked):
        outcome = send("http://collector.example:4318", proxy=proxy.replace("//", "//user:pass@"))
    assert outcome.verdict == "taken"
    ((path, headers),) = asked
    assert path == "http://collector.example:4318/v1/traces"
    assert base64.b64decode(headers["proxy-authorization"].split()[1]) == b"user:pass"


def test_encrypted_request_through_a_proxy() -> None:
    """An encrypted request asks the proxy for a tunnel; that the proxy refuses is a reason to try again."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 407 Login first\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        outcome = send("https://collector.example", proxy=f"http://u:p@127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert heard[0].startswith(b"CONNECT collector.example:443 HTTP/1.")
    assert b"Basic dTpw" in heard[0]
    assert (outcome.verdict, "407" in outcome.reason) == ("retry", True)


def test_receiver_that_flaps_is_not_a_stream_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that fails every other request costs two lines a minute, and the rest is counted."""
    clock = iter(range(1000))
    health = ExportHealth(destination="the Collector", now=lambda: float(next(clock)))
    with caplog.at_level("INFO", "sloburn"):
        for _ in range(40):
            health.failed("traces", "HTTP 503")
            health.succeeded("traces", lost=0)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "cannot" in line] == [lines[0]]
    assert len(lines) == 2
    next(clock for second in clock if second > 60)
    with caplog.at_level("INFO", "sloburn"):
        health.failed("traces", "HTTP 503")
    assert "(39 short outages since the last line)" in caplog.records[-1].getMessage()


def test_outage_that_outlasts_the_quiet_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A second outage soon after the first is not announced at once, but when it lasts."""
    now = [0.0]
    health = ExportHealth(destination="the Collector", now=lambda: now[0])
    for second in (0.0, 10.0, 30.0, 59.0):
        now[0] = second
        health.failed("traces", "HTTP 503")
        if second == 0.0:
            health.succeeded("traces", lost=0)
    assert [record.getMessage().partition(" to ")[0] for record in caplog.records] == [
        "telemetry cannot be delivered",
        "telemetry is delivered",
    ]
    now[0] = 61.0
    health.failed("traces", "HTTP 503")
    health.succeeded("traces", lost=0)
    assert "(1 short outages since the last line)" in caplog.records[2].getMessage()
    assert "again after 51.0 s" in caplog.records[3].getMessage()


_FAMILY = """
import os, sys
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600, shutdown_timeout=2)
def child():
    if os.fork() == 0:
        telemetry.tracer.start_span("work").end()
        telemetry.flush(5)
        os._exit(0)
    os.wait()
for _ in range(3): child()
telemetry.tracer.start_span("work").end()
telemetry.flush(5)
for _ in range(3): child()
"""


def test_family_of_processes_says_it_once() -> None:
    """What one of several forked processes has said the others, older and younger, do not say again."""
    done = succeed(_FAMILY, f"http://127.0.0.1:{free_port()}")
    assert done.output.count("cannot be delivered") == 1


_PARENT = """
import os, sys, time
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=0.05, shutdown_timeout=1)
for _ in range(2):
    if os.fork() == 0:
        telemetry.tracer.start_span("work").end()
        telemetry.flush_in_child()
        os._exit(0)
    os.wait()
print("ready", flush=True)
while True: time.sleep(60)
"""


def test_parent_counts_what_is_lost_with_its_children() -> None:
    """Items that a forked process could not deliver before its end are lost, and its parent reports them later."""
    port = free_port()
    with started("-c", _PARENT, f"http://127.0.0.1:{port}") as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "ready" in lines.readline(), process)
        with Collector(port=port) as collector:
            collector.wait_for(lambda _: lost_of(collector) == 2, 30)
            stop(process)


def test_end_of_an_outage_is_said_by_whoever_notices() -> None:
    """The child that began an outage is gone when it ends; one that lives says so, and the next outage is news."""
    with Collector(statuses=(503,) * 3) as collector:
        done = succeed(_FAMILY.replace("range(3)", "range(1)"), collector.endpoint)
    assert done.output.count("cannot be delivered") == 1
    assert done.output.count("is delivered") == 1


_WORK = """
import gc, os, resource, sys, time
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=0.1, timeout=0.5, shutdown_timeout=1)
counter = telemetry.meter.create_counter("work")
def work(text="x"):
    with telemetry.tracer.start_as_current_span("work", attributes={"text": text}):
        counter.add(1)
"""


def test_everything_lost_is_counted_and_reported_when_the_collector_returns() -> None:
    """After an outage with a full queue, what arrives and what is reported as lost sum up to what was done."""
    port = free_port()
    code = _WORK + "for _ in range(5000): work()\nprint('done', flush=True)\nwhile True: time.sleep(60)"
    variables = {"OTEL_BSP_MAX_QUEUE_SIZE": "1000"}
    with started("-c", code, f"http://127.0.0.1:{port}", extra=variables) as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "done" in lines.readline(), process)
        with Collector(port=port) as collector:
            collector.wait_for(lambda _: collector.total("work") == 5000)
            collector.wait_for(lambda seen: len([span for span in seen.spans if span.name == "work"]) >= 1000)
            collector.wait_for(lambda _: lost_of(collector) > 0)
            stop(process)
        arrived = len([span for span in collector.arrivals.spans if span.name == "work"])
    assert arrived + lost_of(collector) == 5000
    assert arrived >= 1000


def lost_of(collector: Collector) -> float:
    """Return how many spans were reported as lost."""
    return sum(
        point.value
        for point in collector.arrivals.points.values()
        if point.name.startswith("otel.sdk.") and ".span." in point.name and "error.type" in point.attributes
    )


def test_refused_items_are_counted_and_reported() -> None:
    """Items that a receiver refuses from a request that it takes are lost, counted, and said once."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    with Collector(answer=answer.SerializeToString()) as collector:
        done = succeed(
            _WORK
            + """
for _ in range(3):
    work()
    telemetry.flush()
status = telemetry.status().signals["traces"]
assert (status.sent, status.lost) == (0, {"refused": 3}), status
""",
            collector.endpoint,
        )
    assert done.stdout.count("refuses some traces") == 1


@pytest.mark.parametrize("kind", ["dead", "hanging", "refusing"])
def test_latency_and_memory_without_a_collector(kind: str) -> None:
    """With a Collector that is away, calls cost what they cost, memory is bounded, and the exit is quick and quiet."""
    code = (
        _WORK
        + """
def burst():
    times = []
    for _ in range(4000):
        begun = time.perf_counter()
        work("x" * 2000)
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]
first = burst()
telemetry.flush(0.2)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
later = [burst() for _ in range(10)]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
import json
print(json.dumps({"first": first, "later": min(later), "grown": grown}))
"""
    )
    with Collector(is_hanging=kind == "hanging", statuses=(503,) * 10_000) as collector:
        endpoint = f"http://127.0.0.1:{free_port()}" if kind == "dead" else collector.endpoint
        done = succeed(code, endpoint)
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"first"')]
    assert line["later"] < 3 * line["first"]
    # 40,000 spans of 2 kB went by; kept are 8,192.
    assert line["grown"] < 40 * 1024
    assert done.output.count("cannot be delivered") == 1
    assert len([text for text in done.stdout.splitlines() if '"sloburn"' in text]) <= 4
    assert "Traceback" not in done.output


def test_slow_collector_loses_nothing() -> None:
    """A receiver that takes its time gets everything within the time that the exit may take."""
    with Collector(delay_seconds=0.3) as collector:
        succeed(
            _WORK.replace("shutdown_timeout=1", "shutdown_timeout=10") + "for _ in range(100): work()",
            collector.endpoint,
        )
        collector.wait_for(lambda seen: len(seen.spans) == 100)
        assert collector.total("work") == 100


def test_ctrl_c_with_a_hanging_collector() -> None:
    """Ctrl-C ends a script within the shutdown timeout."""
    code = _WORK + "work()\nprint('ready', flush=True)\ntime.sleep(60)"
    with Collector(is_hanging=True) as collector, started("-c", code, collector.endpoint) as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "ready" in lines.readline(), process)
        assert stop(process, signal.SIGINT).seconds < 3
