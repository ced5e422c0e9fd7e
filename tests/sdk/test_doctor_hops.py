"""`sloburn doctor` behind the Collector: who is asked, where they are, and what their silence means."""

from __future__ import annotations

import json
import threading
from argparse import Namespace
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from collector.stack.ports import USUAL as STACK_PORTS

from sloburn.cli.doctor import _hops
from sloburn.errors import ConfigError
from sloburn.sdk.doctor.hops import Hops
from sloburn.sdk.doctor.queues import waiting
from sloburn.sdk.doctor.stack import USUAL, find_stack
from tests.sdk.collector import Collector
from tests.sdk.diagnosis import doctor
from tests.sdk.processes import free_port


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
        found = doctor(
            *("--endpoint", collector.endpoint, "--jaeger", url, "--prometheus", url, "--loki", url),
            *("--wait", "30" if has_it else "0.5"),
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


_USUAL = Hops(
    prometheus="http://127.0.0.1:9090",
    jaeger="http://127.0.0.1:16686",
    loki="http://127.0.0.1:3100",
    processor="http://127.0.0.1:4321",
    alertmanager="http://127.0.0.1:9093",
    collector="http://127.0.0.1:8888",
)


def _record(folder: Path, **ports: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"ports": {**USUAL, **ports}}))
    return folder


def test_stack_is_asked_where_it_usually_is(tmp_path: Path) -> None:
    """--stack fills in the usual address of every hop; one that is given wins."""
    given = Namespace(
        prometheus="http://p:1", jaeger=None, loki=None, processor=None, alertmanager=None, collector=None
    )
    found = find_stack("", tmp_path, {})

    assert found.hops == _USUAL
    assert _hops(given, found.hops) == replace(_USUAL, prometheus="http://p:1")
    assert found.endpoints == {"http/protobuf": "http://127.0.0.1:4318", "grpc": "http://127.0.0.1:4317"}


def test_stack_is_found_by_its_record(tmp_path: Path) -> None:
    """The record of a stack in the folder that is given, in the environment's, or here, says where it is."""
    given, named = _record(tmp_path / "given", loki=1), _record(tmp_path / "named", loki=2)
    here = _record(tmp_path / ".cache" / "stack", loki=3)
    environ = {"SLOBURN_STACK_DATA": str(named), "SLOBURN_STACK_PORT_LOKI": "4"}
    nobody = {"SLOBURN_STACK_DATA": str(tmp_path / "nobody"), "SLOBURN_STACK_PORT_LOKI": "4"}

    assert find_stack(str(given), here, environ).hops.loki == "http://127.0.0.1:1"
    assert find_stack("", here, environ).hops.loki == "http://127.0.0.1:2"
    assert find_stack("", tmp_path / "below", {}).hops.loki == "http://127.0.0.1:3"
    assert find_stack("", tmp_path, nobody).hops.loki == "http://127.0.0.1:4"


def test_wrong_stack_is_named(tmp_path: Path) -> None:
    """A folder without a record, a record that is none, and a port that is none are named."""
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"nobody: has no state\.json: expected the data folder of a stack"):
        find_stack(str(tmp_path / "nobody"), tmp_path, {})
    with pytest.raises(ConfigError, match=r"state\.json: is no record of a stack"):
        find_stack(str(tmp_path), tmp_path, {})
    with pytest.raises(ConfigError, match="SLOBURN_STACK_PORT_LOKI=x: expected a port"):
        find_stack("", tmp_path / "below", {"SLOBURN_STACK_PORT_LOKI": "x"})


def test_collector_of_the_stack_gets_the_canary(tmp_path: Path) -> None:
    """The canary goes to the Collector of the stack that is asked, by its record, not to the usual port."""
    with Collector() as collector:
        port = urlsplit(collector.endpoint).port
        assert port is not None
        dead = dict.fromkeys(("prometheus", "jaeger", "loki", "sloburn", "alertmanager", "otelcol"), free_port())
        found = doctor("--stack", str(_record(tmp_path / "data", otlp_http=port, **dead)), "--wait", "30")
        collector.span("sloburn doctor")

    assert len(found.texts("round trip", "ok")) == 3
    assert sorted(text.partition(" (")[0] for text in found.texts("hops")) == [
        *("Alertmanager", "Jaeger", "Loki", "Prometheus", "the processor")
    ]
    assert all("does not answer: " in text for text in found.texts("hops"))


def test_nobody_is_asked_for_what_was_not_sent() -> None:
    """With the Collector down, what stands behind it is not asked: nothing can have come through."""
    nobody = f"http://127.0.0.1:{free_port()}"
    found = doctor("--endpoint", nobody, "--prometheus", nobody, "--jaeger", nobody, "--wait", "30")

    assert found.texts("hops") == []
    assert found.texts("hops", "note") == ["nobody behind it was asked: what was not taken cannot have come through"]


def test_usual_ports_are_those_of_the_stack() -> None:
    """What the doctor takes for usual is what the stack takes."""
    assert USUAL.items() <= STACK_PORTS.items()
