"""Steady load for minutes: processor time, memory over time and how long senders wait for their answers.

Senders post 512-span requests at a fixed rate, whatever the answers take; the wait counts from when a request was due,
so a stall is not hidden by senders that stall with it. Prints a line every ten seconds and a summary.

Run: ``python -m bench.soak [--seconds 60] [--spans-per-second 20000] [--slos 100]``
"""

from __future__ import annotations

import argparse
import http.client
import threading
import time

from bench.ingest_servers import Server, slo_document, sloburn
from bench.payloads import SpanBody

SENDERS = 4
SPANS = 512


class Sender(threading.Thread):
    """Posts a request every so often over one connection, and notes how long each one waited for its answer."""

    def __init__(self, port: int, every_seconds: float, first: float, until: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.waits: list[tuple[float, float]] = []
        self.failed = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._every, self._first, self._until = every_seconds, first, until
        self._body = SpanBody(SPANS, seed=seed)

    def run(self) -> None:
        """Post until the end."""
        due = self._first
        while due < self._until:
            time.sleep(max(0.0, due - time.monotonic()))
            body = self._body.fresh(time.time_ns())
            self._connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = self._connection.getresponse()
            answer.read()
            self.failed += answer.status != 200
            self.waits.append((due, time.monotonic() - due))
            due += self._every


def soak(server: Server, seconds: float, rate: float) -> None:
    """Load a server and print what it took."""
    began = time.monotonic() + 0.5
    every = SENDERS * SPANS / rate
    senders = [
        Sender(server.port, every, began + number * every / SENDERS, began + seconds, number)
        for number in range(SENDERS)
    ]
    start_cpu = cpu = server.cpu_seconds
    for sender in senders:
        sender.start()
    print(f"{'s':>5} {'spans/s':>9} {'cores':>6} {'MiB':>6} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7}")
    first, at, memory = began, began, []
    while any(sender.is_alive() for sender in senders):
        left = began + seconds - time.monotonic() + 0.1
        time.sleep(min(10.0, left) if left > 0 else 10.0)  # senders that lag behind are waited for
        now, used = time.monotonic(), server.cpu_seconds
        waits = [wait for sender in senders for due, wait in list(sender.waits) if due >= at]
        memory.append(server.rss_mib)
        cores, spans = (used - cpu) / (now - first), SPANS * len(waits) / (now - first)
        print(f"{now - began:5.0f} {spans:9,.0f} {cores:6.2f} {memory[-1]:6.0f} {_quantiles(waits)}", flush=True)
        first, at, cpu = now, now, used
    waits = [wait for sender in senders for _, wait in sender.waits]
    cores = (server.cpu_seconds - start_cpu) / (time.monotonic() - began)
    failed = sum(sender.failed for sender in senders)
    print(
        f"all: {SPANS * len(waits) / seconds:,.0f} spans/s, {cores:.2f} cores, {_quantiles(waits)}, "
        f"{failed} refused, memory {memory[0]:.0f} to {memory[-1]:.0f} MiB"
    )


def _quantiles(waits: list[float]) -> str:
    ordered = sorted(waits) or [0.0]
    picked = (ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], ordered[-1])
    return " ".join(f"{wait * 1e3:7.0f}" for wait in picked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--spans-per-second", type=float, default=20_000)
    parser.add_argument("--slos", type=int, default=100)
    options = parser.parse_args()
    with sloburn(slo_document(each=options.slos)) as server:
        soak(server, options.seconds, options.spans_per_second)


if __name__ == "__main__":
    main()
