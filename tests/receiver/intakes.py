"""Intakes for tests: one that records, or fails as it is told, and one that decodes."""

from __future__ import annotations

import asyncio
import threading

from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.receiver.intake import Receipt


class RecordingIntake:
    """Keeps what it is given and answers as it is told.

    Args:
        outcome: What to return, or to raise.
    """

    def __init__(self, outcome: Receipt | Exception | None = None) -> None:
        self.outcome: Receipt | Exception = outcome or Receipt()
        self.requests: list[tuple[Signal, Encoding, bytes]] = []

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:
        """Record one request."""
        self.requests.append((signal, encoding, body))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    @property
    def bodies(self) -> list[bytes]:
        """The bodies that came, in order."""
        return [body for _, _, body in self.requests]


class DecodingIntake:
    """Decodes what it is given, so that malformed bodies are refused as in production."""

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:
        """Decode one request."""
        decode(signal, encoding, body)
        return Receipt()


class StuckIntake:
    """Holds every request until it is let go; for use from another thread than the receiver's."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.cancelled = threading.Event()
        self._let_go = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:  # noqa: ARG002 - the protocol's
        """Wait."""
        self._loop = asyncio.get_running_loop()
        self.entered.set()
        try:
            await self._let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Receipt()

    def let_go(self) -> None:
        """End the requests that are held, and hold none from now on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._let_go.set)
