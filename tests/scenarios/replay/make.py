"""Write the recordings of the scenarios, and what replaying them gives: ``python -m tests.scenarios.replay.make``.

The recordings are committed. Look at the difference of every ``expected.json`` before you commit that.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from sloburn.cli import main
from sloburn.duration import MINUTE, SECOND
from tests.telemetry import PointSpec, SpanSpec, metric_request, trace_request

HERE = Path(__file__).parent
BEGIN = 1_795_269_600 * SECOND  # 2026-11-21T14:00:00Z
BATCH = 5

_IDS = ("traceId", "spanId", "parentSpanId")

SLO = """\
version: sloburn/v1
slos:
  - name: availability
    service: shop
    objective: 99.9
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
"""
METRIC = SLO.replace(
    "indicator: {spans: {kind: server}, bad: {status: error}}",
    'indicator: {metric: shop.orders, bad: {outcome: "failed"}}',
)


TIMED = """\
version: sloburn/v1
slos:
  - name: orders
    service: shop
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
    objectives: [{name: strict, objective: 99.9}, {name: loose, objective: 95}]
  - name: minutes
    service: shop
    objective: 99
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
    slices: {length: 1m, target: 90%}
  - name: fresh
    service: shop
    objective: 99
    period: 30d
    indicator: {freshness: {of: {spans: {}, bad: {status: error}}, within: 5m}}
  - name: journey
    objective: 99
    period: 30d
    indicator: {journey: {members: [orders-loose, fresh]}}
  - name: whole
    objective: 99.5
    period: 30d
    indicator: {weighted: {members: {orders-strict: 3, minutes: 1}}}
"""

EARLY = METRIC + "    alerting: {early_page: true}\n"


def otlp_json(request: Message) -> bytes:
    """Return a request as a line of the Collector's file exporter: ids in hexadecimal, enums as integers."""
    document = MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(_hexed(document), separators=(",", ":")).encode()


def _hexed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hex(one) if key in _IDS else _hexed(one) for key, one in value.items()}
    return [_hexed(one) for one in value] if isinstance(value, list) else value


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


def lines(requests: Iterable[Message]) -> bytes:
    """Return requests as JSON lines."""
    return b"".join(otlp_json(request) + b"\n" for request in requests)


def messages(requests: Iterable[Message]) -> bytes:
    """Return requests as length-delimited protobuf."""
    bodies = [request.SerializeToString() for request in requests]
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def traffic(seconds: int, outage: range, *, first: int = 1, per_second: int = 1) -> list[Message]:
    """Return batches of spans, of which those in the seconds of the outage fail."""
    specs = [
        SpanSpec(
            number=first + second * per_second + one,
            end=BEGIN + second * SECOND + one * SECOND // per_second,
            error=second in outage,
        )
        for second in range(seconds)
        for one in range(per_second)
    ]
    size = BATCH * per_second
    return [trace_request(specs[at : at + size]) for at in range(0, len(specs), size)]


def scenarios() -> dict[str, dict[str, bytes | str]]:
    """Return the files of every scenario by folder."""
    outage = traffic(300, range(120, 180))
    broken = (
        lines(outage[:24])
        + b'{"resourceSpans": [\n\n[1]\n{"resourceSpans":[],"resourceLogs":[]}\n'
        + lines(outage[24:])
    )
    quick = traffic(90, range(60, 66), per_second=5)
    counter = [orders(n * 10, n * 10, max(0, n - 6) * 5) for n in range(1, 13)]
    hour = [orders(minute * 60, minute * 300, 0) for minute in range(1, 61)]
    blip = [*hour, *(orders(3_600 + n, 18_000 + 5 * max(0, n - 6), 5 * min(n, 6)) for n in range(1, 30))]
    return {
        "outage": {
            "slos.yaml": SLO,
            "input.jsonl": lines(outage),
            "arguments.txt": "--at 2026-11-21T14:02:00Z --at 2026-11-21T14:30:00Z",
        },
        "protobuf": {"slos.yaml": SLO, "input.binpb": messages(outage)},
        "flaws": {"slos.yaml": SLO, "input.jsonl": broken},
        "cut-short": {"slos.yaml": SLO, "input.binpb": messages(outage)[:-7]},
        "two-files": {
            "slos.yaml": SLO,
            "input-a.jsonl": lines(outage[0::2]),
            "input-b.jsonl": lines(outage[1::2]) + lines(outage[10:14]),  # and a resend of what came already
        },
        "compare": {
            "slos.yaml": EARLY,
            "other.yaml": METRIC,
            "input.jsonl": lines(blip),
            "arguments.txt": "--compare other.yaml",
        },
        "faster-clock": {"slos.yaml": SLO, "input.jsonl": lines(quick), "arguments.txt": "--time-scale 60"},
        "metrics": {"slos.yaml": METRIC, "input.jsonl": lines(counter)},
        "silence": {
            "slos.yaml": TIMED,
            "input.jsonl": lines([*outage, _later(60 * MINUTE)]),
            "arguments.txt": "--at 2026-11-21T14:20:00Z",
        },
        "gap": {"slos.yaml": SLO, "input.jsonl": lines([*outage[:36], _later(3 * 60 * MINUTE)])},
    }


def orders(second: int, good: int, bad: int) -> Message:
    """Return cumulative counts of orders at a second of the recording."""
    at = BEGIN + second * SECOND
    points = [
        PointSpec(time=at, start=BEGIN, value=good, values={"outcome": "placed"}),
        PointSpec(time=at, start=BEGIN, value=bad, values={"outcome": "failed"}),
    ]
    return metric_request("shop.orders", points)


def _later(by: int) -> Message:
    return trace_request([SpanSpec(number=10**6, end=BEGIN + by)])


def run(folder: Path, *further: str) -> tuple[int, str, str]:
    """Replay a scenario; return exit status, standard output and standard error."""
    arguments = folder / "arguments.txt"
    inputs = sorted(path.name for path in folder.glob("input*"))
    call = ["replay", "--slos", "slos.yaml", *inputs, *(arguments.read_text().split() if arguments.exists() else [])]
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([*call, *further])
    finally:
        os.chdir(before)
    return status, out.getvalue(), err.getvalue()


def write() -> None:
    """Write everything."""
    for name, files in scenarios().items():
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
        status, out, err = run(folder, "--json")
        assert status == 0, (name, status, err)
        (folder / "expected.json").write_text(out)


if __name__ == "__main__":
    write()
