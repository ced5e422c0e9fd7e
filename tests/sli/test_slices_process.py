"""A real processor that is killed: slices of time, freshness, journeys and several objectives are what they were."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from sloburn.duration import SECOND
from sloburn.server.keeper import Keeper
from sloburn.slo.budget import Count
from sloburn.spec import load_slos
from tests.processor import Processor, get, post, wait_until
from tests.telemetry import SpanSpec, trace_request

SCALE = 30  # slices of 10 s last a third of a second
SETTLED_NS = 60 * SECOND // SCALE
"""So long after an event no verdict hangs on it: freshness, a slice, two cells, and what slices wait, make 50 s."""
SLOS = """\
version: sloburn/v1
slos:
  - name: orders
    service: shop
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
    objectives: [{name: strict, objective: 99.9}, {name: loose, objective: 99}]
  - name: minutes
    service: shop
    objective: 99.9
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
    slices: {length: 10s, target: 95%}
  - name: fresh
    service: importer
    objective: 99
    period: 30d
    indicator: {freshness: {of: {spans: {}}, within: 20s, slice: 10s}}
  - name: journey
    objective: 99
    period: 30d
    indicator: {journey: {members: [minutes, orders-loose], slice: 10s, target: 95%}}
  - name: whole
    objective: 99
    period: 30d
    indicator: {weighted: {members: {orders-strict: 3, minutes: 1}}}
"""


def send(processor: Processor, specs: list[SpanSpec], service: str = "shop") -> None:
    """Send spans over HTTP."""
    body = trace_request(specs, service).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    assert post(f"http://{processor.http}/v1/traces", content=body, headers=headers).status_code == httpx.codes.OK


def figures(processor: Processor, *names: str) -> dict[str, tuple[int, int]]:
    """Return good and bad of SLOs."""
    answer = get(f"http://{processor.page}/api/v1/slos")
    assert answer.status_code == httpx.codes.OK, answer.text
    slos: list[dict[str, Any]] = answer.json()["slos"]
    return {slo["name"]: (slo["good"], slo["bad"]) for slo in slos if slo["name"] in names}


def has_settled(processor: Processor, at: int) -> Callable[[], bool]:
    """Return a question: was everything judged that an event at a moment, nanoseconds since the epoch, decides?"""
    address = f"http://{processor.page}/api/v1/slos"
    return lambda: get(address).json()["at_unix_nano"] >= at + SETTLED_NS


def send_one_more(processor: Processor, name: str, number: int) -> bool:
    """Send a good event, and tell whether a slice of an SLO counts: none is judged from before its journey began."""
    send(processor, [SpanSpec(number=number, end=time.time_ns())])
    return sum(figures(processor, name).get(name, (0, 0))) > 0


def fires(processor: Processor, name: str) -> Callable[[], bool]:
    """Return a question: does the page of an SLO fire?"""
    return lambda: processor.status(name)["alerts"][0]["state"] == "firing"


def verdicts(slos: Path, folder: Path, copy: str) -> dict[int, Count]:
    """Return what was judged durably of the SLO `fresh`, by slice; reads a copy of a processor's data."""
    shutil.copytree(folder / "data", folder / copy)
    keeper = Keeper(folder / copy, load_slos([slos]), time.time_ns(), time_scale=SCALE)
    ledger = next(one.ledger for key, one in keeper.engine.series.items() if key.slo == "fresh")
    ring = ledger.rings[0]
    step_ns = ring.tier.slice_ns
    begins = range(ledger.first_unix_nano // step_ns * step_ns, ledger.last_unix_nano + 1, step_ns)
    found = {begin: ring.between(begin, begin + step_ns) for begin in begins}
    keeper.store.close()
    return {begin: judged for begin, judged in found.items() if judged.total}


def test_a_kill_changes_no_verdict(tmp_path: Path) -> None:
    """Verdicts on slices survive kill -9, silence pages, and what is judged after the start goes on from there."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(SLOS)
    still = ("orders-strict", "orders-loose", "minutes", "journey", "whole")
    with Processor(slos, tmp_path, "--time-scale", str(SCALE)) as processor:
        now = time.time_ns()
        send(processor, [SpanSpec(number=n, end=now - n * 100_000_000, error=n % 7 == 0) for n in range(1, 61)])
        numbers = count(61)
        wait_until(lambda: send_one_more(processor, "journey", next(numbers)), "a journey is judged")
        sent = next(numbers) - 1
        last = time.time_ns()
        send(processor, [SpanSpec(number=sent + 1, end=last)], "importer")
        wait_until(has_settled(processor, last), "all that was sent is judged")
        wait_until(fires(processor, "fresh"), "freshness pages although nothing comes")
        before = figures(processor, *still, "fresh")
        assert before["orders-strict"] == before["orders-loose"] == (sent - 8, 8)
        assert before["minutes"][1] > 0
        processor.kill()
        judged = verdicts(slos, tmp_path, "killed")
        assert sum(one.bad for one in judged.values()) >= before["fresh"][1] > 0
        processor.start()
        after = figures(processor, *still, "fresh")
        assert {name: after[name] for name in still} == {name: before[name] for name in still}
        assert after["fresh"][0] >= before["fresh"][0]  # more if nobody listened for a while: then nothing ages
        assert after["fresh"][1] >= before["fresh"][1]
        wait_until(fires(processor, "fresh"), "freshness pages after the start")
        wait_until(lambda: figures(processor, "fresh")["fresh"][1] > before["fresh"][1], "slices are judged further")
        send(processor, [SpanSpec(number=sent + 2, end=time.time_ns())], "importer")
        good = after["fresh"][0]
        wait_until(lambda: figures(processor, "fresh")["fresh"][0] > good, "an event makes it fresh again")
        assert processor.stop() == 0
    in_the_end = verdicts(slos, tmp_path, "ended")
    assert {begin: in_the_end.get(begin) for begin in judged} == judged
