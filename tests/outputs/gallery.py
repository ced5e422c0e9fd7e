"""Serve hand-built snapshots for a person who works on the page: ``python -m tests.outputs.gallery [NAME] [PORT]``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

import uvicorn

from sloburn.clock import SystemClock
from sloburn.outputs.board import Board
from sloburn.outputs.web import page_app
from sloburn.sli.status import SloState, Snapshot
from sloburn.slo.budget import Count
from tests.outputs import snapshots

GALLERY: dict[str, Callable[[], Snapshot]] = {
    "team": snapshots.team_snapshot,
    "demo": snapshots.demo_snapshot,
    "many": snapshots.many_snapshot,
    "story": snapshots.story_snapshot,
    "hostile": snapshots.hostile_snapshot,
    "calm": lambda: snapshots.snapshot_of(*snapshots.many_snapshot(4).statuses),
    "idle": lambda: snapshots.snapshot_of(snapshots.build_status(state=SloState.NO_DATA, count=Count())),
    "empty": lambda: snapshots.snapshot_of(items={}),
}


async def serve(name: str, port: int) -> None:
    """Publish one snapshot again every second, as an engine would."""
    board = Board()
    config = uvicorn.Config(page_app(board), host="127.0.0.1", port=port, log_level="warning")
    server = asyncio.create_task(uvicorn.Server(config).serve())
    print(f"{name}: http://127.0.0.1:{port}/")
    clock = SystemClock()
    start = clock.now_unix_nano()
    while not server.done():
        board.publish(replace(GALLERY[name](), at_unix_nano=snapshots.NOW + clock.now_unix_nano() - start))
        await asyncio.wait({server}, timeout=1)


if __name__ == "__main__":
    picked = sys.argv[1] if len(sys.argv) > 1 else "team"
    asyncio.run(serve(picked, int(sys.argv[2]) if len(sys.argv) > 2 else 8099))
