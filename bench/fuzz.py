"""Millions of damaged requests through the HTTP receiver and the engine behind it, in this process and without sockets.

Valid OTLP bodies (protobuf and JSON; spans, points, records) are flipped, cut, spliced, nested, compressed and sent
under wrong names. What must hold: no exception leaves the application, nothing is answered with 500, nothing ends in
"nobody foresaw", and every answer is in the encoding of its request. Ends with status 1 and the first case that breaks
this; a seed and a number name it.

Run: ``python -m bench.fuzz [--cases 1000000] [--seed 1]``
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.fuzz_bodies import Bodies, Case
from starlette.types import ASGIApp

from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.messages import Request
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.http import otlp_http_app
from sloburn.receiver.intake import Receipt
from sloburn.receiver.limits import Limits
from sloburn.receiver.tally import Tally
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.spec import load_slos

KIB = 1024
ALLOWED = frozenset({200, 400, 404, 405, 413, 415})
_TICK_EVERY = 2_000
_ROUND = 50_000  # cases with fresh bodies, whose times are those of now, and a fresh engine

SLOS = """\
version: sloburn/v1
slos:
  - {name: availability, service: shop, objective: 99.9, period: 30d, group_by: [http.route],
     indicator: {spans: {kind: server}, bad: {any: [{http.response.status_code: {gte: 500}}, {status: error}]}}}
  - {name: latency, service: shop, objective: 95, period: 30d,
     indicator: {spans: {where: {name: {regex: "GET .*"}}}, good: {duration: {le: 300ms}}}}
  - {name: points, service: shop, objective: 95, period: 30d,
     indicator: {metric: http.server.request.duration, good: {le: 300ms}}}
"""


class EngineIntake:
    """Decodes and counts as the processor does, without its store.

    Args:
        slos: What is counted.
    """

    def __init__(self, slos: Path) -> None:
        self.engine = Engine(load_slos([slos]), any_value, epoch=time.time_ns())

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:
        """Take one request."""
        request: Request = decode(signal, encoding, body)
        commit, engine = Commit(), self.engine
        prepare: Any = {
            Signal.TRACES: engine.prepare_traces,
            Signal.METRICS: engine.prepare_metrics,
            Signal.LOGS: engine.prepare_logs,
        }[signal]
        refused = prepare(request, time.time_ns(), commit)
        engine.apply(commit)
        return Receipt(rejected=len(refused), message="refused" if refused else "")


class Fuzzer:
    """Sends cases to an application and judges its answers.

    Args:
        folder: Where the SLOs are written.
    """

    def __init__(self, folder: Path) -> None:
        self._slos = folder / "slos.yaml"
        self._slos.write_text(SLOS)
        self.statuses: Counter[int] = Counter()
        self.renew()

    def renew(self) -> None:
        """Begin with an engine that knows nothing."""
        self._intake, self.tally = EngineIntake(self._slos), Tally()
        limits = Limits(max_body_bytes=64 * KIB, max_pending_bytes=1024 * KIB)
        self._app = otlp_http_app(self._intake, limits=limits, tally=self.tally)

    def tick(self) -> None:
        """Evaluate, as the processor does every second."""
        self._intake.engine.tick(time.time_ns())

    async def send(self, case: Case) -> str:
        """Send one case; return what is wrong with the answer, empty if nothing is."""
        status, kind = await _call(self._app, case)
        self.statuses[status] += 1
        if self.tally.unforeseen:
            return "ended in an error that nobody foresaw"
        if status not in ALLOWED:
            return f"answered {status}"
        wanted = dict(case.headers)[b"content-type"].partition(b";")[0].strip().lower()
        if status in (200, 400) and kind != wanted:
            return f"asked in {wanted!r}, answered in {kind!r}"
        return ""


async def _call(app: ASGIApp, case: Case) -> tuple[int, bytes]:
    """Return status and content type of an answer."""
    scope = {
        "type": "http",
        "method": case.method,
        "path": case.path,
        "raw_path": case.path.encode("utf-8", "surrogateescape"),
        "query_string": b"",
        "root_path": "",
        "headers": list(case.headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4318),
        "scheme": "http",
        "http_version": "1.1",
    }
    incoming = [{"type": "http.request", "body": case.body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]).get(b"content-type", b"")


async def fuzz(fuzzer: Fuzzer, seed: int, cases: int, *, tell: bool = False) -> str:
    """Send so many cases; return the first that broke a rule, in words; empty if none did."""
    began, bodies = time.monotonic(), Bodies(seed, time.time_ns())
    for number in range(cases):
        if number % _ROUND == 0 and number:
            bodies = Bodies(seed + number, time.time_ns())
            fuzzer.renew()
            if tell:
                rate = number / (time.monotonic() - began)
                rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB
                print(f"{number:,} cases, {rate:,.0f}/s, at most {rss} MiB, {dict(fuzzer.statuses)}", flush=True)
        if number % _TICK_EVERY == 0:
            fuzzer.tick()
            await asyncio.sleep(0)  # nothing here ever waits, and the loop forgets ended timers only when it turns
        case = bodies.case()
        try:
            wrong = await fuzzer.send(case)
        except Exception as error:
            wrong = f"raised {error!r}"
        if wrong:
            return f"seed {seed}, case {number}: {wrong}: {case}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("sloburn").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        wrong = asyncio.run(fuzz(fuzzer, options.seed, options.cases, tell=True))
    print(wrong or f"{options.cases:,} cases, none broke a rule: {dict(fuzzer.statuses)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
