"""Send the shop steady, real HTTP traffic, and keep a record of every request: what is true, whatever telemetry says.

Run it by hand with ``python -m examples.shop.load``; ``--help`` names its settings.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import httpx

from examples.shop.requests_log import NO_ANSWER, Request
from sloburn.clock import SystemClock, monotonic
from sloburn.duration import SECOND

IN_FLIGHT_LIMIT = 50
REPORT_EVERY_SECONDS = 5.0
SEED = 20  # the same order of calls in each run


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One kind of request that customers make; `route` is what the service calls it."""

    method: str
    route: str
    path: str
    body: dict[str, object] | None = None


MIX: tuple[tuple[Call, int], ...] = (
    (Call(method="GET", route="/products", path="/products"), 30),
    (Call(method="GET", route="/products/{product_id}", path="/products/3"), 30),
    (Call(method="POST", route="/cart", path="/cart", body={"product_id": 3}), 15),
    (Call(method="POST", route="/pay", path="/pay", body={"cart_id": "demo"}), 25),
)


def calls() -> Iterator[Call]:
    """Yield calls for ever: in each hundred every kind has its exact share, in random order."""
    hundred = [call for call, share in MIX for _ in range(share)]
    shuffle = random.Random(SEED).shuffle
    while True:
        shuffle(hundred)
        yield from list(hundred)


class Load:
    """Sends calls at a steady rate and records each one when it ends.

    Args:
        client: Where calls go.
        log: Where records go, one JSON line each.
        rate: Calls per second.
    """

    def __init__(self, client: httpx.AsyncClient, log: TextIO, rate: float) -> None:
        self._client = client
        self._log = log
        self._rate = rate
        self._clock = SystemClock()
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_LIMIT)
        self._ended = 0
        self._failed = 0

    async def run(self, stop: asyncio.Event, seconds: float) -> None:
        """Send until `stop` is set or the seconds are over; then wait for the answers."""
        started, kinds = monotonic(), calls()
        async with asyncio.TaskGroup() as group:
            for count in itertools.count():
                due = started + count / self._rate
                if due > started + seconds or await _was_set(stop, due - monotonic()):
                    return
                await self._in_flight.acquire()
                group.create_task(self._send(next(kinds)))

    async def report(self) -> None:
        """Print how it goes, for ever."""
        while True:
            await asyncio.sleep(REPORT_EVERY_SECONDS)
            print(self.summary(), flush=True)

    def summary(self) -> str:
        """Say in one line what was sent."""
        return f"{self._ended} requests, {self._failed} failed"

    async def _send(self, call: Call) -> None:
        asked = monotonic()
        try:
            response = await self._client.request(call.method, call.path, json=call.body)
            status = response.status_code
        except httpx.HTTPError:
            status = NO_ANSWER
        finally:
            self._in_flight.release()
        end, taken_ns = self._clock.now_unix_nano(), round((monotonic() - asked) * SECOND)
        request = Request(end_unix_nano=end, route=call.route, status=status, taken_ns=taken_ns)
        self._ended += 1
        self._failed += request.failed
        self._log.write(request.to_line())
        self._log.flush()


async def _was_set(event: asyncio.Event, timeout_seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, timeout_seconds)):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def run(arguments: argparse.Namespace) -> None:
    """Send until told to stop, and say what was sent."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with Path(arguments.log).open("a", encoding="utf-8") as log:
        # Without the environment's proxies: the shop is on this machine.
        async with httpx.AsyncClient(base_url=arguments.url, timeout=10, trust_env=False) as client:
            load = Load(client, log, arguments.rate)
            reports = asyncio.create_task(load.report())
            await load.run(stop, arguments.seconds)
            reports.cancel()
    print(load.summary(), flush=True)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop.load", description=__doc__)
    shop = os.environ.get("SHOP_URL", "http://127.0.0.1:8000")
    parser.add_argument("--url", default=shop, help="the shop, else $SHOP_URL (%(default)s)")
    parser.add_argument("--rate", type=float, default=25.0, help="requests per second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long (until Ctrl-C)")
    parser.add_argument("--log", default="/dev/null", help="where to record every request, one JSON line each")
    return parser.parse_args(argv)


if __name__ == "__main__":
    asyncio.run(run(parse()))
