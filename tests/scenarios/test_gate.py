"""``sloburn gate`` against a real processor, and against a real Prometheus that scrapes it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sloburn.cli import main
from sloburn.duration import SECOND
from tests.debian import program
from tests.processor import Processor, free_ports, post, wait_until
from tests.telemetry import SpanSpec, trace_request

SLOS = """\
version: sloburn/v1
slos:
  - name: calm
    service: shop
    objective: 90
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
  - name: spent
    service: shop
    objective: 99.9
    period: 30d
    group_by: [http.route]
    indicator: {spans: {kind: server}, bad: {status: error}}
  - name: silent
    service: nobody
    objective: 99
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
"""

PROMETHEUS = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: sloburn
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    """Run a processor with 100 events, 5 of them bad: half of a budget of 10 % is left, none of 0.1 %."""
    folder = tmp_path_factory.mktemp("gate")
    slos = folder / "slos.yaml"
    slos.write_text(SLOS)
    with Processor(slos, folder) as running:
        now = time.time_ns()
        spans = [
            SpanSpec(number=n, end=now - n * SECOND // 10, error=n % 20 == 0, values={"http.route": "/pay"})
            for n in range(1, 101)
        ]
        content = trace_request(spans).SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        post(f"http://{running.http}/v1/traces", content=content, headers=headers).raise_for_status()
        wait_until(lambda: running.counts("calm") == (95, 5), "the events are counted")
        yield running


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """Run a Prometheus that scrapes a target; yield its address."""
    binary = program("prometheus", "prometheus")
    (port,) = free_ports(1)
    config = folder / "prometheus.yml"
    config.write_text(PROMETHEUS.format(target=target))
    call = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*call, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def gate(capsys: pytest.CaptureFixture[str], *call: str) -> tuple[int, str]:
    """Call the gate; return status and what it printed."""
    status = main(["gate", *call, "--timeout", "60"])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_a_processor_opens_and_closes_the_gate(processor: Processor, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate follows budget, burn and the SLOs named; what is closed says why."""
    source = ("--from", f"http://{processor.page}")
    assert gate(capsys, *source, "--slo", "calm", "--min-budget", "50%")[0] == 0
    status, text = gate(capsys, *source, "--slo", "calm", "--min-budget", "51%")
    assert (status, "budget left 50 %, needed 51 %" in text) == (1, True)
    assert gate(capsys, *source, "--slo", "calm", "--max-burn", "0.5@1h")[0] == 0
    status, text = gate(capsys, *source, "--slo", "calm", "spent", "--max-burn", "6@1h")
    assert (status, "burn 50 over 1h, at most 6" in text) == (1, True)
    assert "http.route=/pay" in text
    status, text = gate(capsys, *source)
    assert (status, "no budget left" in text, "The gate is closed: 2 of 3 say no." in text) == (1, True, True)


def test_silence_closes_the_gate_unless_told_otherwise(
    processor: Processor, capsys: pytest.CaptureFixture[str]
) -> None:
    """An SLO without data closes the gate; --no-data ok lets it pass; a name nobody knows cannot be told."""
    source = ("--from", f"http://{processor.page}")
    status, text = gate(capsys, *source, "--slo", "silent")
    assert (status, "no data" in text) == (1, True)
    assert gate(capsys, *source, "--slo", "silent", "--no-data", "ok")[0] == 0
    status, text = gate(capsys, *source, "--slo", "calmm")
    assert (status, text.strip()) == (3, "cannot tell: there is no SLO calmm")
    status, text = gate(capsys, *source, "--max-burn", "1@7m", "--no-data", "ok")
    assert (status, "has no window 7m; it has" in text) == (3, True)


def test_json_is_for_machines(processor: Processor, capsys: pytest.CaptureFixture[str]) -> None:
    """--json says the same as the table."""
    status, text = gate(capsys, "--from", f"http://{processor.page}", "--slo", "calm", "--json")
    document: dict[str, Any] = json.loads(text)
    (slo,) = document["slos"]
    assert (status, document["open"], slo["budget_remaining"], slo["burns"]["1h"]) == (0, True, 0.5, 0.5)


def test_a_prometheus_gives_the_same_answers(
    processor: Processor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Prometheus that scrapes the processor opens and closes the gate like the processor itself."""
    with prometheus(processor.page, tmp_path) as address:
        source = ("--prometheus", address)
        wait_until(lambda: gate(capsys, *source)[0] != 3, "Prometheus has scraped the processor")
        assert gate(capsys, *source, "--slo", "calm", "--min-budget", "50%", "--max-burn", "0.5@1h")[0] == 0
        status, text = gate(capsys, *source, "--slo", "calm", "--min-budget", "51%")
        assert (status, "budget left 50 %, needed 51 %" in text) == (1, True)
        status, text = gate(capsys, *source, "--slo", "spent", "--max-burn", "6@1h")
        assert (status, "burn 50 over 1h, at most 6" in text) == (1, True)
        assert gate(capsys, *source, "--slo", "silent")[0] == 1
        assert gate(capsys, *source, "--slo", "silent", "--no-data", "ok")[0] == 0
