"""Run something that blocks beside the event loop of the moment, on a thread that may hang without harm."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def start(act: Callable[[], Result], name: str) -> Future[Result]:
    """Run something on a daemon thread of its own: one that hangs neither fills a pool nor delays the exit.

    Args:
        act: What to run.
        name: The thread's.

    Returns:
        Its result, or what it raised, when it is done.
    """
    future: Future[Result] = Future()
    # From now on nobody who has stopped to wait can cancel it under our hands.
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def in_thread(act: Callable[[], Result]) -> Result:
    """Run something on a thread and wait for it, under asyncio; under any other event loop run it here.

    Args:
        act: What to run; it should be short.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return act()
    return await asyncio.wrap_future(start(act, "sloburn-page"))
