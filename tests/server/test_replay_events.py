"""Recordings of logs, counter pairs and exponential histograms, replayed: the same engine, the same figures."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import Message

from sloburn.duration import SECOND
from sloburn.server.replay import replay
from sloburn.slo.budget import Count
from sloburn.spec import parse_slos
from tests.sli.harness import NOW
from tests.telemetry import LogSpec, PointSpec, log_request, metric_request

SLOS = """
version: sloburn/v1
slos:
  - name: logs
    service: shop
    objective: 99
    period: 30d
    indicator: {logs: {event: order}, bad: {severity: {gte: error}}}
  - name: pair
    service: shop
    objective: 99
    period: 30d
    indicator: {counters: {bad: failed, total: started}}
"""


def test_a_recording_counts_as_it_did(tmp_path: Path) -> None:
    """Length-delimited protobuf of logs and metrics gives what the live processor would count; twice the same."""
    requests: list[Message] = []
    for at in range(0, 50, 10):
        time = NOW + at * SECOND
        orders = [LogSpec(time=time, severity=17 if at == 20 else 9, event="order", body=str(n)) for n in range(4)]
        requests.append(log_request(orders))
        for name, each in (("started", 10), ("failed", 1)):
            value = each * (at // 10 + 1)
            requests.append(metric_request(name, [PointSpec(time=time, start=NOW, value=value)]))
    recording = tmp_path / "recording.binpb"
    bodies = [request.SerializeToString() for request in requests]
    recording.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in bodies))
    slos = parse_slos(SLOS, "slos.yaml")
    outcome = replay([recording], [slos])
    assert outcome.flaws == ()
    counts = {status.slo.name: status.lifetime for status in outcome.moments[-1][0].statuses}
    assert counts == {"logs": Count(good=16, bad=4), "pair": Count(good=45, bad=5)}
