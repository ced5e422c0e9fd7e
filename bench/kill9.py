"""Kill the processor with SIGKILL at random moments while senders retry: nothing may be lost, nothing doubled.

Senders post spans as an OTLP exporter does: a request goes out again until it is acknowledged. On top of that they send
acknowledged requests once more, and two requests as one, as a Collector that was restarted would. In the end every span
that was ever built must have counted once, in the SLO, in its groups, and after one more restart.

Exit status 1 if a number is wrong.

Run: ``python -m bench.kill9 [--kills 100] [--seed 1]``
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import threading
import time
import urllib.request
from collections import deque
from dataclasses import dataclass, field

from bench.ingest_servers import Server, sloburn
from bench.payloads import SpanBody

SENDERS = 4
SPANS = 64

SLOS = """\
version: sloburn/v1
slos:
  - name: availability
    service: shop
    objective: 99.9
    period: 30d
    indicator:
      spans: {kind: server}
      bad: {http.response.status_code: {gte: 500}}
  - name: by-route
    service: shop
    objective: 99
    period: 30d
    group_by: [http.route]
    indicator:
      spans: {kind: server}
      bad: {http.response.status_code: {gte: 500}}
"""


@dataclass(slots=True)
class Books:
    """What the senders know to be acknowledged."""

    good: int = 0
    bad: int = 0
    requests: int = 0
    retries: int = 0
    repeats: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sender(threading.Thread):
    """Posts new spans until it is told to stop, each request until it is acknowledged."""

    def __init__(self, port: int, books: Books, seed: int, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port, self._books, self._stopping = port, books, stopping
        self._rnd = random.Random(seed)
        self._body = SpanBody(SPANS, seed=seed)
        self._old: deque[bytes] = deque(maxlen=30)

    def run(self) -> None:
        """Post until stopped."""
        while not self._stopping.is_set():
            body = self._body.fresh(time.time_ns())
            # Two requests in one: protobuf concatenates repeated fields.
            repeat = bool(self._old) and self._rnd.random() < 0.2
            self._deliver(body + self._rnd.choice(self._old) if repeat else body)
            self._old.append(body)
            if self._rnd.random() < 0.1:
                self._deliver(self._rnd.choice(self._old))
            with self._books.lock:
                self._books.requests += 1
                self._books.repeats += repeat
                self._books.bad += self._body.bad
                self._books.good += SPANS - self._body.bad
            time.sleep(0.002)

    def _deliver(self, body: bytes) -> None:
        while not self._post(body):
            with self._books.lock:
                self._books.retries += 1
            time.sleep(0.02)

    def _post(self, body: bytes) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if status not in (200, 429, 502, 503, 504):
            raise RuntimeError(f"answered {status}")
        return status == 200


def counts(server: Server) -> dict[str, tuple[int, int]]:
    """Return good and bad events of each SLO; groups are added up."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.page}/api/v1/slos", timeout=60) as answer:
        document = json.load(answer)
    found: dict[str, tuple[int, int]] = {}
    for slo in document["slos"]:
        good, bad = found.get(slo["name"], (0, 0))
        found[slo["name"]] = good + slo["good"], bad + slo["bad"]
    return found


def run(kills: int, seed: int) -> bool:
    """Kill so many times; tell whether every number is right, and print them."""
    rnd, books, stopping = random.Random(seed), Books(), threading.Event()
    with sloburn(SLOS) as server:
        senders = [Sender(server.port, books, seed * 100 + number, stopping) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for _ in range(kills):
            time.sleep(rnd.choice((0.0, 0.02, 0.1, 0.3, 1.0)) * rnd.random())
            server.kill()
            server.start()
        stopping.set()
        for sender in senders:
            sender.join()
        expected = dict.fromkeys(("availability", "by-route"), (books.good, books.bad))
        first = _settled(server, expected)
        server.kill()
        server.start()
        second = _settled(server, expected)
    print(
        f"{kills} kills: {books.requests:,} requests acknowledged, {books.retries:,} retries, "
        f"{books.repeats:,} regrouped repeats; expected {expected['availability']}, found {first}, "
        f"after another kill {second}: {'exact' if first == second == expected else 'WRONG'}"
    )
    return first == second == expected


def _settled(server: Server, expected: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return the counts once they are what is expected, or after a minute."""
    deadline = time.monotonic() + 60
    while (found := counts(server)) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(0 if run(options.kills, options.seed) else 1)


if __name__ == "__main__":
    main()
