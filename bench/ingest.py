"""Processor time for each span, point and record over OTLP/HTTP, beside the Go Collector's span_metrics connector.

Every contender is a real process and gets the same payloads: 512 spans of 10 attributes in a request, all ids new, over
four connections. What counts is the processor time of the whole process (receive, decode, judge, tell repeats, commit
durably, evaluate every second) divided by items. Prints ratios, asserts nothing.

The Collector is used if it is built (`bench/collector.yaml` says how), or the recorded figures stand in its place.

Run: ``python -m bench.ingest [--requests 400] [--rounds 1] [--only NAME ...]``
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.ingest_servers import Server, collector, service_name, slo_document, sloburn
from bench.payloads import SpanBody, counters_body, exponential_body, logs_body, metrics_body

CONNECTIONS = 4
WARM_REQUESTS = 200  # every service is met twice before anything is measured
RECORDED = {"collector": "3.7-4.0", "collector, gzip": "5.6"}

Make = Callable[[int], tuple[bytes, int]]
"""Makes the request of a number: its body, and how many items are in it."""


@dataclass(frozen=True)
class Contender:
    """What is measured.

    Args:
        name: For people.
        server: Makes the process; None if it is not there.
        path: Where the requests go.
        make: Makes them.
        gzip: Compress them.
        pods: How many processes sent what is in one of them.
    """

    name: str
    server: Callable[[], Server | None]
    path: str
    make: Make
    gzip: bool = False
    pods: int = 1

    @property
    def shape(self) -> tuple[bool, int]:
        """Those that get the same spans in the same form are compared."""
        return self.gzip, self.pods


def spans_of(services: int, pods: int = 1) -> Make:
    """Return a maker of trace requests that takes the services in turn, with spans of so many processes in each."""
    bodies = [SpanBody(service=service_name(number), seed=number, pods=pods) for number in range(min(services, 100))]
    lock = threading.Lock()

    def make(number: int) -> tuple[bytes, int]:
        with lock:
            body = bodies[number % len(bodies)]
            return body.fresh(time.time_ns()), body.spans

    return make


def points(number: int) -> tuple[bytes, int]:
    """Make a metrics request whose counters grow with its number."""
    return metrics_body(time.time_ns(), _START, number + 1), 100


def pairs(number: int) -> tuple[bytes, int]:
    """Make a metrics request of two counters that grow with its number."""
    return counters_body(time.time_ns(), _START, number + 1), 100


def exponentials(number: int) -> tuple[bytes, int]:
    """Make a metrics request of exponential histograms that grow with its number."""
    return exponential_body(time.time_ns(), _START, number + 1), 100


def records(_number: int) -> tuple[bytes, int]:
    """Make a logs request."""
    return logs_body(time.time_ns()), 512


_START = time.time_ns() + 3_600_000_000_000  # far ahead: every stream began in the processor's own time

_METRIC_SLO = """\
version: sloburn/v1
slos:
  - name: latency
    service: shop
    objective: 95
    period: 30d
    indicator:
      metric: http.server.request.duration
      good: {le: 300ms}
"""


_EXPONENTIAL_SLO = _METRIC_SLO.replace("300ms", "250ms")

_COUNTER_SLO = _METRIC_SLO.partition("      metric:")[0] + "      counters: {bad: jobs.failed, total: jobs.started}\n"

_LOG_SLO = _METRIC_SLO.partition("      metric:")[0] + "      logs: {}\n      bad: {severity: {gte: error}}\n"


def contenders() -> list[Contender]:
    """Return everything that is measured."""
    one, many, wide = slo_document(), slo_document(each=1000), slo_document(services=100, each=10)
    traces, metrics, logs = (f"/v1/{signal}" for signal in ("traces", "metrics", "logs"))
    return [
        Contender("collector", collector, traces, spans_of(1)),
        Contender("1 SLO", lambda: sloburn(one), traces, spans_of(1)),
        Contender("1,000 SLOs of one service", lambda: sloburn(many), traces, spans_of(1)),
        Contender("1,000 SLOs of 100 services", lambda: sloburn(wide), traces, spans_of(100)),
        Contender("collector, 64 pods", collector, traces, spans_of(1, 64), pods=64),
        Contender("1 SLO, 64 pods", lambda: sloburn(one), traces, spans_of(1, 64), pods=64),
        Contender("collector, gzip", collector, traces, spans_of(1), gzip=True),
        Contender("1 SLO, gzip", lambda: sloburn(one), traces, spans_of(1), gzip=True),
        Contender("metrics, 1 SLO (per point)", lambda: sloburn(_METRIC_SLO), metrics, points),
        Contender("exponential, 1 SLO (per point)", lambda: sloburn(_EXPONENTIAL_SLO), metrics, exponentials),
        Contender("counters, 1 SLO (per point)", lambda: sloburn(_COUNTER_SLO), metrics, pairs),
        Contender("logs, 1 SLO (per record)", lambda: sloburn(_LOG_SLO), logs, records),
        Contender("logs, unmatched (per record)", lambda: sloburn(one), logs, records),
    ]


class Sender(threading.Thread):
    """Sends prepared requests over one connection."""

    def __init__(self, port: int, path: str, bodies: list[bytes], *, is_gzip: bool) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path, self._bodies = path, bodies
        self._headers = {"Content-Type": "application/x-protobuf", **({"Content-Encoding": "gzip"} if is_gzip else {})}

    def run(self) -> None:
        """Send everything, one request after the other."""
        for body in self._bodies:
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"answered {answer.status}")
        self._connection.close()


def measure(contender: Contender, requests: int) -> tuple[float, float, float] | None:
    """Return microseconds of processor time per item, items per second and MiB; None if the server is not there."""
    server = contender.server()
    if server is None:
        return None
    with server:
        warm = _prepare(contender, 0, WARM_REQUESTS)
        _send(server, contender, warm[0])
        bodies, items = _prepare(contender, WARM_REQUESTS, requests)
        cpu, began = server.cpu_seconds, time.monotonic()
        _send(server, contender, bodies)
        seconds = time.monotonic() - began
        time.sleep(1.1)  # what is evaluated after the last answer belongs to it
        return (server.cpu_seconds - cpu) / items * 1e6, items / seconds, server.rss_mib


def _prepare(contender: Contender, first: int, requests: int) -> tuple[list[bytes], int]:
    made = [contender.make(first + number) for number in range(requests)]
    bodies = [gzip.compress(body, 1) if contender.gzip else body for body, _ in made]
    return bodies, sum(items for _, items in made)


def _send(server: Server, contender: Contender, bodies: list[bytes]) -> None:
    senders = [
        Sender(server.port, contender.path, bodies[at::CONNECTIONS], is_gzip=contender.gzip)
        for at in range(CONNECTIONS)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help="of 512 spans each, per contender and round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    print(f"{'':32} {'µs CPU/item':>12} {'/ collector':>12} {'items/s':>10} {'MiB':>6}")
    base: dict[tuple[bool, int], float] = {}
    for contender in contenders():
        if options.only and not any(part in contender.name for part in options.only):
            continue
        found = [result for _ in range(options.rounds) if (result := measure(contender, options.requests))]
        if not found:
            recorded = RECORDED.get(contender.name, "?")
            print(f"{contender.name:32} {recorded:>12} (recorded; not built here)")
            continue
        cpu, rate, memory = min(found)
        if contender.name.startswith("collector"):
            base[contender.shape] = cpu
        comparable = contender.path == "/v1/traces" and contender.shape in base
        ratio = f"{cpu / base[contender.shape]:.2f}" if comparable else ""
        print(f"{contender.name:32} {cpu:12.2f} {ratio:>12} {rate:10,.0f} {memory:6.0f}", flush=True)


if __name__ == "__main__":
    main()
