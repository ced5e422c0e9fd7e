"""Turns go round by sender: a flood delays nobody but its sender."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from sloburn.receiver.turns import Turns


class Door:
    """A door with turns behind it: notes who got in, and lets them out by hand.

    Args:
        max_bytes: What may be inside.
    """

    def __init__(self, max_bytes: int) -> None:
        self.turns = Turns(max_bytes)
        self.entered: list[str] = []
        self.inside: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, sender: str, size: int = 1) -> asyncio.Task[None]:
        """Let a sender ask for a turn."""
        task = asyncio.ensure_future(self._enter(sender, size))
        self._tasks.append(task)
        await settled()
        return task

    async def _enter(self, sender: str, size: int) -> None:
        await self.turns.enter(sender, size)
        self.entered.append(sender)
        self.inside.append(size)

    async def end(self, count: int = 1) -> None:
        """End the oldest turns."""
        for _ in range(count):
            self.turns.leave(self.inside.pop(0))
            await settled()

    async def close(self) -> None:
        """End everything."""
        while self.inside:
            await self.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario on a loop of its own."""
    asyncio.run(asyncio.wait_for(scenario, 30))


def test_who_finds_room_does_not_wait() -> None:
    """Requests go in as they come while they fit."""

    async def scenario() -> None:
        door = Door(max_bytes=3)
        for _ in range(4):
            await door.come("a")
        assert door.entered == ["a"] * 3
        await door.close()

    run(scenario())


def test_a_flood_is_overtaken() -> None:
    """Behind ninety requests of a flood, quiet senders are next in turn, one after the other."""

    async def scenario() -> None:
        door = Door(max_bytes=1)
        for _ in range(90):
            await door.come("flood")
        for sender in ("b", "c", "b"):
            await door.come(sender)
        await door.end(6)
        assert door.entered == ["flood", "flood", "b", "c", "flood", "b", "flood"]
        await door.close()

    run(scenario())


def test_bytes_count_and_not_requests() -> None:
    """A sender of large requests gets as many bytes as one of small ones, not as many turns."""

    async def scenario() -> None:
        door = Door(max_bytes=10)
        await door.come("hold", 10)
        for _ in range(12):
            await door.come("large", 10)
            await door.come("small", 2)
        await door.end()
        for _ in range(14):
            await door.end(len(door.inside))
        served = door.entered[1:14]
        assert (served.count("large"), served.count("small")) == (3, 10)
        await door.close()

    run(scenario())


def test_a_request_larger_than_the_room_goes_in_alone() -> None:
    """What could never fit waits until nothing is inside, and holds up those behind it only so long."""

    async def scenario() -> None:
        door = Door(max_bytes=4)
        await door.come("a", 1)
        await door.come("b", 100)
        await door.come("c", 1)
        assert door.entered == ["a"]
        await door.end()
        assert door.entered == ["a", "b"]
        await door.end()
        assert door.entered == ["a", "b", "c"]
        await door.close()

    run(scenario())


def test_a_pause_saves_up_nothing() -> None:
    """A sender that comes back after a while takes its turn like everybody, not all the turns that it left out."""

    async def scenario() -> None:
        door = Door(max_bytes=1)
        for _ in range(40):
            await door.come("busy")
        await door.end(20)
        for _ in range(6):
            await door.come("late")
        began = len(door.entered)
        await door.end(6)
        assert sorted(door.entered[began:]) == ["busy"] * 3 + ["late"] * 3
        await door.close()

    run(scenario())


@pytest.mark.parametrize("is_given", [False, True])
def test_who_goes_away_takes_no_turn(is_given: bool) -> None:
    """A request that is given up while it waits, or in the moment in which its turn comes, leaves nothing behind."""

    async def scenario() -> None:
        door = Door(max_bytes=1)
        await door.come("a")
        waiting = await door.come("b")
        await door.come("c")
        if is_given:
            door.turns.leave(door.inside.pop(0))
        waiting.cancel()
        await settled()
        if not is_given:
            await door.end()
        assert door.entered == ["a", "c"]
        await door.close()
        await door.come("d")
        assert door.entered[-1] == "d"

    run(scenario())
