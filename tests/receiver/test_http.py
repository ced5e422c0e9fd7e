"""OTLP/HTTP: what surrounds a body, and how every outcome is answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sloburn.errors import BodyTooLarge, MalformedBody, Overloaded, StorageError
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver import admission
from sloburn.receiver.auth import Auth
from sloburn.receiver.intake import Receipt
from sloburn.receiver.tally import RequestKey, Wire
from tests.receiver.intakes import RecordingIntake
from tests.receiver.servers import Receiver, http_client, http_receiver

PROTOBUF, JSON = {"Content-Type": "application/x-protobuf"}, {"Content-Type": "application/json"}
RESPONSES: dict[Signal, tuple[type[Message], str, str]] = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
}


@pytest.fixture(scope="module")
def intake() -> RecordingIntake:
    """Return the intake behind the module's receiver."""
    return RecordingIntake()


@pytest.fixture(scope="module")
def receiver(intake: RecordingIntake) -> Iterator[Receiver]:
    """Serve for the module."""
    with http_receiver(intake) as found:
        yield found


@pytest.fixture
def client(receiver: Receiver, intake: RecordingIntake) -> Iterator[httpx.Client]:
    """Return a client of a receiver that takes everything."""
    intake.outcome = Receipt()
    intake.requests.clear()
    with http_client(receiver) as found:
        yield found


# --- requests that are taken ---


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("encoding", Encoding)
def test_a_request_reaches_the_intake_as_it_was_sent(
    client: httpx.Client, intake: RecordingIntake, signal: Signal, encoding: Encoding
) -> None:
    """Signal, encoding and body arrive; the answer is an empty response in the same encoding."""
    response = client.post(f"/v1/{signal}", content=b"body", headers={"Content-Type": encoding})
    assert intake.requests == [(signal, encoding, b"body")]
    assert (response.status_code, response.headers["content-type"]) == (200, encoding)
    assert response.content == (b"{}" if encoding is Encoding.JSON else b"")


@pytest.mark.parametrize("named", ["application/json; charset=utf-8", "Application/JSON", "application/json;x=y;z=1"])
def test_parameters_and_case_of_the_content_type_do_not_matter(client: httpx.Client, named: str) -> None:
    """Media types are compared without case and parameters (RFC 9110, 8.3.1)."""
    response = client.post("/v1/logs", content=b"{}", headers={"Content-Type": named})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("signal", Signal)
def test_rejected_items_are_reported_as_partial_success(
    client: httpx.Client, intake: RecordingIntake, signal: Signal
) -> None:
    """The number of items and the reason travel in the signal's own response, in both encodings."""
    intake.outcome = Receipt(rejected=3, message="too old")
    kind, field, json_field = RESPONSES[signal]
    in_protobuf = client.post(f"/v1/{signal}", content=b"", headers=PROTOBUF)
    in_json = client.post(f"/v1/{signal}", content=b"", headers=JSON)
    assert [in_protobuf.status_code, in_json.status_code] == [200, 200]
    assert kind.FromString(in_protobuf.content) == kind(partial_success={field: 3, "error_message": "too old"})
    assert in_json.json() == {"partialSuccess": {json_field: "3", "errorMessage": "too old"}}


def test_a_warning_is_a_partial_success_without_rejections(client: httpx.Client, intake: RecordingIntake) -> None:
    """A message without rejected items still reaches the sender, even one that UTF-8 cannot write."""
    intake.outcome = Receipt(message="clock is ahead \ud800")
    response = client.post("/v1/traces", content=b"", headers=JSON)
    assert response.json() == {"partialSuccess": {"errorMessage": "clock is ahead ?"}}


# --- errors of the intake ---


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (MalformedBody("no protobuf"), 400, 3, None),
        (BodyTooLarge("too large"), 413, 8, None),
        (Overloaded("the queue is full"), 429, 14, 1),
        (StorageError("the disk is full"), 503, 14, 5),
    ],
)
def test_an_error_is_a_status_in_the_encoding_of_the_request(
    client: httpx.Client, intake: RecordingIntake, error: Exception, status: int, code: int, retry_after: int | None
) -> None:
    """The body is a google.rpc.Status; Retry-After and RetryInfo are there if, and only if, a retry helps."""
    intake.outcome = error
    in_protobuf = client.post("/v1/traces", content=b"", headers=PROTOBUF)
    in_json = client.post("/v1/traces", content=b"", headers=JSON)
    for response, encoding in ((in_protobuf, Encoding.PROTOBUF), (in_json, Encoding.JSON)):
        assert (response.status_code, response.headers["content-type"]) == (status, encoding)
        assert response.headers.get("retry-after") == (None if retry_after is None else str(retry_after))
    read = Status.FromString(in_protobuf.content)
    assert (read.code, read.message) == (code, str(error)) == (in_json.json()["code"], in_json.json()["message"])
    assert _retry_seconds(read) == retry_after
    assert _bad_data(read) == ([str(error)] if status == 400 else [])
    kinds = [detail["@type"].rpartition(".")[2] for detail in in_json.json().get("details", [])]
    assert kinds == ["RetryInfo"] * (retry_after is not None) + ["BadRequest"] * (status == 400)


def _retry_seconds(status: Status) -> int | None:
    """Return what the RetryInfo of a status says; None without one."""
    infos = [RetryInfo() for detail in status.details if detail.Is(RetryInfo.DESCRIPTOR)]
    for info, detail in zip(infos, status.details, strict=False):
        detail.Unpack(info)
    return infos[0].retry_delay.seconds if infos else None


def _bad_data(status: Status) -> list[str]:
    """Return what a BadRequest says of the body: OTLP/HTTP wants one for bad data."""
    found = BadRequest()
    unpacked = [detail.Unpack(found) for detail in status.details if detail.Is(BadRequest.DESCRIPTOR)]
    return [violation.description for violation in found.field_violations] if any(unpacked) else []


def test_what_nobody_foresaw_is_503_logged_once_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen error never is a 500; a burst of them is one line in the log, and the next request is served."""
    monkeypatch.setattr(admission, "_LOG_EVERY_SECONDS", 1e6)  # a burst is a burst, however slow the machine
    intake = RecordingIntake(RuntimeError("boom"))
    with http_receiver(intake) as receiver, http_client(receiver) as client, caplog.at_level(logging.ERROR):
        responses = [client.post("/v1/traces", content=b"", headers=JSON) for _ in range(3)]
        intake.outcome = Receipt()
        assert client.post("/v1/traces", content=b"", headers=JSON).status_code == 200
        assert {(response.status_code, response.headers["retry-after"]) for response in responses} == {(503, "5")}
        assert "boom" not in responses[0].text
        assert receiver.tally.unforeseen == 3
    assert len([record for record in caplog.records if record.name == "sloburn.receiver"]) == 1
    assert "boom" in caplog.text


# --- what surrounds the body ---


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/protobuf"}])
def test_another_content_type_is_415_and_names_both(client: httpx.Client, headers: dict[str, str]) -> None:
    """The answer is JSON, for want of a known encoding, and says what is taken."""
    response = client.post("/v1/traces", content=b"x", headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (415, "application/json")
    assert response.headers["accept-post"] == "application/x-protobuf, application/json"
    found = headers.get("Content-Type", "none")
    expected = f"Content-Type: expected application/x-protobuf or application/json, found {found}"
    assert response.json() == {"code": 3, "message": expected}


@pytest.mark.parametrize("named", ["snappy", "deflate", "gzip, gzip", "br"])
def test_another_content_encoding_is_415_and_names_what_is_taken(client: httpx.Client, named: str) -> None:
    """Only gzip, zstd and identity are known."""
    response = client.post("/v1/traces", content=b"x", headers={**PROTOBUF, "Content-Encoding": named})
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip, identity, zstd")
    expected = f"Content-Encoding: expected one of gzip, identity, zstd, found {named}"
    assert Status.FromString(response.content).message == expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_405_and_names_post(client: httpx.Client, method: str) -> None:
    """A person who opens the address in a browser learns what it is for."""
    response = client.request(method, "/v1/traces")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert "/v1/traces takes OTLP by POST" in response.json()["message"]


@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/", "/v1development/profiles"])
def test_another_path_is_404_and_names_the_three(client: httpx.Client, path: str) -> None:
    """A wrong path is answered in the encoding of the request with the paths there are."""
    response = client.post(path, content=b"x", headers=PROTOBUF)
    assert (response.status_code, response.headers["content-type"]) == (404, Encoding.PROTOBUF)
    expected = f"there is no {path} here: send OTLP to /v1/traces, /v1/metrics, /v1/logs"
    assert Status.FromString(response.content).message == expected


def test_a_token_is_demanded_before_anything_is_read() -> None:
    """Without the bearer token the answer is 401; with it the request is taken."""
    intake = RecordingIntake()
    with http_receiver(intake, auth=Auth(bearer_token="s3cret")) as receiver, http_client(receiver) as client:
        refused = client.post("/v1/traces", content=b"x", headers=JSON)
        taken = client.post("/v1/traces", content=b"y", headers={**JSON, "Authorization": "Bearer s3cret"})
    assert (refused.status_code, refused.headers["www-authenticate"], refused.json()["code"]) == (401, "Bearer", 16)
    assert (taken.status_code, intake.bodies) == (200, [b"y"])


def test_no_cross_origin_header_is_sent(client: httpx.Client) -> None:
    """CORS is off: a page of another origin cannot read the answer."""
    response = client.post("/v1/traces", content=b"{}", headers={**JSON, "Origin": "http://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_requests_are_counted_by_signal_and_status() -> None:
    """Taken, refused and misdirected requests all appear in the tally."""
    with http_receiver(RecordingIntake()) as receiver, http_client(receiver) as client:
        client.post("/v1/logs", content=b"", headers=PROTOBUF)
        client.post("/v1/logs", content=b"", headers=PROTOBUF)
        client.post("/v1/metrics", content=b"")
        client.get("/v1/metrics")
        client.get("/nowhere")
        assert receiver.counted() == {
            RequestKey(Signal.LOGS, Wire.HTTP, "200"): 2,
            RequestKey(Signal.METRICS, Wire.HTTP, "415"): 1,
            RequestKey(Signal.METRICS, Wire.HTTP, "405"): 1,
            RequestKey(None, Wire.HTTP, "404"): 1,
        }


def test_the_json_of_an_error_is_what_the_specification_shows(client: httpx.Client, intake: RecordingIntake) -> None:
    """A retryable error in JSON carries its RetryInfo as protobuf's JSON writes it."""
    intake.outcome = StorageError("the disk is full")
    response = client.post("/v1/traces", content=b"{}", headers=JSON)
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5s"}
    assert json.loads(response.content) == {"code": 14, "message": "the disk is full", "details": [info]}
