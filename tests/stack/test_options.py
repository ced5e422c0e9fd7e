"""Optional parts of the Collector's configuration: each documented combination starts, and TLS and tokens hold."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from collector.stack.places import COLLECTOR
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.sli.harness import NOW
from tests.stack.collecting import TO_FILES, Collecting, collecting, parts_of, program
from tests.telemetry import SpanSpec, trace_request

OPTIONS = COLLECTOR / "options"
COMBINATIONS = (
    ("secure",),
    ("secure-exits",),
    ("otlp-push",),
    ("gateway",),
    ("secure", "secure-exits"),
    ("otlp-push", "secure"),
    ("secure-exits", "otlp-push", "secure"),
    ("secure", "secure-exits", "otlp-push"),
    ("gateway", "secure", "secure-exits"),
)
TOKEN, OTHER = "a-token-of-senders", "a-token-of-the-processor"
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Certificates and tokens in files, as variables name them."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.cert_chain_pems[0].write_to_path(folder / "server.crt")
    server.private_key_pem.write_to_path(folder / "server.key")
    (folder / "in").write_text(f"{TOKEN}\n")
    (folder / "out").write_text(OTHER)
    return {
        "TLS_DIR": str(folder),
        "CA_FILE": str(folder / "ca.crt"),
        "JAEGER_CA_FILE": str(folder / "ca.crt"),
        "OTLP_TOKEN_FILE": str(folder / "in"),
        "SLOBURN_TOKEN_FILE": str(folder / "out"),
    }


def request() -> ExportTraceServiceRequest:
    """Return one failed span."""
    return trace_request([SpanSpec(number=7, end=NOW, error=True)])


@pytest.mark.parametrize("names", COMBINATIONS, ids=" ".join)
def test_documented_combinations_start(tmp_path: Path, secrets: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Parts that say that they combine do, in any order: the Collector becomes ready."""
    parts = [OPTIONS / f"{name}.yaml" for name in names]
    with collecting(tmp_path, *parts, environment=secrets) as collector:
        collector.wait_for_log("Everything is ready")  # said after the health check has begun to answer


@contextmanager
def client(secrets: Mapping[str, str], collector: Collecting) -> Iterator[httpx.Client]:
    """Give a client that trusts the Collector."""
    address = f"https://127.0.0.1:{collector.ports['OTLP_HTTP_PORT']}"
    trusting = ssl.create_default_context(cafile=secrets["CA_FILE"])
    with httpx.Client(base_url=address, verify=trusting, timeout=60, trust_env=False) as found:
        yield found


def test_telemetry_passes_from_door_to_door(tmp_path: Path, secrets: Mapping[str, str]) -> None:
    """One Collector sends to another over TLS with its token, its own losses too; who has no token is refused."""
    for name in ("behind", "before"):
        (tmp_path / name).mkdir()
    asked = {**secrets, "OTLP_TOKEN_FILE": secrets["SLOBURN_TOKEN_FILE"]}
    with collecting(tmp_path / "behind", OPTIONS / "secure.yaml", TO_FILES, environment=asked) as behind:
        to = {"SLOBURN_OTLP_ENDPOINT": f"https://127.0.0.1:{behind.ports['OTLP_HTTP_PORT']}"}
        before = collecting(
            tmp_path / "before", OPTIONS / "secure.yaml", OPTIONS / "secure-exits.yaml", environment={**secrets, **to}
        )
        with before as collector, client(secrets, collector) as sender:
            content = request().SerializeToString()
            headers = {"content-type": "application/x-protobuf"}
            statuses = [
                sender.post("/v1/traces", content=content, headers={**headers, **shown}).status_code
                for shown in ({}, *({"authorization": f"Bearer {token}"} for token in ("of-nobody", OTHER, TOKEN)))
            ]
            wait_for(behind, "otelcol_process_uptime")
            wait_for(behind, "GET /")  # it waits on disk if it has not gone when the Collector is stopped
            collector.stop()
        behind.stop()
        told = behind.told("in")

    assert statuses == [401, 401, 401, 200]
    assert [span["name"] for span in parts_of(told, "resourceSpans", "scopeSpans", "spans")] == ["GET /"]


def wait_for(collector: Collecting, text: str) -> None:
    """Wait until a Collector has written a text; it writes every second."""
    file, until = collector.folder / "in.json", time.monotonic() + PATIENCE_SECONDS
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < until, collector.log[-4000:]
        time.sleep(0.2)


def test_jaeger_may_have_no_certificate(tmp_path: Path, secrets: Mapping[str, str]) -> None:
    """With no authority for it, the exit to Jaeger is plain, while the others are not."""
    for name in ("jaeger", "before"):
        (tmp_path / name).mkdir()
    quick: dict[str, Any] = {"processors": {"tail_sampling": {"decision_wait": "1s"}}}
    with collecting(tmp_path / "jaeger", TO_FILES) as jaeger:
        plain = {
            "JAEGER_OTLP_ENDPOINT": f"127.0.0.1:{jaeger.ports['OTLP_GRPC_PORT']}",
            "JAEGER_OTLP_INSECURE": "true",
            "JAEGER_CA_FILE": "",
        }
        before = collecting(tmp_path / "before", OPTIONS / "secure-exits.yaml", quick, environment={**secrets, **plain})
        with before as collector:
            collector.send("traces", request())
            wait_for(jaeger, "GET /")
        jaeger.stop()
