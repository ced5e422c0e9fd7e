"""Load whose every item is known, so that what is missing in the end can be counted."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from collector.stack.ports import Ports
from collector.stack.services import url

from tests.telemetry import LogSpec, SpanSpec, log_request, trace_request

if TYPE_CHECKING:
    from google.protobuf.message import Message

SLOS = Path(__file__).parent / "drill-slos.yaml"
SPANS = 20  # of each request, each a trace of its own, each in error, so that sampling keeps it
_NUMBERS = itertools.count(time.time_ns())  # no two runs, and no two spans, share an id
_HEADERS = {"content-type": "application/x-protobuf"}
_RETRIED = (429, 502, 503, 504)
_STEADY_SECONDS = 0.05
_PATIENCE_SECONDS = 600.0
_TRIES = 600


def outage_seconds() -> float:
    """Return how long each backend stays away at least: $DRILL_OUTAGE_SECONDS, or as long as the load needs."""
    return float(os.environ.get("DRILL_OUTAGE_SECONDS", "0"))


class Load:
    """Sends spans and log lines to the Collector as an SDK would: again and again, until each request is taken.

    Args:
        ports: Of the stack.
    """

    def __init__(self, ports: Ports) -> None:
        self._address = url(ports, "otlp_http")
        self._stop = threading.Event()
        self._client = httpx.Client(timeout=60, trust_env=False)
        self.spans: dict[int, int] = {}  # number to its end, in nanoseconds since the epoch
        self.lines = 0
        self.refused = 0
        self.wrong: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send until the block ends; then finish what was begun."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._client.close()
        assert self.wrong == []

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more spans were taken."""
        until, deadline = len(self.spans) + count, time.monotonic() + _PATIENCE_SECONDS + count / 20
        while len(self.spans) < until:
            assert time.monotonic() < deadline, f"only {len(self.spans)} of {until} spans were taken"
            time.sleep(0.05)

    def wait_until(self, moment: float) -> None:
        """Wait until a moment of the monotonic clock, and for the load to go on meanwhile."""
        while time.monotonic() < moment:
            self.wait_for_more(SPANS)

    def wait_for_refusal(self) -> None:
        """Wait until the Collector refuses a request."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.refused:
            assert time.monotonic() < deadline, f"nothing was refused; {len(self.spans)} spans were taken"
            time.sleep(0.05)

    def _run(self) -> None:
        while not self.wrong and not self._stop.wait(_STEADY_SECONDS):
            numbers = [next(_NUMBERS) for _ in range(SPANS)]
            end = time.time_ns()
            spans = [SpanSpec(number=number, end=end, error=True, name="drill") for number in numbers]
            if self._send("/v1/traces", trace_request(spans, "drill")):
                self.spans |= dict.fromkeys(numbers, end)
            lines = [LogSpec(time=end, body=f"drill {number}", text="ERROR") for number in numbers]
            self.lines += SPANS * self._send("/v1/logs", log_request(lines, "drill"))

    def _send(self, path: str, request: Message) -> bool:
        body = request.SerializeToString()
        for pause in (0.1, 0.2, 0.5, *itertools.repeat(1.0, _TRIES)):
            try:
                status = self._client.post(f"{self._address}{path}", content=body, headers=_HEADERS).status_code
            except httpx.TransportError:
                status = 503  # nobody there: as good as a refusal
            if status == httpx.codes.OK:
                return True
            self.refused += 1
            if status not in _RETRIED:
                self.wrong.append(f"{path} was answered with {status}, which a sender must not retry")
                return False
            time.sleep(pause)
        self.wrong.append(f"{path} was refused {_TRIES} times")
        return False
