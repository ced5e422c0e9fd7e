"""Where the latest snapshot hangs, and who is told when it changes."""

from __future__ import annotations

import asyncio
from types import TracebackType

from sloburn.sli.status import Snapshot


class Subscription:
    """One reader of a board. A slow one skips to the newest snapshot: nothing is queued for it.

    Use it in a ``with`` statement, so that the board forgets it.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._changed = asyncio.Event()
        if board.latest is not None or board.closed:
            self._changed.set()

    def wake(self) -> None:
        """Tell the reader that there is something new, or that the board is closed."""
        self._changed.set()

    @property
    def is_behind(self) -> bool:
        """Whether the reader has not taken yet what it was told of last."""
        return self._changed.is_set()

    async def next(self, timeout_seconds: float | None = None) -> Snapshot | None:
        """Wait for a snapshot that this reader has not seen; the first one comes at once if there is any.

        Args:
            timeout_seconds: How long to wait; None is for ever.

        Returns:
            The newest snapshot; None if the time is over or the board is closed.
        """
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_seconds)
        except TimeoutError:
            return None
        if self._board.closed:
            return None
        self._changed.clear()
        return self._board.latest

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.forget(self)


class Board:
    """Holds the latest snapshot. Everything happens in the event loop's thread, so nothing is locked."""

    def __init__(self) -> None:
        self._latest: Snapshot | None = None
        self._readers: set[Subscription] = set()
        self._closed = False
        self.skipped = 0  # snapshots that some reader never saw
        self.refused = 0  # readers who were one too many

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot; None before the first."""
        return self._latest

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def readers(self) -> int:
        """How many subscriptions are open."""
        return len(self._readers)

    def publish(self, snapshot: Snapshot) -> None:
        """Hang up a new snapshot and wake every reader. Call it in the event loop's thread."""
        self.skipped += sum(reader.is_behind for reader in self._readers) if self._latest else 0
        self._latest = snapshot
        for reader in self._readers:
            reader.wake()

    def subscribe(self) -> Subscription:
        """Return a reader that gets the latest snapshot at once and then every change."""
        reader = Subscription(self)
        self._readers.add(reader)
        return reader

    def forget(self, reader: Subscription) -> None:
        """Drop a reader."""
        self._readers.discard(reader)

    def close(self) -> None:
        """End every subscription, so that open streams do not hold up the server's shutdown."""
        self._closed = True
        for reader in self._readers:
            reader.wake()
