"""Who may send: TLS, client certificates and tokens, tried on a real processor over both protocols."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.processor import READY_SECONDS, Processor
from tests.processor import post as post_plain
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request
from tests.test_cli import GOOD, refused, serve

TOKEN = "a-token-of-32-characters-or-more"
REQUEST = trace_request([SpanSpec(number=1, end=NOW)])
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@dataclass(frozen=True)
class Files:
    """Everything that a door needs, as files."""

    folder: Path
    slos: Path
    authority: Path
    certificate: Path
    key: Path
    token: Path
    client: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An authority, the processor's certificate, a sender's certificate, a token and an SLO document."""
    folder = tmp_path_factory.mktemp("door")
    authority = trustme.CA()
    ours, theirs = authority.issue_cert("localhost", "127.0.0.1"), authority.issue_cert("sender@example.org")
    made = Files(folder, *(folder / name for name in ("slos", "ca.pem", "cert.pem", "key.pem", "token", "client.pem")))
    authority.cert_pem.write_to_path(made.authority)
    ours.cert_chain_pems[0].write_to_path(made.certificate)
    ours.private_key_pem.write_to_path(made.key)
    theirs.private_key_and_cert_chain_pem.write_to_path(made.client)
    made.token.write_text(f"{TOKEN}\n")
    made.slos.write_text(GOOD)
    return made


@pytest.fixture(scope="module")
def processor(files: Files) -> Iterator[Processor]:
    """A processor that asks for a certificate and a token."""
    flags = ("--tls-certificate", files.certificate, "--tls-key", files.key, "--tls-client-authority", files.authority)
    with Processor(files.slos, files.folder, *map(str, flags), "--bearer-token-file", str(files.token)) as running:
        yield running


def context(files: Files, *, certified: bool) -> ssl.SSLContext:
    """Return a sender's side of TLS."""
    made = ssl.create_default_context(cafile=files.authority)
    if certified:
        made.load_cert_chain(files.client)
    return made


def post(processor: Processor, files: Files, *, certified: bool = True, token: str = TOKEN) -> int:
    """Send a request over HTTP and return the status."""
    headers = {**PROTOBUF, "Authorization": f"Bearer {token}"}
    with httpx.Client(verify=context(files, certified=certified), trust_env=False, timeout=READY_SECONDS) as client:
        url = f"https://{processor.http}/v1/traces"
        return client.post(url, content=REQUEST.SerializeToString(), headers=headers).status_code


def export(processor: Processor, files: Files, *, certified: bool = True, token: str = TOKEN) -> grpc.StatusCode:
    """Send a request over gRPC and return the status."""
    client = files.client.read_bytes() if certified else None
    secret = grpc.ssl_channel_credentials(files.authority.read_bytes(), client, client)
    with grpc.secure_channel(processor.grpc, secret) as channel:
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        try:
            stub.Export(REQUEST, timeout=READY_SECONDS, metadata=(("authorization", f"Bearer {token}"),))
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


def test_who_has_both_is_let_in(processor: Processor, files: Files) -> None:
    """A sender with certificate and token is served over both protocols."""
    assert (post(processor, files), export(processor, files)) == (200, grpc.StatusCode.OK)


def test_a_wrong_token_is_refused(processor: Processor, files: Files) -> None:
    """A wrong token is 401 over HTTP and UNAUTHENTICATED over gRPC."""
    answers = post(processor, files, token="wrong"), export(processor, files, token="wrong")
    assert answers == (401, grpc.StatusCode.UNAUTHENTICATED)


def test_without_a_certificate_there_is_no_connection(processor: Processor, files: Files) -> None:
    """A sender without a certificate is turned away by the handshake."""
    with pytest.raises(httpx.TransportError):
        post(processor, files, certified=False)
    assert export(processor, files, certified=False) is grpc.StatusCode.UNAVAILABLE


def test_plain_text_is_not_served(processor: Processor) -> None:
    """Where TLS is on, nothing is taken in plain text."""
    with pytest.raises(httpx.TransportError):
        post_plain(f"http://{processor.http}/v1/traces", content=b"", headers=PROTOBUF)


def test_a_key_alone_is_refused(files: Files) -> None:
    """Certificate and key belong together."""
    message = refused(serve(files.slos, "--tls-key", str(files.key)))
    assert message == "tls_certificate and tls_key belong together; expected both or neither"


def test_a_key_of_another_certificate_is_refused(files: Files) -> None:
    """Files that do not belong together are named at start, not at the first handshake."""
    other = files.folder / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    message = refused(serve(files.slos, "--tls-certificate", str(files.certificate), "--tls-key", str(other)))
    assert message.splitlines()[-1].startswith(f"TLS cannot be set up with {files.certificate}, {other}: ")
    assert "KEY_VALUES_MISMATCH" in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff", "cannot be read: it is not UTF-8 text"), (b" \n", "is empty")],
)
def test_a_token_that_is_none_is_refused(files: Files, content: bytes, reason: str) -> None:
    """A token file without a token is named at start, before the store is touched, with no traceback."""
    token = files.folder / "no-token"
    token.write_bytes(content)
    message = refused(serve(files.slos, "--bearer-token-file", str(token), "--data", str(files.folder / "untouched")))
    assert message == f"bearer_token_file: {token} {reason}; expected a file with a token"
    assert not (files.folder / "untouched").exists()


def test_a_file_that_is_not_there_is_refused(files: Files) -> None:
    """A missing token file is named with its flag."""
    message = refused(serve(files.slos, "--bearer-token-file", "gone"))
    assert message == "--bearer-token-file: found 'gone', which is no file; expected one that can be read"
