"""The sign of life of a Celery worker's main loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from celery import signals


class Beating(Protocol):
    """What wants to know of signs of life."""

    def beat(self) -> None:
        """Say that all is well right now."""
        ...


def follow_heartbeat(make: Callable[[], Beating]) -> None:
    """Pass on the heartbeat of the worker from its first one on: a worker may be told to have none.

    Args:
        make: Begins to expect signs of life.
    """
    made: list[Beating] = []

    def beat(**_: object) -> None:
        if not made:
            made.append(make())
        made[0].beat()

    signals.heartbeat_sent.connect(beat, weak=False)
