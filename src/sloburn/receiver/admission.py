"""What both protocols do with a body: inflate, hand over, count; and with an error: answer, count, log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sloburn.clock import monotonic
from sloburn.errors import BodyTooLarge
from sloburn.otlp.signal import Compression, Encoding, Signal
from sloburn.otlp.zstd import unzstd
from sloburn.receiver.answers import UNFORESEEN, Answer, answer_to
from sloburn.receiver.inflate import inflate
from sloburn.receiver.intake import Intake, Receipt
from sloburn.receiver.limits import Hold, Limits, Pending
from sloburn.receiver.tally import Tally, Wire
from sloburn.receiver.turns import Turns

log = logging.getLogger("sloburn.receiver")

Inflater = Callable[[bytes, int, Callable[[int], None]], bytes]

_INFLATERS: dict[Compression, Inflater] = {Compression.GZIP: inflate, Compression.ZSTD: unzstd}

INSIDE_BYTES = 4 * 1024 * 1024  # what the intake works on at once: a request whose turn is next waits no longer
_INFLATE_INLINE_BYTES = 16 * 1024  # more would stall the event loop for too long: it may grow a thousandfold
_LOG_EVERY_SECONDS = 10.0


class Admission:
    """The door to the intake, one for each protocol.

    Args:
        intake: Takes the requests.
        wire: Which protocol it serves, for the counters.
        limits: Bounds, for this protocol.
        tally: Counts what was answered.
    """

    def __init__(self, intake: Intake, *, wire: Wire, limits: Limits, tally: Tally) -> None:
        self.limits = limits
        self.pending = Pending(limits.max_pending_bytes)
        self._intake = intake
        self._turns = Turns(INSIDE_BYTES)
        self._wire = wire
        self._tally = tally
        self._quiet_until = 0.0

    async def take(
        self, signal: Signal, encoding: Encoding, body: bytes, *, compression: Compression, hold: Hold
    ) -> Receipt:
        """Inflate a body if it is compressed, and hand it to the intake when it is its sender's turn.

        Raises:
            TelemetryError: It cannot be taken.
            StorageError: It could not be stored.
        """
        self.check_size(len(body))
        if compression is not Compression.NONE:
            body = await self._inflate(body, _INFLATERS[compression], hold)
        size = len(body)
        await self._turns.enter(hold.sender, size)
        try:
            return await self._intake.submit(signal, encoding, body)
        finally:
            self._turns.leave(size)

    def check_size(self, size_bytes: int) -> None:
        """Refuse a body that is over the limit.

        Raises:
            BodyTooLarge: It is.
        """
        if size_bytes > self.limits.max_body_bytes:
            raise BodyTooLarge(f"the body is larger than the limit of {self.limits.max_body_bytes} bytes")

    def count(self, signal: Signal | None, code: str) -> None:
        """Count one answered request."""
        self._tally.count(signal, self._wire, code)

    def answer(self, error: Exception) -> Answer:
        """Return the answer to an error; one that nobody foresaw is counted and logged, but not too often."""
        answer = answer_to(error)
        if answer is UNFORESEEN:
            seen = self._tally.count_unforeseen()
            if monotonic() >= self._quiet_until:
                self._quiet_until = monotonic() + _LOG_EVERY_SECONDS
                log.error("a request failed in a way that nobody foresaw (%d so far)", seen, exc_info=error)
        return answer

    async def _inflate(self, body: bytes, inflater: Inflater, hold: Hold) -> bytes:
        """Inflate small bodies here and others in a worker thread."""
        limit = self.limits.max_body_bytes
        if len(body) <= _INFLATE_INLINE_BYTES:
            return inflater(body, limit, hold.grow)
        return await asyncio.to_thread(inflater, body, limit, hold.grow)
