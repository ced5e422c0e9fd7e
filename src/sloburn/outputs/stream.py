"""Server-sent events (HTML Living Standard, section 9.2): a snapshot at once, then every change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

from sloburn.outputs.board import Board
from sloburn.sli.status import Snapshot

# A comment keeps proxies from closing the line; the event tells a page's script that the server is still there.
HEARTBEAT = b": heartbeat\nevent: heartbeat\ndata: {}\n\n"
RETRY = b"retry: 1000\n\n"


def event(name: str, data: bytes, event_id: int) -> bytes:
    """Frame one event; `data` must hold no line break, which compact JSON never does."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, name.encode(), data)


def compact(document: object) -> bytes:
    """Write JSON in one line; ASCII only, so that nothing a sender wrote can break the encoding."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


async def events(board: Board, encode: Callable[[Snapshot], bytes], heartbeat_seconds: float) -> AsyncIterator[bytes]:
    """Write a board as a stream: one ``status`` event for every snapshot that the reader is fast enough to see.

    Args:
        board: What to watch.
        encode: Writes a snapshot as one line.
        heartbeat_seconds: Longest silence.
    """
    with board.subscribe() as reader:
        yield RETRY
        while not board.closed:
            snapshot = await reader.next(heartbeat_seconds)
            yield event("status", encode(snapshot), snapshot.at_unix_nano) if snapshot else HEARTBEAT
