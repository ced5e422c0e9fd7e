"""Python's garbage collector, left out of the start."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator


class _Process:
    """What this process has loaded so, whether the collector is off for it now, and whether forks are followed."""

    # No dataclass: what loads those is itself to be loaded in a pause.
    def __init__(self) -> None:
        self.loaded: set[str] = set()
        self.is_paused = False
        self.is_followed = False


_PROCESS = _Process()


@contextlib.contextmanager
def without_collection(module: str) -> Iterator[None]:
    """Let nobody look for garbage until the end of the block, which loads a module for the first time.

    Modules make next to none, but so many objects that to look at them, and in the end at all that the host consists
    of, takes a third of the time of the start. A collector that the host has switched off stays off. The second time
    nothing happens: what is loaded costs nothing, and who starts telemetry again and again may make garbage meanwhile.

    Args:
        module: What is loaded; of several blocks for one module the first one counts.
    """
    is_first = module not in _PROCESS.loaded
    _PROCESS.loaded.add(module)
    if not is_first or not gc.isenabled():
        yield
        return
    if not _PROCESS.is_followed and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_go_on)
        _PROCESS.is_followed = True
    _PROCESS.is_paused = True
    gc.disable()
    try:
        yield
    finally:
        try:
            _grow_old()
        finally:
            _go_on()


def _go_on() -> None:
    """Switch the collector on if it is off for us; in a child whose parent forked meanwhile nobody else would."""
    if _PROCESS.is_paused:
        _PROCESS.is_paused = False
        gc.enable()


def _grow_old() -> None:
    """Count what there is as old, as it would be after two looks; nothing is kept from the collector by that.

    `gc.unfreeze` puts into the oldest generation what `gc.freeze` has set aside, which must not be what the host did.
    """
    # An interpreter may have neither, or none that works.
    with contextlib.suppress(Exception):
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
