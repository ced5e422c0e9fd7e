"""A sender that floods the receiver is told to wait; its neighbours do not notice."""

from __future__ import annotations

import asyncio
import http.client
import statistics
import threading
import time
from dataclasses import dataclass, field

import pytest

from sloburn.errors import Overloaded
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.intake import Receipt
from sloburn.receiver.limits import Limits, Pending
from tests.processor import wait_until
from tests.receiver.servers import HOST, KIB, http_receiver

MIB = 1024 * KIB
FLOODERS, QUIET = 30, 3


class SlowIntake:
    """Takes one request after the other, each for a while; none before it is told to begin."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.begin = threading.Event()

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:  # noqa: ARG002 - the protocol's
        """Take one request."""
        async with self._lock:
            await asyncio.sleep(0.01)
            while not self.begin.is_set():
                await asyncio.sleep(0.01)
        return Receipt()


@dataclass
class Sender:
    """A machine with an address of its own that sends one request after the other.

    Args:
        port: Of the receiver.
        address: Its own.
        size: Of its requests, bytes.
    """

    port: int
    address: str
    size: int
    statuses: list[int] = field(default_factory=list)
    retry_after: set[str | None] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    def send(self, count: int = 10**9, stop: threading.Event | None = None) -> None:
        """Send so many requests, or until it is told to stop."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120, source_address=(self.address, 0))
        for _ in range(count):
            if stop is not None and stop.is_set():
                break
            began = time.monotonic()
            connection.request("POST", "/v1/traces", bytes(self.size), {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            self.statuses.append(answer.status)
            if answer.status == 200:
                self.seconds.append(time.monotonic() - began)
            else:
                self.retry_after.add(answer.headers["Retry-After"])
        connection.close()


def test_a_flood_does_not_starve_its_neighbours() -> None:
    """Thirty connections of one machine fill the receiver: it is told to retry, three others are always served soon."""
    limits = Limits(max_body_bytes=MIB, max_pending_bytes=16 * MIB, read_seconds=120)
    stop, intake = threading.Event(), SlowIntake()
    with http_receiver(intake, limits=limits) as receiver:
        flood = [Sender(receiver.port, "127.0.0.2", 512 * KIB) for _ in range(FLOODERS)]
        flooding = [threading.Thread(target=one.send, kwargs={"stop": stop}, daemon=True) for one in flood]
        for thread in flooding:
            thread.start()
        wait_until(lambda: any(429 in one.statuses for one in flood), "the receiver is full")
        intake.begin.set()
        wait_until(lambda: all(one.statuses for one in flood), "all of the flood is there")
        quiet = [Sender(receiver.port, f"127.0.0.{number + 3}", KIB) for number in range(QUIET)]
        sending = [threading.Thread(target=one.send, args=(15,), daemon=True) for one in quiet]
        for thread in sending:
            thread.start()
        for thread in sending:
            thread.join(120)
        stop.set()
        for thread in flooding:
            thread.join(120)
    assert [status for one in quiet for status in one.statuses] == [200] * 15 * QUIET
    statuses = [status for one in flood for status in one.statuses]
    assert set(statuses) == {200, 429}
    assert {after for one in flood for after in one.retry_after} <= {"1"}
    waited = statistics.median(seconds for one in flood for seconds in one.seconds)
    assert statistics.median(seconds for one in quiet for seconds in one.seconds) < waited


def test_one_sender_may_not_hold_everything() -> None:
    """A sender alone gets three quarters; another one still finds room, and may bring one large request."""
    pending = Pending(1000)
    for _ in range(7):
        pending.hold("flood").grow(100)
    with pytest.raises(Overloaded, match="700 of the 700 bytes of unfinished requests are this sender's"):
        pending.hold("flood").grow(250)
    pending.hold("quiet").grow(250)
    with pytest.raises(Overloaded, match="the receiver holds 950 bytes"):
        pending.hold("third").grow(60)


def test_what_is_announced_is_not_held() -> None:
    """A body for which there is no room is refused before it is read; announcing alone takes no room from others."""
    pending = Pending(1000)
    pending.hold("patient").expect(900)
    assert pending.held_bytes == 0
    pending.hold("busy").grow(600)
    with pytest.raises(Overloaded):
        pending.hold("other").expect(500)
    pending.hold("other").expect(400)


def test_what_a_sender_held_is_forgotten() -> None:
    """Accounts are closed when everything was given back: senders of the past take no memory."""
    pending = Pending(1000)
    for number in range(100):
        with pending.hold(f"10.0.0.{number}") as hold:
            hold.grow(700)
    assert pending.held_bytes == 0
    with pending.hold("flood") as hold:
        hold.grow(1000)
