"""OTLP/gRPC: bodies, limits, and how every outcome is answered."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sloburn.errors import BodyTooLarge, ConfigError, MalformedBody, Overloaded, StorageError
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.auth import Auth
from sloburn.receiver.grpc import SERVICES, start_grpc
from sloburn.receiver.intake import Receipt
from sloburn.receiver.limits import Limits
from sloburn.receiver.tally import RequestKey, Tally, Wire
from tests.receiver.intakes import DecodingIntake, RecordingIntake, StuckIntake
from tests.receiver.servers import PATIENCE_SECONDS, SMALL, Receiver, grpc_receiver

LIMIT = SMALL.max_body_bytes
TRACES = f"/{SERVICES[Signal.TRACES]}/Export"


@pytest.fixture(scope="module")
def intake() -> RecordingIntake:
    """Return the intake behind the module's receiver."""
    return RecordingIntake()


@pytest.fixture(scope="module")
def receiver(intake: RecordingIntake) -> Iterator[Receiver]:
    """Serve for the module."""
    with grpc_receiver(intake) as found:
        yield found


@pytest.fixture
def channel(receiver: Receiver, intake: RecordingIntake) -> Iterator[grpc.Channel]:
    """Return a channel to a receiver that takes everything."""
    intake.outcome = Receipt()
    intake.requests.clear()
    with grpc.insecure_channel(receiver.target) as found:
        yield found


def caller(channel: grpc.Channel, method: str = TRACES) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    """Return what sends bytes and receives bytes."""
    return channel.unary_unary(method)


def export(channel: grpc.Channel, body: bytes, *, method: str = TRACES, **options: Any) -> bytes:
    """Send one request and return its answer."""
    return caller(channel, method)(body, timeout=PATIENCE_SECONDS, **options)


def failure(channel: grpc.Channel, body: bytes, **options: Any) -> grpc.RpcError:
    """Send one request that must fail, and return how it did."""
    with pytest.raises(grpc.RpcError) as raised:
        export(channel, body, **options)
    return raised.value


def details(error: grpc.RpcError) -> Status:
    """Return the google.rpc.Status in the trailing metadata."""
    trailing = {item.key: item.value for item in error.trailing_metadata()}
    return Status.FromString(trailing["grpc-status-details-bin"])


# --- requests that are taken ---


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("signal", Signal)
def test_a_request_reaches_the_intake_inflated(
    channel: grpc.Channel, intake: RecordingIntake, signal: Signal, compression: grpc.Compression
) -> None:
    """Plain and compressed bodies arrive as they were before compression; the answer is an empty response."""
    body = b"\x0a" + bytes(3000)
    answer = export(channel, body, method=f"/{SERVICES[signal]}/Export", compression=compression)
    assert (answer, intake.requests) == (b"", [(signal, Encoding.PROTOBUF, body)])


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_body_up_to_the_limit_is_taken(channel: grpc.Channel, intake: RecordingIntake, size: int) -> None:
    """The limit itself is allowed, compressed or not."""
    body = bytes(size)
    export(channel, body)
    export(channel, body, compression=grpc.Compression.Gzip)
    assert intake.bodies == [body, body]


def test_rejected_items_are_reported_as_partial_success(channel: grpc.Channel, intake: RecordingIntake) -> None:
    """The number of items and the reason travel in the signal's own response."""
    intake.outcome = Receipt(rejected=3, message="too old")
    answers = [export(channel, b"", method=f"/{SERVICES[signal]}/Export") for signal in Signal]
    traces = ExportTraceServiceResponse.FromString(answers[0]).partial_success
    metrics = ExportMetricsServiceResponse.FromString(answers[1]).partial_success
    logs = ExportLogsServiceResponse.FromString(answers[2]).partial_success
    assert [traces.rejected_spans, metrics.rejected_data_points, logs.rejected_log_records] == [3, 3, 3]
    assert {traces.error_message, metrics.error_message, logs.error_message} == {"too old"}


# --- requests that are refused ---


@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [
        (MalformedBody("no protobuf"), grpc.StatusCode.INVALID_ARGUMENT, None),
        (BodyTooLarge("too large"), grpc.StatusCode.RESOURCE_EXHAUSTED, None),
        (Overloaded("the queue is full"), grpc.StatusCode.UNAVAILABLE, 1),
        (StorageError("the disk is full"), grpc.StatusCode.UNAVAILABLE, 5),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, Exception) else "",
)
def test_an_error_is_a_status_with_details(
    channel: grpc.Channel, intake: RecordingIntake, error: Exception, code: grpc.StatusCode, retry_after: int | None
) -> None:
    """Code, message and google.rpc.Status agree; RetryInfo is there if, and only if, a retry helps."""
    intake.outcome = error
    raised = failure(channel, b"")
    status = details(raised)
    assert (raised.code(), raised.details()) == (code, str(error))
    assert (status.code, status.message) == (code.value[0], str(error))
    retries = [detail for detail in status.details if detail.Is(RetryInfo.DESCRIPTOR)]
    seconds = [RetryInfo.FromString(detail.value).retry_delay.seconds for detail in retries]
    assert seconds == ([] if retry_after is None else [retry_after])
    bad = [detail for detail in status.details if detail.Is(BadRequest.DESCRIPTOR)]
    assert bool(bad) is (code is grpc.StatusCode.INVALID_ARGUMENT)
    intake.outcome = Receipt()
    assert export(channel, b"next") == b""


def test_what_nobody_foresaw_is_unavailable_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen error invites a retry, keeps its text to the log, and the next request is served."""
    intake = RecordingIntake(RuntimeError("boom"))
    with grpc_receiver(intake) as receiver, grpc.insecure_channel(receiver.target) as channel:
        raised = failure(channel, b"")
        intake.outcome = Receipt()
        assert export(channel, b"next") == b""
        assert receiver.tally.unforeseen == 1
    assert (raised.code(), len(details(raised).details)) == (grpc.StatusCode.UNAVAILABLE, 1)
    assert "boom" not in str(raised.details())
    assert "boom" in caplog.text


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_body_over_the_limit_is_resource_exhausted(
    channel: grpc.Channel, intake: RecordingIntake, compression: grpc.Compression
) -> None:
    """One byte over the limit, before or after inflation, is refused for good; the next request succeeds."""
    for body in (bytes(LIMIT + 1), os.urandom(LIMIT + 1)):
        raised = failure(channel, body, compression=compression)
        assert raised.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert intake.requests == []
    assert export(channel, b"next") == b""


def test_a_bomb_does_not_expand_in_memory(channel: grpc.Channel, intake: RecordingIntake) -> None:
    """A compressed body that claims to be 400 MB is refused without being inflated."""
    bomb = gzip.compress(bytes(40_000_000), 9) + gzip.compress(bytes(1000))
    export(channel, gzip.compress(b"warm"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):
        assert failure(channel, bomb).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 20_000
    assert intake.bodies == [b"warm"]


@pytest.mark.parametrize(
    "body", [gzip.compress(b"x" * 500)[:-3], gzip.compress(b"x") + b"garbage"], ids=["cut", "trailed"]
)
def test_damaged_gzip_is_an_invalid_argument(channel: grpc.Channel, body: bytes) -> None:
    """A compressed body that is damaged is refused for good; the next request succeeds."""
    assert failure(channel, body).code() is grpc.StatusCode.INVALID_ARGUMENT
    assert export(channel, b"next") == b""


def test_a_malformed_body_is_an_invalid_argument() -> None:
    """What the decoder refuses is the sender's fault, with the decoder's sentence; the next request succeeds."""
    with grpc_receiver(DecodingIntake()) as receiver, grpc.insecure_channel(receiver.target) as channel:
        raised = failure(channel, b"\xff\xff")
        assert export(channel, b"") == b""
    assert raised.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.details() == "the body is no ExportTraceServiceRequest in protobuf: Wire format was corrupt"


def test_another_compression_is_unimplemented(channel: grpc.Channel) -> None:
    """Deflate is not taken, as only gzip and identity are promised; the next request succeeds."""
    raised = failure(channel, bytes(1000), compression=grpc.Compression.Deflate)
    assert raised.code() is grpc.StatusCode.UNIMPLEMENTED
    assert export(channel, b"next") == b""


def test_another_method_is_unimplemented(channel: grpc.Channel) -> None:
    """There is nothing but Export."""
    raised = failure(channel, b"", method=f"/{SERVICES[Signal.TRACES]}/Import")
    assert raised.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_token_is_demanded() -> None:
    """Without the bearer token the answer is UNAUTHENTICATED; with it the request is taken."""
    intake = RecordingIntake()
    with (
        grpc_receiver(intake, auth=Auth(bearer_token="s3cret")) as receiver,
        grpc.insecure_channel(receiver.target) as channel,
    ):
        assert failure(channel, b"x").code() is grpc.StatusCode.UNAUTHENTICATED
        assert export(channel, b"y", metadata=[("authorization", "Bearer s3cret")]) == b""
    assert intake.bodies == [b"y"]


def test_more_than_may_be_pending_is_told_to_retry() -> None:
    """Load beyond the memory bound is UNAVAILABLE with RetryInfo, until what is pending is done."""
    intake, body = StuckIntake(), bytes(40_000)
    limits = Limits(max_body_bytes=50_000, max_pending_bytes=60_000)
    with grpc_receiver(intake, limits=limits) as receiver, grpc.insecure_channel(receiver.target) as channel:
        first = caller(channel).future(body, timeout=PATIENCE_SECONDS)
        assert intake.entered.wait(PATIENCE_SECONDS)
        refused = failure(channel, body)
        intake.let_go()
        assert first.result(PATIENCE_SECONDS) == b""
        assert export(channel, body) == b""
    assert (refused.code(), len(details(refused).details)) == (grpc.StatusCode.UNAVAILABLE, 1)


def test_a_sender_that_goes_away_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A request that its sender cancels is no error of ours, and gives back what it held."""
    intake, body = StuckIntake(), bytes(40_000)
    limits = Limits(max_body_bytes=50_000, max_pending_bytes=60_000)
    with grpc_receiver(intake, limits=limits) as receiver, grpc.insecure_channel(receiver.target) as channel:
        call = caller(channel).future(body, timeout=PATIENCE_SECONDS)
        assert intake.entered.wait(PATIENCE_SECONDS)
        call.cancel()
        assert intake.cancelled.wait(PATIENCE_SECONDS)
        intake.let_go()
        assert export(channel, body) == b""
    assert receiver.counted() == {
        RequestKey(Signal.TRACES, Wire.GRPC, "CANCELLED"): 1,
        RequestKey(Signal.TRACES, Wire.GRPC, "OK"): 1,
    }
    assert caplog.records == []


# --- the server ---


def test_requests_are_counted_by_signal_and_status() -> None:
    """Taken and refused requests appear in the tally."""
    intake = RecordingIntake()
    with grpc_receiver(intake) as receiver, grpc.insecure_channel(receiver.target) as channel:
        export(channel, b"", method=f"/{SERVICES[Signal.LOGS]}/Export")
        intake.outcome = MalformedBody("x")
        failure(channel, b"")
    assert receiver.counted() == {
        RequestKey(Signal.LOGS, Wire.GRPC, "OK"): 1,
        RequestKey(Signal.TRACES, Wire.GRPC, "INVALID_ARGUMENT"): 1,
    }


def test_an_occupied_port_is_a_configuration_error(receiver: Receiver) -> None:
    """A second receiver on the port fails at start and names the address, instead of sharing the requests."""
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{receiver.port}"):
        asyncio.run(start_and_stop("127.0.0.1", receiver.port))


def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    """An address that is not ours fails at start, in brackets if it is one of IPv6."""
    with pytest.raises(ConfigError, match=r"cannot listen on \[2001:db8::1\]:4317"):
        asyncio.run(start_and_stop("2001:db8::1", 4317))


async def start_and_stop(host: str, port: int) -> None:
    """Start a receiver and stop it."""
    server = await start_grpc(RecordingIntake(), host=host, port=port, limits=SMALL, tally=Tally())
    await server.stop(0)
