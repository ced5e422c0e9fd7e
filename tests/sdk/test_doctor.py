"""`sloburn doctor`: every way in which nothing arrives has a name, an advice and an exit status; `sloburn probe`."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sloburn.sdk.config import Arguments
from sloburn.sdk.doctor.examine import Examination, look_at_arrivals
from sloburn.sdk.doctor.finding import Finding
from sloburn.sdk.doctor.hops import Hops
from sloburn.sdk.doctor.packages import look_at_instrumentation, look_at_packages
from sloburn.sdk.doctor.settings import look_at_settings
from sloburn.sdk.doctor.side_by_side import side_by_side
from sloburn.sdk.environment import resolve
from sloburn.sdk.health.checks import Health
from tests.sdk.collector import Collector
from tests.sdk.diagnosis import CLI, doctor
from tests.sdk.processes import PATIENCE_SECONDS, Finished, free_port, run, started, wait_until

_TLS_ALERT = bytes.fromhex("15030100020246")
_SETTINGS = bytes.fromhex("000000040000000000")


# Every one is read by another module, or only if others have certain values.
_READ = (
    "OTEL_CONFIG_FILE", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_PROPAGATORS", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_TRACES_SAMPLER_ARG", "SLOBURN_AUDIT_FILE", "SLOBURN_CELERY", "SLOBURN_DATA", "SLOBURN_SLOS",
)  # fmt: skip


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
                # Who asked may have left meanwhile.
                with suppress(OSError):
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
    found = doctor("--endpoint", f"http://127.0.0.1:{port}")
    assert (found.status, found.texts("network")) == (1, [f"nobody listens on 127.0.0.1:{port}"])
    items = ("span", "metric", "log line")
    assert found.texts("round trip") == [f"one {item} was not taken: connection refused" for item in items]


def test_name_that_does_not_exist() -> None:
    """A name that cannot be resolved is called that."""
    found = doctor("--endpoint", "http://collector.invalid:4318")
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
        seconds = "2" if first is None else "10"
        found = doctor("--endpoint", f"http://127.0.0.1:{port}", "--protocol", protocol, "--timeout", seconds)
    assert found.status == 1
    assert expected in found.texts("network")[0]
    assert advice in found.advice("network")
    assert len(found.texts("round trip")) == 3


def test_hanging_receiver_is_probed_once_for_all() -> None:
    """All three addresses are probed at the same time, and the canary is not waited for where nothing answers."""
    with Collector(is_hanging=True) as collector:
        began = time.monotonic()
        found = list(_arrivals_of(collector.endpoint, timeout_seconds=4.0))
        # One after the other they would take 9.6 s, and the canary as long again.
        assert time.monotonic() - began < 9
    assert [finding.text.rpartition(" takes ")[2] for finding in found[:3]] == ["the connection and never answers"] * 3
    assert [finding.level for finding in found] == ["problem"] * 6


def _arrivals_of(endpoint: str, timeout_seconds: float) -> Iterator[Finding]:
    config, _ = resolve(Arguments(endpoint=endpoint, service_name="shop"), {})
    return look_at_arrivals(config, Examination(arguments=Arguments(), hops=Hops(), timeout_seconds=timeout_seconds))


def test_what_hangs_is_left_behind() -> None:
    """What is done side by side takes as long as one of them may, and only what has not returned is missing."""
    hanging, clock = threading.Event(), iter((0.0, 0.0, 60.0))
    assert side_by_side([lambda: True, lambda: hanging.wait(120)], 60.0, lambda: next(clock)) == [True, None]
    hanging.set()


def test_https_to_a_port_without_tls() -> None:
    """An address that begins with https where nobody speaks TLS is told from an untrusted certificate."""
    with Collector() as collector:
        found = doctor("--endpoint", collector.endpoint.replace("http:", "https:"))
    assert "speaks no TLS" in found.texts("network")[0]
    assert "use http:// instead of https://" in found.advice("network")


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "it wants credentials"), (403, "refuses these credentials"), (404, "no such path")]
)
def test_refusals(status: int, advice: str) -> None:
    """A receiver that refuses is quoted, and the advice names the setting."""
    with Collector(statuses=(status,) * 20) as collector:
        found = doctor("--endpoint", collector.endpoint)
    assert f"answers HTTP {status}" in found.texts("network")[0]
    assert advice in found.advice("network")
    assert f"one span was not taken: HTTP {status}" in found.texts("round trip")[0]


def test_overload_passes() -> None:
    """A receiver that is overloaded at first is a note, not the cause."""
    with Collector(statuses=(503,)) as collector:
        found = doctor("--endpoint", collector.endpoint)
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
        found = doctor(extra=extra)
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
    switched_off = doctor(extra={"OTEL_SDK_DISABLED": "true"})
    assert switched_off.texts("settings") == ["telemetry is switched off by OTEL_SDK_DISABLED"]
    with Collector() as collector:
        extra = {"OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_TRACES_SAMPLER": "traceidratio",
                 "OTEL_TRACES_SAMPLER_ARG": "0.01", "FASTAPI_OTEL_AUTO_CONFIGURE": "true"}  # fmt: skip
        found = doctor("--endpoint", collector.endpoint, extra=extra)
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
        good, bad = (doctor("--app", f"{name}:app", extra=extra) for name in ("good", "bad"))
    assert "service 'shop'" in good.texts("settings", "ok")
    assert "contrib's FastAPI instrumentation is on this application" in good.texts("instrumentation", "note")[0]
    assert "contrib emits the old HTTP names" in good.texts("instrumentation")[0]
    assert bad.texts("instrumentation") == ["importing the application does not call init_telemetry"]
    for name in ("nothing:app", "noattribute"):
        done = run(CLI, "doctor", "--app", name)
        assert (done.status, done.stderr.startswith(f"--app {name}: ")) == (1, True)


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
        over_http = doctor("--endpoint", f"http://127.0.0.1:{http}", "--processor", f"http://127.0.0.1:{page}")
        over_grpc = doctor("--endpoint", f"http://127.0.0.1:{grpc}", "--protocol", "grpc")
        crossed = doctor("--endpoint", f"http://127.0.0.1:{grpc}")
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert (over_http.status, len(over_http.texts("round trip", "ok"))) == (0, 3)
    assert "the processor took requests since (counts compared" in over_http.texts("hops", "ok")[0]
    assert (over_grpc.status, over_grpc.texts("network", "ok")) == (
        0,
        [f"http://127.0.0.1:{grpc} speaks HTTP/2, as gRPC does"],
    )
    assert f"http://127.0.0.1:{grpc}/v1/traces speaks gRPC" in crossed.texts("network")


def test_output_for_people() -> None:
    """Without --json there is one line for each finding, its advice below, and the first problem at the end."""
    port = free_port()
    done = run(CLI, "doctor", "--endpoint", f"http://127.0.0.1:{port}", "--timeout", "1")
    assert f"PROBLEM  network: nobody listens on 127.0.0.1:{port}\n          → start the Collector" in done.stdout
    assert done.stdout.endswith(f"4 problems; the first: nobody listens on 127.0.0.1:{port}\n")
    assert done.stderr == ""


def _probe(*arguments: str) -> Finished:
    return run(CLI, "probe", *arguments)


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
    assert (missing.status, missing.stderr) == (2, "give --file PATH or --url URL\n")
