"""What a receiver hands requests to: the seam between the wire and the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sloburn.otlp.signal import Encoding, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a request that was taken, and durably so.

    Args:
        rejected: Items refused for good; the sender must not send them again (``partial_success``).
        message: Why, for people; empty if nothing was.
    """

    rejected: int = 0
    message: str = ""


class Intake(Protocol):
    """Takes requests; returns after the durable commit."""

    async def submit(self, signal: Signal, encoding: Encoding, body: bytes) -> Receipt:
        """Take one request, already inflated.

        Raises:
            MalformedBody: The body is not what `encoding` says.
            Overloaded: The queue is full; the sender should retry.
            StorageError: The commit failed; the sender should retry.
        """
        ...
