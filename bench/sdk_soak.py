"""A long run with a Collector that comes and goes: is memory flat, and is every span received or counted as lost?

A service works at a steady rate while its Collector is started, stopped and made to refuse, in turn. At the end the
books must balance: spans made = spans received + spans counted as lost. Prints what it sees, asserts nothing.

Run: ``python bench/sdk_soak.py [--seconds 600] [--rate 500] [--queue 2000]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.sdk.collector import Collector
from tests.sdk.processes import environment, free_port

_SERVICE = """
import json, os, select, sys, time
from sloburn import init_telemetry
endpoint, rate, seconds = sys.argv[1], *map(float, sys.argv[2:])
telemetry = init_telemetry(service_name="soak", endpoint=endpoint, export_interval=0.5, timeout=20, libraries=False)
counter = telemetry.meter.create_counter("work")
page = os.sysconf("SC_PAGE_SIZE")
def memory():
    with open("/proc/self/statm") as file: return int(file.read().split()[1]) * page / 2**20
made, began, told = 0, time.monotonic(), 0.0
while not select.select([sys.stdin], [], [], 0)[0]:
    now = time.monotonic() - began
    while made < now * rate:
        with telemetry.tracer.start_as_current_span("work", attributes={"n": made, "route": "/items/{item_id}"}):
            counter.add(1)
        made += 1
    if now - told > max(1.0, seconds / 20):
        told = now
        print("SOAK" + json.dumps({"at": now, "MiB": memory(), "made": made}), flush=True)
    time.sleep(0.005)
telemetry.flush(45)
status = telemetry.status().signals["traces"]
print("SOAK" + json.dumps({"at": now, "MiB": memory(), "made": made, "sent": status.sent, "lost": status.lost,
                           "waiting": status.waiting}), flush=True)
"""


@dataclass(slots=True)
class Received:
    """What all Collectors of a run have received together."""

    spans: set[str] = field(default_factory=set)
    unconfirmed: set[str] = field(default_factory=set)
    again: int = 0
    again_for_nothing: int = 0
    counted: float = 0.0
    lives: int = 0
    moods: list[str] = field(default_factory=list)

    def add(self, collector: Collector, mood: str) -> None:
        """Add what one life of the Collector has received; what it took but could not confirm comes again."""
        arrived = [span.span_id for span in collector.arrivals.spans]
        known = set(arrived)
        again = known & self.spans
        self.again += len(again)
        self.again_for_nothing += len(arrived) - len(known) + len(again - self.unconfirmed)
        self.spans |= known
        # The one request that was on its way when this life ended.
        self.unconfirmed |= set(arrived[len(arrived) - collector.arrivals.last_spans :])
        self.counted = max(self.counted, collector.total("work"))
        self.lives += 1
        self.moods.append(mood)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """How a run ended.

    Args:
        made: Spans that the service made.
        received: Spans that Collectors received, each counted once.
        again: Spans that an earlier life of the Collector had received.
        again_for_nothing: Spans that the same life had received, or an earlier one that did not die over them.
        lost: Spans that the service counted as lost, by reason.
        waiting: Spans that were still waiting.
        counted: What the counter said last; it must be the truth whatever happened to spans.
        memory: MiB in use, along the run.
        lines: Lines that the SDK logged.
        lives: How often the Collector was started.
    """

    made: int
    received: int
    again: int
    again_for_nothing: int
    lost: dict[str, int]
    waiting: int
    counted: float
    memory: list[float]
    lines: int
    lives: int

    @property
    def missing(self) -> int:
        """Spans that nobody knows about; negative ones were received and are counted as lost or waiting too."""
        return self.made - self.received - sum(self.lost.values()) - self.waiting


def soak(seconds: float, rate: float, queue: int) -> Books:
    """Run a service for a while with a Collector that comes and goes."""
    port = free_port()
    command = [sys.executable, "-c", _SERVICE, f"http://127.0.0.1:{port}", str(rate), str(seconds)]
    variables = environment({"OTEL_BSP_MAX_QUEUE_SIZE": str(queue)})
    with subprocess.Popen(
        command, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        received = _come_and_go(run, port, seconds)
        # The last life serves the service's last words, which it says when its input ends.
        with Collector(port=port) as collector:
            output = run.communicate(timeout=120)[0]
            received.add(collector, "well")
    reports = [json.loads(line.removeprefix("SOAK")) for line in output.splitlines() if line.startswith("SOAK")]
    last = reports[-1]
    return Books(
        made=last["made"],
        received=len(received.spans),
        again=received.again,
        again_for_nothing=received.again_for_nothing,
        lost=last["lost"],
        waiting=last["waiting"],
        counted=received.counted,
        memory=[report["MiB"] for report in reports],
        lines=sum('"logger": "sloburn"' in line for line in output.splitlines()),
        lives=received.lives,
    )


def _come_and_go(run: subprocess.Popen[str], port: int, seconds: float) -> Received:
    received, phase = Received(), max(0.5, seconds / 24)
    moods = ("well", "away", "refusing", "well", "away", "well")
    for number in range(round(seconds * 0.9 / phase)):
        if run.poll() is not None:
            break
        mood = moods[number % len(moods)]
        if mood == "away":
            time.sleep(phase)
            continue
        with Collector(port=port, statuses=(503,) * 1_000_000 if mood == "refusing" else ()) as collector:
            time.sleep(phase)
        received.add(collector, mood)
    return received


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=500, help="spans a second")
    parser.add_argument("--queue", type=int, default=2000, help="the service's queue, short enough to overflow")
    options = parser.parse_args()
    books = soak(options.seconds, options.rate, options.queue)
    quarter = max(1, len(books.memory) // 4)
    print(f"made {books.made}, received {books.received}, counted as lost {books.lost}, waiting {books.waiting}")
    print(f"received by two lives: {books.again}; again for nothing: {books.again_for_nothing}")
    print(f"nobody knows about: {books.missing}; the counter arrived as {books.counted:.0f}")
    print(f"MiB: {' '.join(f'{value:.0f}' for value in books.memory)}")
    growth = max(books.memory[-quarter:]) - max(books.memory[quarter : 2 * quarter] or books.memory)
    print(f"growth between the second and the last quarter: {growth:+.1f} MiB")
    print(f"lines logged: {books.lines}, over {books.lives} lives of the Collector")


if __name__ == "__main__":
    main()
