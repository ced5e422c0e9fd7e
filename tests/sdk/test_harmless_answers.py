"""Whatever answers an export: it is tried again when asked for, named in one short line, and never waited for."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest

from sloburn.sdk.config import Target
from sloburn.sdk.exporters.http_sender import HttpSender
from sloburn.sdk.exporters.sender import Outcome
from tests.sdk.processes import PATIENCE_SECONDS

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
        return sender.send(b"", PATIENCE_SECONDS)
    finally:
        sender.close()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("is_date", [False, True])
def test_retry_after(status: int, is_date: bool) -> None:
    """How long to wait is understood as seconds and as a date."""
    begun = datetime.now(UTC)
    later = format_datetime(begun + timedelta(seconds=3600), usegmt=True)
    with answering((status, {"retry-after": later if is_date else "3600"}, b"")) as (url, _):
        outcome = send(url)
    assert outcome.verdict == "retry"
    assert outcome.retry_after_seconds is not None
    # A date has no fractions of a second.
    passed = (datetime.now(UTC) - begun).total_seconds() + 1 if is_date else 0
    assert 3600 - passed <= outcome.retry_after_seconds <= 3600


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
            # Who has heard enough leaves in the middle.
            with connection, suppress(OSError):
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
    # It would drip for ever.
    assert took < 30


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
