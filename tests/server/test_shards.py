"""Two processors that share the services between them are one, once Prometheus has summed them."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sloburn.duration import SECOND
from sloburn.rules import Settings, compile_slos, prometheus_text
from sloburn.rules.sources import SloburnSource
from sloburn.rules.steps import Pace
from sloburn.slo import naming
from sloburn.spec import load_slos
from tests.debian import program
from tests.processor import Processor, free_ports, get, post, wait_until
from tests.telemetry import SpanSpec, trace_request

SERVICES = ("cart", "pay", "mail")
SLO = """\
  - name: {service}
    service: {service}
    objective: 99
    period: 30d
    group_by: [http.route]
    indicator: {{spans: {{kind: server}}, bad: {{status: error}}}}
"""

Counts = dict[tuple[str, str, str], float]


@pytest.fixture
def slos(tmp_path: Path) -> Path:
    """A document with an SLO for each service."""
    path = tmp_path / "slos.yaml"
    path.write_text("version: sloburn/v1\nslos:\n" + "".join(SLO.format(service=service) for service in SERVICES))
    return path


@contextlib.contextmanager
def prometheus(shards: list[Processor], slos: Path, folder: Path) -> Iterator[str]:
    """Run a real Prometheus that scrapes the shards and runs the compiled rules every second; yield its address."""
    settings = Settings(source=SloburnSource(), pace=Pace(step_ns=SECOND, settle_ns=2 * SECOND))
    (folder / "rules.yml").write_text(prometheus_text(compile_slos(load_slos([slos]), settings)))
    job = {"job_name": "sloburn", "honor_labels": True, "static_configs": [{"targets": [it.page for it in shards]}]}
    config = {"global": {"scrape_interval": "1s"}, "rule_files": ["rules.yml"], "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    call = [program("prometheus", "prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    call += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(call, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def ask(url: str, query: str) -> list[dict[str, Any]]:
    """Return the answer of Prometheus; nothing while it is not up."""
    try:
        answer = get(f"{url}/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    return list(answer.json()["data"]["result"]) if answer.is_success else []


def summed(url: str) -> Counts:
    """Return what the compiled rules counted of every SLO and group."""
    found: Counts = {}
    for kind, name in (("total", naming.RULE_EVENTS), ("bad", naming.RULE_BAD_EVENTS)):
        for sample in ask(url, f"sum by (slo, group) (sum_over_time({name}:step[1h]))"):
            labels = sample["metric"]
            found[labels["slo"], labels.get("group", ""), kind] = float(sample["value"][1])
    return found


def exposed(url: str) -> Counts:
    """Return the sum of the shards' counters of every SLO and group, as Prometheus scraped them."""
    found: Counts = {}
    for kind, outcomes in (("total", "good|bad"), ("bad", "bad")):
        for sample in ask(url, f'sum by (slo, group) ({naming.EVENTS_TOTAL}{{outcome=~"{outcomes}"}})'):
            found[sample["metric"]["slo"], sample["metric"].get("group", ""), kind] = float(sample["value"][1])
    return found


def has_missed(url: str) -> bool:
    """Tell whether Prometheus itself says that it left out evaluations: a machine that is too busy for one a second."""
    text = get(f"{url}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("prometheus_rule_group_iterations_missed_total")]
    return any(float(line.rpartition(" ")[2]) > 0 for line in lines)


def counted(processor: Processor) -> Counts:
    """Return what one processor counted of every SLO and group."""
    document = get(f"http://{processor.page}/api/v1/status").json()
    found: Counts = {}
    for it in document["slos"]:
        group = ",".join(f"{key}={value}" for key, value in it["group"].items())
        found[it["name"], group, "total"] = it["good"] + it["bad"]
        found[it["name"], group, "bad"] = it["bad"]
    return found


def send(processor: Processor, service: str, first: int, now: int) -> None:
    """Send spans of a service: every seventh failed."""
    spans = [
        SpanSpec(number=number, end=now, error=number % 7 == 0, values={"http.route": f"/{number % 3}"})
        for number in range(first, first + 100)
    ]
    body = trace_request(spans, service=service).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    assert post(f"http://{processor.http}/v1/traces", content=body, headers=headers).is_success


@pytest.mark.timeout(500)
def test_shards_sum_to_one_processor(tmp_path: Path, slos: Path) -> None:
    """A load that is split by service, and one service that moves in between, are the same SLOs as on one machine."""
    folders = [tmp_path / name for name in ("one", "left", "right", "prometheus")]
    for folder in folders:
        folder.mkdir()
    with contextlib.ExitStack() as running:
        one, left, right = (running.enter_context(Processor(slos, folder)) for folder in folders[:3])
        url = running.enter_context(prometheus([left, right], slos, folders[3]))
        steps = f"count({naming.BUILD_INFO} offset 6s) == 2"
        wait_until(lambda: bool(ask(url, steps)), "Prometheus scraped both shards for a while", 60)
        homes = [{"cart": left, "pay": right, "mail": right}, {"cart": left, "pay": right, "mail": left}]
        for turn, home in enumerate(homes):
            for number, service in enumerate(SERVICES):
                now = time.time_ns()
                for processor in (one, home[service]):
                    send(processor, service, 1 + 1000 * (10 * turn + number), now)

        wait_until(lambda: _all_of(counted(one)) == 600, "one processor counted everything")
        expected = counted(one)
        wait_until(lambda: exposed(url) == expected, f"the shards' counters add up to {expected}", 60)
        wait_until(lambda: summed(url) == expected or has_missed(url), f"the rules add up to {expected}", 60)


def _all_of(counts: Counts) -> float:
    return sum(value for (_, _, kind), value in counts.items() if kind == "total")
