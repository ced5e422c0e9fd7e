"""The early page, end to end: a real processor, real time, an outage at five requests a second."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from examples.shop.demo.waits import Waits, waited_ns

from sloburn.duration import HOUR, SECOND
from tests.processor import Processor, get, post
from tests.telemetry import SpanSpec, trace_request

SLOS = """\
version: sloburn/v1
slos:
  - name: early
    service: shop
    objective: 99.9
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
    alerting: {early_page: true}
"""
PER_SECOND = 5
LIMIT_NS = 7 * SECOND  # 5 s to know it, 2 s from the span's end to the alert


def send(processor: Processor, spans: Iterable[SpanSpec]) -> None:
    """Send spans and wait for their acknowledgement."""
    body = trace_request(spans).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    post(f"http://{processor.http}/v1/traces", content=body, headers=headers).raise_for_status()


def test_a_total_outage_is_paged_within_seconds_and_said_in_words(tmp_path: Path) -> None:
    """An hour of good traffic, then every request fails: the page fires within 7 s, and API and page say why."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(SLOS)
    with Processor(slos, tmp_path) as processor:
        now = time.time_ns()
        gap = SECOND // PER_SECOND
        history = range(HOUR // gap)
        send(processor, [SpanSpec(number=10**6 + age, end=now - age * gap) for age in history])
        first, number = time.time_ns(), 0
        page = processor.status("early")["alerts"][0]
        with Waits(lambda: waited_ns([processor.pid, os.getpid()]), time.time_ns) as waits:
            while page["state"] != "firing" and time.time_ns() < first + 60 * SECOND:
                number += 1
                time.sleep(max(0.0, (first + number * gap - time.time_ns()) / SECOND))
                send(processor, [SpanSpec(number=number, end=time.time_ns(), error=True)])
                page = processor.status("early")["alerts"][0]
        status = processor.status("early")
        html = get(f"http://{processor.page}/slos/early").text
    assert page["state"] == "firing"
    fired = page["fired_at_unix_nano"]
    assert fired - (first + gap) <= LIMIT_NS + waits.between(first, fired)  # what a busy machine withheld
    assert not any(pair["over"] for pair in status["pairs"] if pair["severity"] == "page")
    assert "events failed; at this pace 2 % of the budget is gone in" in status["early"]["text"]
    assert "Early page: <strong>" in html
