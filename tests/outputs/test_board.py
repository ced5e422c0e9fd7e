"""The board: who reads it, what slow readers miss, and how it closes."""

from __future__ import annotations

import asyncio

from sloburn.outputs.board import Board
from sloburn.outputs.stream import HEARTBEAT, RETRY, events
from sloburn.sli.status import Snapshot

WAIT_SECONDS = 60.0


def snapshot(at: int) -> Snapshot:
    """Build a snapshot that its moment tells apart."""
    return Snapshot(at_unix_nano=at)


def test_a_reader_gets_the_latest_at_once_and_once() -> None:
    """What hangs on the board is seen at once; the same snapshot is not seen again."""

    async def scene() -> list[Snapshot | None]:
        board = Board()
        board.publish(snapshot(1))
        with board.subscribe() as reader:
            return [await reader.next(WAIT_SECONDS), await reader.next(0.01)]

    assert asyncio.run(scene()) == [snapshot(1), None]


def test_an_empty_board_is_waited_for() -> None:
    """Before the first snapshot a reader waits, and wakes when it comes."""

    async def scene() -> Snapshot | None:
        board = Board()
        with board.subscribe() as reader:
            waiting = asyncio.create_task(reader.next())
            await asyncio.sleep(0)
            assert not waiting.done()
            board.publish(snapshot(1))
            return await asyncio.wait_for(waiting, WAIT_SECONDS)

    assert asyncio.run(scene()) == snapshot(1)


def test_slow_readers_skip_to_the_newest() -> None:
    """Of a hundred snapshots a reader that was busy sees the last; nothing is queued for it."""

    async def scene() -> list[Snapshot | None]:
        board = Board()
        with board.subscribe() as reader:
            for at in range(100):
                board.publish(snapshot(at))
            return [await reader.next(WAIT_SECONDS), await reader.next(0.01)]

    assert asyncio.run(scene()) == [snapshot(99), None]


def test_every_reader_sees_every_change() -> None:
    """Readers do not take snapshots away from each other."""

    async def scene() -> list[Snapshot | None]:
        board = Board()
        with board.subscribe() as one, board.subscribe() as other:
            board.publish(snapshot(1))
            seen = [await one.next(WAIT_SECONDS), await other.next(WAIT_SECONDS)]
            board.publish(snapshot(2))
            return [*seen, await one.next(WAIT_SECONDS), await other.next(WAIT_SECONDS)]

    assert asyncio.run(scene()) == [snapshot(1), snapshot(1), snapshot(2), snapshot(2)]


def test_readers_that_leave_are_forgotten() -> None:
    """The board holds nobody who does not read any more."""

    async def scene() -> list[int]:
        board = Board()
        with board.subscribe():
            inside = board.readers
        return [inside, board.readers]

    assert asyncio.run(scene()) == [1, 0]


def test_closing_wakes_everybody() -> None:
    """A closed board has nothing to say: readers that wait are woken, later ones do not wait."""

    async def scene() -> list[Snapshot | None]:
        board = Board()
        with board.subscribe() as reader:
            waiting = asyncio.create_task(reader.next())
            await asyncio.sleep(0)
            board.close()
            first = await asyncio.wait_for(waiting, WAIT_SECONDS)
        with board.subscribe() as late:
            return [first, await asyncio.wait_for(late.next(), WAIT_SECONDS)]

    assert asyncio.run(scene()) == [None, None]


def encode(seen: Snapshot) -> bytes:
    """Write the moment of a snapshot."""
    return b"%d" % seen.at_unix_nano


def test_a_stream_frames_changes_and_silence() -> None:
    """First how long to wait before a new try, then each change, then heartbeats; a closed board ends it."""

    async def scene() -> list[bytes]:
        board = Board()
        board.publish(snapshot(1))
        stream, written = events(board, encode, 0.01), []
        async for piece in stream:
            written.append(piece)
            if len(written) == 2:
                board.publish(snapshot(2))
            if len(written) == 4:
                board.close()
        return written

    status = [b"id: %d\nevent: status\ndata: %d\n\n" % (at, at) for at in (1, 2)]
    assert asyncio.run(scene()) == [RETRY, *status, HEARTBEAT]


def test_a_stream_that_is_given_up_leaves_no_reader() -> None:
    """Who stops reading in the middle is forgotten."""

    async def scene() -> list[int]:
        board = Board()
        stream = events(board, encode, WAIT_SECONDS)
        await anext(stream)
        inside = board.readers
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator
        return [inside, board.readers]

    assert asyncio.run(scene()) == [1, 0]
