"""Do several things that may hang at the same time, and give up on those that do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sloburn.clock import monotonic

Result = TypeVar("Result")


def side_by_side(
    acts: Sequence[Callable[[], Result]], seconds: float | None = None, now: Callable[[], float] = monotonic
) -> list[Result | None]:
    """Do things at the same time.

    Each on a daemon thread, which a pool's are not: the look-up of a name knows no timeout and must not delay the end.

    Args:
        acts: What to do.
        seconds: How long to wait for all of them together; as long as they take when absent.
        now: Seconds on a clock that never goes back.

    Returns:
        What each has returned, in order; None for those that have not, or have raised.
    """
    results: list[Result | None] = [None] * len(acts)

    def do(number: int, act: Callable[[], Result]) -> None:
        results[number] = act()

    threads = [threading.Thread(target=do, args=pair, daemon=True) for pair in enumerate(acts)]
    deadline = None if seconds is None else now() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - now()))
    return list(results)
