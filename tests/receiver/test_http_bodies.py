"""OTLP/HTTP: bodies that are compressed, damaged, too large or never end; and their neighbours."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from bench.payloads import SpanBody
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.limits import Limits
from sloburn.receiver.tally import RequestKey, Wire
from tests.receiver.intakes import DecodingIntake, RecordingIntake, StuckIntake
from tests.receiver.servers import KIB, PATIENCE_SECONDS, SMALL, Receiver, http_client, http_receiver
from tests.zstandard import streamed_zstd_of, zstd_of

PROTOBUF = {"Content-Type": "application/x-protobuf"}
GZIPPED = {**PROTOBUF, "Content-Encoding": "gzip"}
ZSTD = {**PROTOBUF, "Content-Encoding": "zstd"}
LIMIT = SMALL.max_body_bytes


@pytest.fixture
def intake() -> RecordingIntake:
    """Return the intake behind the receiver."""
    return RecordingIntake()


@pytest.fixture
def receiver(intake: RecordingIntake) -> Iterator[Receiver]:
    """Serve with a limit of 64 KiB."""
    with http_receiver(intake) as found:
        yield found


@pytest.fixture
def client(receiver: Receiver) -> Iterator[httpx.Client]:
    """Return a client."""
    with http_client(receiver) as found:
        yield found


def assert_next_succeeds(client: httpx.Client, intake: RecordingIntake) -> None:
    """Send a valid request and see it arrive."""
    response = client.post("/v1/traces", content=gzip.compress(b"next"), headers=GZIPPED)
    assert (response.status_code, intake.bodies[-1]) == (200, b"next")


@pytest.mark.parametrize("size", [0, 10, LIMIT - 1, LIMIT])
def test_a_body_up_to_the_limit_is_taken(client: httpx.Client, intake: RecordingIntake, size: int) -> None:
    """Plain and compressed bodies up to the limit arrive whole."""
    body = os.urandom(size // 2) + bytes(size - size // 2)
    assert client.post("/v1/traces", content=body, headers=PROTOBUF).status_code == 200
    assert client.post("/v1/traces", content=gzip.compress(body), headers=GZIPPED).status_code == 200
    assert (
        client.post("/v1/traces", content=body, headers=PROTOBUF | {"Content-Encoding": "identity"}).status_code == 200
    )
    assert intake.bodies == [body] * 3


def test_zstd_from_a_collector_arrives_whole() -> None:
    """A request of 512 spans, compressed as the Collector's exporter does, is inflated and decoded."""
    body = SpanBody().fresh(1_000_000_000_000)
    with http_receiver(DecodingIntake(), limits=Limits()) as receiver, http_client(receiver) as client:
        for compress in (zstd_of, streamed_zstd_of):
            response = client.post("/v1/traces", content=compress(body), headers=ZSTD)
            assert (response.status_code, response.content) == (200, b"")


def chunks_over_the_limit() -> Iterator[bytes]:
    """Yield more than the limit, without a Content-Length."""
    for _ in range(40):
        yield bytes(4 * KIB)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (lambda: bytes(LIMIT + 1), PROTOBUF),
        (chunks_over_the_limit, PROTOBUF),
        (lambda: gzip.compress(bytes(LIMIT + 1)), GZIPPED),
        (lambda: gzip.compress(bytes(50_000_000)), GZIPPED),
        (lambda: gzip.compress(os.urandom(LIMIT)) + gzip.compress(b"x"), GZIPPED),
        (lambda: os.urandom(LIMIT + 1), GZIPPED),
        (lambda: zstd_of(bytes(LIMIT + 1)), ZSTD),
        (lambda: streamed_zstd_of(bytes(50_000_000)), ZSTD),
    ],
    ids=["announced", "chunked", "inflated", "bomb", "two-members", "compressed", "zstd", "zstd-bomb"],
)
def test_a_body_over_the_limit_is_413(
    client: httpx.Client, intake: RecordingIntake, content: Callable[[], bytes], headers: dict[str, str]
) -> None:
    """However a body gets over the limit, it is refused for good, and the next request on the connection succeeds."""
    response = client.post("/v1/traces", content=content(), headers=headers)
    assert (response.status_code, "retry-after" in response.headers) == (413, False)
    assert Status.FromString(response.content).code == 8
    assert intake.requests == []
    assert_next_succeeds(client, intake)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain",
        gzip.compress(b"x" * 500)[:-3],
        gzip.compress(b"x") + b"garbage",
        gzip.compress(os.urandom(40_000))[:-1],
    ],
    ids=["empty", "plain", "truncated", "followed", "truncated-in-a-thread"],
)
def test_a_body_that_is_no_gzip_is_400(client: httpx.Client, intake: RecordingIntake, body: bytes) -> None:
    """A damaged compressed body is refused for good, and the next request on the connection succeeds."""
    response = client.post("/v1/traces", content=body, headers=GZIPPED)
    assert (response.status_code, Status.FromString(response.content).code) == (400, 3)
    assert intake.requests == []
    assert_next_succeeds(client, intake)


def test_several_gzip_members_are_one_body(client: httpx.Client, intake: RecordingIntake) -> None:
    """A body of two members arrives as what both hold."""
    body = gzip.compress(b"one, ") + gzip.compress(b"two")
    assert client.post("/v1/traces", content=body, headers=GZIPPED).status_code == 200
    assert intake.bodies == [b"one, two"]


def test_a_body_over_the_limit_is_refused_before_it_is_sent(receiver: Receiver) -> None:
    """A Content-Length over the limit is answered at once; a sender that waits for 100 Continue never gets it."""
    with raw_request(receiver, f"Content-Length: {LIMIT + 1}\r\nExpect: 100-continue\r\n") as sender:
        assert sender.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_sender_that_goes_away_is_counted_and_not_logged(
    receiver: Receiver, client: httpx.Client, intake: RecordingIntake, caplog: pytest.LogCaptureFixture
) -> None:
    """A half-sent body is no error of ours: nothing reaches the intake or the log, and the next request succeeds."""
    with raw_request(receiver, "Content-Length: 100\r\n") as sender:
        sender.sendall(b"half")
    with raw_request(receiver, "Transfer-Encoding: chunked\r\n") as sender:
        sender.sendall(b"4\r\nhalf\r\n")
    gone = RequestKey(Signal.TRACES, Wire.HTTP, "499")
    wait_for_count(receiver, gone, 2)
    assert intake.requests == []
    assert_next_succeeds(client, intake)
    assert caplog.records == []


def test_a_sender_that_stalls_is_told_to_retry() -> None:
    """A body that does not arrive in time ends in 503 with Retry-After, so that it holds no memory for ever."""
    limits = Limits(read_seconds=0.05)
    with (
        http_receiver(RecordingIntake(), limits=limits) as receiver,
        raw_request(receiver, "Content-Length: 100\r\n") as sender,
        sender.makefile("rb") as lines,
    ):
        answer = b"".join(iter(lines.readline, b"\r\n")).decode() + lines.read(120).decode()
    assert answer.startswith("HTTP/1.1 503 ")
    assert "retry-after: 1" in answer
    assert "the body did not arrive within 0.05 s" in answer


@pytest.mark.parametrize("body", [bytes(40_000), gzip.compress(bytes(40_000))], ids=["plain", "inflated"])
def test_more_than_may_be_pending_is_told_to_retry(body: bytes) -> None:
    """Load beyond the memory bound is 429 with Retry-After; when what is pending is done, requests are taken again."""
    intake = StuckIntake()
    limits = Limits(max_body_bytes=50_000, max_pending_bytes=60_000)
    headers = GZIPPED if body.startswith(b"\x1f\x8b") else PROTOBUF
    with http_receiver(intake, limits=limits) as receiver, http_client(receiver) as client:
        first: list[int] = []
        sender = threading.Thread(
            target=lambda: first.append(client.post("/v1/traces", content=body, headers=headers).status_code)
        )
        sender.start()
        assert intake.entered.wait(PATIENCE_SECONDS)
        refused = client.post("/v1/traces", content=body, headers=headers)
        intake.let_go()
        sender.join(PATIENCE_SECONDS)
        assert (refused.status_code, refused.headers["retry-after"], first) == (429, "1", [200])
        assert client.post("/v1/traces", content=body, headers=headers).status_code == 200


def test_senders_side_by_side_do_not_disturb_each_other(receiver: Receiver, intake: RecordingIntake) -> None:
    """Good requests succeed while bombs, garbage and half bodies arrive at the same time."""
    bodies = [
        (b"good", PROTOBUF),
        (gzip.compress(bytes(20_000_000)), GZIPPED),
        (b"garbage", GZIPPED),
        (gzip.compress(b"good"), GZIPPED),
    ]
    statuses: list[tuple[int, int]] = []

    def send(which: int) -> None:
        body, headers = bodies[which]
        with http_client(receiver) as client:
            for _ in range(10):
                statuses.append((which, client.post("/v1/traces", content=body, headers=headers).status_code))

    threads = [threading.Thread(target=send, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(statuses) == [(0, 200)] * 10 + [(1, 413)] * 10 + [(2, 400)] * 10 + [(3, 200)] * 10
    assert intake.bodies == [b"good"] * 20


@pytest.fixture(scope="module")
def decoding() -> Iterator[httpx.Client]:
    """Return a client of a receiver that decodes."""
    with http_receiver(DecodingIntake()) as receiver, http_client(receiver) as client:
        yield client


@given(
    st.sampled_from(Signal),
    st.sampled_from(Encoding),
    st.sampled_from(["identity", "gzip", "zstd"]),
    st.binary(max_size=80),
    st.sampled_from([bytes, gzip.compress, zstd_of]),
)
@settings(max_examples=150, deadline=None)
def test_no_body_is_answered_with_a_server_error(
    decoding: httpx.Client,
    signal: Signal,
    encoding: Encoding,
    compression: str,
    body: bytes,
    wrap: Callable[[bytes], bytes],
) -> None:
    """Whatever is sent is taken or is the sender's fault, and says so in the encoding of the request."""
    content = wrap(body)
    headers = {"Content-Type": encoding.value, "Content-Encoding": compression}
    response = decoding.post(f"/v1/{signal}", content=content, headers=headers)
    assert response.status_code in (200, 400)
    assert response.headers["content-type"] == encoding


def raw_request(receiver: Receiver, headers: str) -> socket.socket:
    """Open a connection and send the head of a request."""
    sender = socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_SECONDS)
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n"
    sender.sendall(head.encode())
    return sender


def wait_for_count(receiver: Receiver, key: RequestKey, expected: int) -> None:
    """Wait until so many requests were counted."""
    with http_client(receiver) as client:
        for _ in range(2000):
            if receiver.counted().get(key) == expected:
                return
            client.get("/")  # a turn of the receiver's event loop
    raise AssertionError(f"expected {expected} of {key}, found {receiver.counted()}")
