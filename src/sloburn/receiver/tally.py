"""Counts requests, so that nothing has to be logged for each of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from sloburn.otlp.signal import Signal


class Wire(StrEnum):
    """The two ways in."""

    HTTP = "http"
    GRPC = "grpc"


class RequestKey(NamedTuple):
    """What requests are counted by.

    Args:
        signal: None if the request named no known signal (a wrong path).
        wire: HTTP or gRPC.
        code: HTTP status as text (``"200"``), or the name of the gRPC status (``"OK"``); a sender that went away before
            the answer counts as ``"499"`` or ``"CANCELLED"``.
    """

    signal: Signal | None
    wire: Wire
    code: str


class Tally:
    """Counters of both receivers; add and read from any thread."""

    def __init__(self) -> None:
        self._requests: Counter[RequestKey] = Counter()
        self._unforeseen = 0
        self._lock = threading.Lock()

    def count(self, signal: Signal | None, wire: Wire, code: str) -> None:
        """Count one answered request."""
        with self._lock:
            self._requests[RequestKey(signal, wire, code)] += 1

    def count_unforeseen(self) -> int:
        """Count an error that nobody foresaw, and return how many there were."""
        with self._lock:
            self._unforeseen += 1
            return self._unforeseen

    def requests(self) -> Mapping[RequestKey, int]:
        """Return a copy of the counters."""
        with self._lock:
            return dict(self._requests)

    @property
    def unforeseen(self) -> int:
        """Errors that nobody foresaw; each was answered with 503 or UNAVAILABLE."""
        return self._unforeseen
