"""Python's garbage collector, left out of the start."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Let nobody look for garbage until the end of the block, which loads modules.

    They make next to none, but so many objects that to look at them, and in the end at all that the host consists of,
    takes a third of the time of the start. A collector that the host has switched off stays off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        _grow_old()
        gc.enable()


def _grow_old() -> None:
    """Count what there is as old, as it would be after two looks; nothing is kept from the collector by that.

    `gc.unfreeze` puts into the oldest generation what `gc.freeze` has set aside, which must not be what the host did.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
