"""Turns: who waits for the intake is served by sender, not by arrival, so that a flood delays nobody but its sender.

At most so many bytes are inside at once; everybody else waits here, in a line for each sender, and the line that was
served least goes next. That is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) with equal weights: a
sender that comes after a pause begins at the present, so it neither saves up turns nor waits for those of others.
"""

from __future__ import annotations

import asyncio
from collections import deque


class _Line:
    """What one sender waits for.

    Args:
        served: Bytes that it was served, on the common clock.
    """

    __slots__ = ("served", "waiting")

    def __init__(self, served: int) -> None:
        self.served = served
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()


class Turns:
    """Lets requests in; for use on one event loop. What waits is bounded by what may be pending.

    Args:
        max_bytes: The most that is inside at once; a request that is larger goes in alone.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._inside = 0
        self._lines: dict[str, _Line] = {}
        self._clock = 0

    async def enter(self, sender: str, size: int) -> None:
        """Wait for a turn; call `leave` when it is over.

        Args:
            sender: Whose turn it would be.
            size: Of the request, bytes.
        """
        if not self._lines and self._has_room(size):
            self._inside += size
            return
        line = self._lines.setdefault(sender, _Line(self._clock))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                line.waiting.remove((size, turn))
                self._admit()
            else:  # it was given just now, and nobody takes it
                self.leave(size)
            raise

    def leave(self, size: int) -> None:
        """End a turn of so many bytes."""
        self._inside -= size
        self._admit()

    def _has_room(self, size: int) -> bool:
        return not self._inside or self._inside + size <= self._max_bytes

    def _admit(self) -> None:
        """Give turns while there is room."""
        while self._lines:
            sender, line = min(self._lines.items(), key=lambda item: item[1].served)
            if not line.waiting:
                del self._lines[sender]
                continue
            size, turn = line.waiting[0]
            if turn.cancelled():  # its sender went away, and says so next
                return
            if not self._has_room(size):
                return
            line.waiting.popleft()
            self._inside += size
            self._clock = line.served
            line.served += size
            turn.set_result(None)
