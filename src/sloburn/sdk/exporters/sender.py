"""What a transport promises: one attempt, bounded in time, that answers with an `Outcome` and never raises."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Literal, Protocol

from sloburn.sdk.config import Compression

_LONGEST_REASON = 200

Verdict = Literal["taken", "retry", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request.

    Args:
        verdict: ``taken``; ``retry`` when sending it again can help; ``refused`` when it cannot.
        reason: Why it was not taken, in words for a log line.
        retry_after_seconds: How long the receiver asked to wait.
        refused_items: Items that were refused although the request was taken.
    """

    verdict: Verdict
    reason: str = ""
    retry_after_seconds: float | None = None
    refused_items: int = 0


class Sender(Protocol):
    """Carries request bodies of one signal to one target. Used by one thread at a time."""

    def send(self, body: bytes, timeout_seconds: float) -> Outcome:
        """Send one request body; never raises."""
        ...

    def forget_connection(self) -> None:
        """Drop the connection without touching its socket: it belongs to the parent process."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def in_words(text: str, otherwise: str = "") -> str:
    """Return what the other side said, or how it failed, as one short line for a log: it may be anything."""
    readable = "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_REASON])
    return " ".join(readable.split()) or otherwise


def compress(body: bytes, compression: Compression) -> bytes:
    """Pack a body; level 1 because the host's CPU is worth more than the wire's bytes."""
    if compression == "gzip":
        return gzip.compress(body, compresslevel=1)
    return zlib.compress(body, level=1) if compression == "deflate" else body
