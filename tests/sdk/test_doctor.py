"""`sloburn doctor`: every way in which nothing arrives has a name, an advice and an exit status; `sloburn probe`."""

from __future__ import annotations

import json
import socket
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sloburn.cli.doctor import _hops
from sloburn.sdk.config import Arguments
from sloburn.sdk.doctor.hops import STACK
from sloburn.sdk.doctor.packages import look_at_instrumentation, look_at_packages
from sloburn.sdk.doctor.queues import waiting
from sloburn.sdk.doctor.settings import look_at_settings
from sloburn.sdk.environment import resolve
from sloburn.sdk.health.checks import Health
from tests.sdk.collector import Collector
from tests.sdk.processes import Finished, free_port, run, started, wait_until

_CLI = "import sys; from sloburn.cli import main; sys.exit(main(sys.argv[1:]))"
_TLS_ALERT = bytes.fromhex("15030100020246")
_SETTINGS = bytes.fromhex("000000040000000000")


# Every one is read by another module, or only if others have certain values.
_READ = (
    "OTEL_CONFIG_FILE", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_PROPAGATORS", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_TRACES_SAMPLER_ARG", "SLOBURN_AUDIT_FILE", "SLOBURN_CELERY", "SLOBURN_DATA", "SLOBURN_SLOS",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the doctor said."""

    status: int
    findings: list[dict[str, str]]

    def texts(self, about: str, level: str = "problem") -> list[str]:
        """Return the sentences about something."""
        return [one["text"] for one in self.findings if (one["about"], one["level"]) == (about, level)]

    def advice(self, about: str) -> str:
        """Return all advice about something."""
        return " ".join(one["advice"] for one in self.findings if one["about"] == about)


def _doctor(*arguments: str, extra: Mapping[str, str] | None = None) -> Diagnosis:
    done = run(_CLI, "doctor", "--json", "--timeout", "1", *arguments, extra=extra)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    assert document["problems"] == sum(one["level"] == "problem" for one in document["findings"])
    return Diagnosis(status=done.status, findings=document["findings"])


@contextmanager
def _answering(first: bytes | None) -> Iterator[int]:
    """Listen, and answer every connection with the same bytes, or not at all."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            kept = []
            while not is_over.is_set():
                connection, _ = listener.accept()
                kept.append(connection)
                if first is not None and not is_over.is_set():
                    connection.recv(65536)
                    connection.sendall(first)
            for connection in kept:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = int(listener.getsockname()[1])
        try:
            yield port
        finally:
            is_over.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


def test_nobody_listens() -> None:
    """A port without a listener is named, said once for all signals, and the round trip fails alike."""
    port = free_port()
    found = _doctor("--endpoint", f"http://127.0.0.1:{port}")
    assert (found.status, found.texts("network")) == (1, [f"nobody listens on 127.0.0.1:{port}"])
    items = ("span", "metric", "log line")
    assert found.texts("round trip") == [f"one {item} was not taken: connection refused" for item in items]


def test_name_that_does_not_exist() -> None:
    """A name that cannot be resolved is called that."""
    found = _doctor("--endpoint", "http://collector.invalid:4318")
    assert found.texts("network")[0] == "the name collector.invalid cannot be resolved"


@pytest.mark.parametrize(
    ("first", "protocol", "expected", "advice"),
    [
        (None, "http/protobuf", "takes the connection and never answers", "hangs"),
        (_TLS_ALERT, "http/protobuf", "speaks TLS", "use https://"),
        (_SETTINGS, "http/protobuf", "speaks gRPC", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        (b"SSH-2.0-OpenSSH", "http/protobuf", "does not speak HTTP", "check port"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "grpc", "speaks HTTP/1 and not gRPC", "4317"),
        (_TLS_ALERT, "grpc", "speaks TLS", "use https://"),
    ],
)
def test_other_protocols(first: bytes | None, protocol: str, expected: str, advice: str) -> None:
    """The first bytes tell which protocol is spoken instead, and the advice says what to change."""
    with _answering(first) as port:
        began = time.monotonic()
        found = _doctor("--endpoint", f"http://127.0.0.1:{port}", "--protocol", protocol)
        assert time.monotonic() - began < 19
    assert found.status == 1
    assert expected in found.texts("network")[0]
    assert advice in found.advice("network")
    assert len(found.texts("round trip")) == 3


def test_https_to_a_port_without_tls() -> None:
    """An address that begins with https where nobody speaks TLS is told from an untrusted certificate."""
    with Collector() as collector:
        found = _doctor("--endpoint", collector.endpoint.replace("http:", "https:"))
    assert "speaks no TLS" in found.texts("network")[0]
    assert "use http:// instead of https://" in found.advice("network")


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "it wants credentials"), (403, "refuses these credentials"), (404, "no such path")]
)
def test_refusals(status: int, advice: str) -> None:
    """A receiver that refuses is quoted, and the advice names the setting."""
    with Collector(statuses=(status,) * 20) as collector:
        found = _doctor("--endpoint", collector.endpoint)
    assert f"answers HTTP {status}" in found.texts("network")[0]
    assert advice in found.advice("network")
    assert f"one span was not taken: HTTP {status}" in found.texts("round trip")[0]


def test_overload_passes() -> None:
    """A receiver that is overloaded at first is a note, not the cause."""
    with Collector(statuses=(503,)) as collector:
        found = _doctor("--endpoint", collector.endpoint, "--timeout", "3")
    assert "answers HTTP 503" in found.texts("network", "note")[0]
    assert (found.status, found.texts("round trip")) == (0, [])


def test_all_is_well_and_no_secret_is_shown() -> None:
    """A healthy receiver gets one of each signal under the doctor's own name; headers are named and never shown."""
    with Collector() as collector:
        extra = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint.replace("http://", "http://user:hunter2@"),
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret",
            "OTEL_SERVICE_NAME": "shop",
        }
        found = _doctor(extra=extra)
        assert (found.status, len(found.texts("round trip", "ok"))) == (0, 3)
        assert collector.span("sloburn doctor").resource["service.name"] == "sloburn-doctor"
        assert collector.total("sloburn.doctor.canary") == 1
        assert [log.logger for log in collector.arrivals.logs] == ["sloburn.doctor"]
        assert {headers["authorization"] for headers in collector.arrivals.headers} == {"Bearer s3cret"}
    shown = json.dumps(found.findings)
    assert "authorization: [set]" in shown
    assert not [secret for secret in ("hunter2", "s3cret") if secret in shown]


def test_settings_that_are_in_the_way() -> None:
    """Telemetry that is switched off, signals that go nowhere and settings that were refused are named."""
    switched_off = _doctor(extra={"OTEL_SDK_DISABLED": "true"})
    assert switched_off.texts("settings") == ["telemetry is switched off by OTEL_SDK_DISABLED"]
    with Collector() as collector:
        extra = {"OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_TRACES_SAMPLER": "traceidratio",
                 "OTEL_TRACES_SAMPLER_ARG": "0.01", "FASTAPI_OTEL_AUTO_CONFIGURE": "true"}  # fmt: skip
        found = _doctor("--endpoint", collector.endpoint, extra=extra)
    assert found.status == 1
    assert "OTEL_BSP_SCHEDULE_DELAY" in found.texts("settings")[0]
    assert {"logs go nowhere", "0.01 of new traces is recorded: most requests leave no trace"} <= set(
        found.texts("settings", "note")
    )
    assert "FASTAPI_OTEL_AUTO_CONFIGURE makes FastAPI set up exporters of its own" in found.texts("instrumentation")[0]


def test_variables_that_nobody_reads() -> None:
    """A misspelt variable is not in force: its name is told with the nearest one, a problem if it can only be ours."""
    config, _ = resolve(Arguments(), {})
    environ = dict.fromkeys(_READ, "1") | {"SLOBURN_LOGLEVEL": "DEBUG", "SLOBURN_NOTHING_LIKE_IT": "1"}
    environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOIN": "http://x",
        "OTEL_OTHER": "1",
        "SLOBURN_PORT_4318_TCP": "tcp://x",
        "SLOBURN_STACK_DATA": "x",
    }
    found = [one for one in look_at_settings(config, [], environ) if "reads" in one.text or "read " in one.text]
    assert [(one.level, one.text, one.advice) for one in found] == [
        ("note", "sloburn does not read OTEL_EXPORTER_OTLP_ENDPOIN", "did you mean OTEL_EXPORTER_OTLP_ENDPOINT?"),
        ("note", "sloburn does not read OTEL_OTHER", "a library's own instrumentation may read it"),
        ("problem", "nobody reads SLOBURN_LOGLEVEL", "did you mean SLOBURN_LOG_LEVEL? correct it, or remove it"),
        ("problem", "nobody reads SLOBURN_NOTHING_LIKE_IT", "correct it, or remove it"),
    ]
    (in_force,) = [one.text for one in look_at_settings(config, [], environ) if "in force" in one.text]
    assert in_force == f"environment variables in force: {', '.join(sorted(_READ))}"


def test_packages_that_do_not_fit() -> None:
    """A pinned version that is not the installed one is named with both; what only an extra wants is not."""
    versions = {
        "opentelemetry-sdk": ("1.45.2", ("opentelemetry-api==1.45.2", "opentelemetry-x==1 ; extra == 'x'")),
        "opentelemetry-api": ("1.44.0", ()),
        "opentelemetry-x": ("2", ()),
    }
    (finding,) = look_at_packages(versions)
    assert finding.text == "opentelemetry-sdk 1.45.2 needs opentelemetry-api 1.45.2, installed is 1.44.0"


def test_others_that_instrument() -> None:
    """Tracers that patch the same libraries, and opentelemetry-instrument, are named."""
    found = list(look_at_instrumentation({"ddtrace": ("4.16", ())}, {"PYTHONPATH": "/x/auto_instrumentation"}))
    assert [one.level for one in found] == ["problem", "note"]
    assert "ddtrace 4.16 is installed" in found[1].text


def test_application(tmp_path: Path) -> None:
    """An application is imported: its own settings are examined, and one that starts no telemetry is told so."""
    (tmp_path / "good.py").write_text(
        "from fastapi import FastAPI\nfrom opentelemetry.instrumentation.fastapi import FastAPIInstrumentor\n"
        "from sloburn import init_telemetry\ninit_telemetry(service_name='shop', shutdown_timeout=0.1)\n"
        "app = FastAPI()\nFastAPIInstrumentor.instrument_app(app)\n"
    )
    (tmp_path / "bad.py").write_text("app = None\n")
    with Collector() as collector:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "PYTHONPATH": str(tmp_path)}
        good, bad = (_doctor("--app", f"{name}:app", extra=extra) for name in ("good", "bad"))
    assert "service 'shop'" in good.texts("settings", "ok")
    assert "contrib's FastAPI instrumentation is on this application" in good.texts("instrumentation", "note")[0]
    assert "contrib emits the old HTTP names" in good.texts("instrumentation")[0]
    assert bad.texts("instrumentation") == ["importing the application does not call init_telemetry"]
    for name in ("nothing:app", "noattribute"):
        done = run(_CLI, "doctor", "--app", name)
        assert (done.status, done.stderr.startswith(f"--app {name}: ")) == (1, True)


class Backends(ThreadingHTTPServer):
    """Jaeger, Prometheus and Loki in one, which have whatever they are asked for, or nothing."""

    def __init__(self, *, has_it: bool) -> None:
        backends = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backends.asked.append(self.path)
                found = [1] if has_it else []
                document: Any = {"data": found if "traces" in self.path else {"result": found}}
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True


@pytest.mark.parametrize("has_it", [True, False])
def test_hops(has_it: bool) -> None:
    """Every hop is asked for the canary by its mark or trace id, and the one that does not have it is named."""
    with Collector() as collector, Backends(has_it=has_it) as backends:
        thread = threading.Thread(target=backends.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{backends.server_address[1]}"
        found = _doctor(
            "--endpoint", collector.endpoint, "--jaeger", url, "--prometheus", url, "--loki", url, "--wait", "0.5"
        )
        span = collector.span("sloburn doctor")
        backends.shutdown()
        thread.join()
    assert (found.status, len(found.texts("hops", "ok" if has_it else "problem"))) == (0 if has_it else 1, 3)
    assert any(span.trace_id in path for path in backends.asked)
    assert any(str(span.attributes["sloburn.doctor.mark"]) in path for path in backends.asked)


_METRICS = """\
# TYPE otelcol_exporter_queue_size gauge
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http/loki"} 7640
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/jaeger"} 0
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_http/sloburn"} 1.073741824e+09
"""


@pytest.mark.parametrize(
    ("behind", "held"),
    [("loki", [("otlp_http/loki", 7640)]), ("jaeger", []), ("sloburn", [("otlp_http/sloburn", 1073741824)])],
)
def test_what_the_collector_holds(behind: str, held: list[tuple[str, int]]) -> None:
    """The Collector's own metrics say for whom it holds telemetry back; an empty queue says nothing."""
    assert list(waiting(_METRICS, behind)) == held


def test_stack_is_asked_where_it_usually_is() -> None:
    """--stack fills in the usual address of every hop; one that is given wins."""
    given = Namespace(stack=True, prometheus="http://p:1", jaeger=None, loki=None, processor=None, collector=None)

    assert _hops(given) == replace(STACK, prometheus="http://p:1")


def test_against_the_processor(tmp_path: Path) -> None:
    """A healthy `sloburn serve` takes all three signals over both protocols and is seen to have taken them."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(
        "version: sloburn/v1\nslos:\n  - name: a\n    service: shop\n    objective: 99.9\n    period: 30d\n"
        "    indicator:\n      spans: {kind: server}\n      bad: {any: [{status: error}]}\n"
    )
    http, grpc, page = free_port(), free_port(), free_port()
    addresses = [
        "--otlp-http",
        f"127.0.0.1:{http}",
        "--otlp-grpc",
        f"127.0.0.1:{grpc}",
        "--listen",
        f"127.0.0.1:{page}",
    ]
    with started(
        "-m", "sloburn.cli", "serve", "--slos", str(slos), "--data", str(tmp_path / "d"), *addresses
    ) as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "is ready" in lines.readline(), process)
        over_http = _doctor("--endpoint", f"http://127.0.0.1:{http}", "--processor", f"http://127.0.0.1:{page}")
        over_grpc = _doctor("--endpoint", f"http://127.0.0.1:{grpc}", "--protocol", "grpc", "--timeout", "5")
        crossed = _doctor("--endpoint", f"http://127.0.0.1:{grpc}")
        process.terminate()
        process.communicate(timeout=20)
    assert (over_http.status, len(over_http.texts("round trip", "ok"))) == (0, 3)
    assert "the processor has it" in over_http.texts("hops", "ok")[0]
    assert (over_grpc.status, over_grpc.texts("network", "ok")) == (
        0,
        [f"http://127.0.0.1:{grpc} speaks HTTP/2, as gRPC does"],
    )
    assert f"http://127.0.0.1:{grpc}/v1/traces speaks gRPC" in crossed.texts("network")


def test_output_for_people() -> None:
    """Without --json there is one line for each finding, its advice below, and the first problem at the end."""
    port = free_port()
    done = run(_CLI, "doctor", "--endpoint", f"http://127.0.0.1:{port}", "--timeout", "1")
    assert f"PROBLEM  network: nobody listens on 127.0.0.1:{port}\n          → start the Collector" in done.stdout
    assert done.stdout.endswith(f"4 problems; the first: nobody listens on 127.0.0.1:{port}\n")
    assert done.stderr == ""


def _probe(*arguments: str) -> Finished:
    return run(_CLI, "probe", *arguments)


def test_probe(tmp_path: Path) -> None:
    """A file or an address is judged by exit status; a call without either says what is missing."""
    health = Health()
    server = health.serve(port=0)
    assert server is not None
    path = tmp_path / "probe"
    file = health.write_file(str(path), every=0.05)
    url = f"http://127.0.0.1:{server.port}/readyz"
    try:
        wait_until(path.exists)
        assert [_probe("--file", str(path), "--max-age", "60").status, _probe("--url", url).status] == [0, 0]
        health.add("db", lambda: False)
        wait_until(lambda: '"fail"' in path.read_text())
        failing = _probe("--file", str(path), "--max-age", "60")
        assert (failing.status, failing.stdout) == (1, "fail: 1 of 1 checks fail: db\n")
        assert (_probe("--url", url).stdout, _probe("--url", url).status) == ("HTTP 503\n", 1)
    finally:
        file.close()
        server.close()
    assert "is not there" in _probe("--file", str(path)).stdout
    assert "does not answer" in _probe("--url", url).stdout
    missing = _probe()
    assert (missing.status, missing.stderr) == (1, "give --file PATH or --url URL\n")
