"""From a store to an engine that stands where the last one was killed."""

from __future__ import annotations

from sloburn.errors import StorageCorrupt
from sloburn.server.records import (
    read_alerts,
    read_commit,
    read_keys,
    restore_block,
    restore_series,
    restore_stream,
)
from sloburn.server.storage import Stored
from sloburn.sli.engine import Engine


def restore(engine: Engine, stored: Stored) -> int:
    """Bring an engine to where the store is; return how many commits were applied after the checkpoint.

    Raises:
        StorageCorrupt: Something cannot be read back.
    """
    try:
        _restore_checkpoint(engine, stored)
    except (ValueError, TypeError, KeyError) as error:
        raise StorageCorrupt(f"the checkpoint cannot be read back: {error!r}") from error
    applied = 0
    for row in stored.rows:
        if row.number > stored.checkpoint:
            engine.apply(read_commit(row))
            applied += 1
        else:
            engine.remember(read_keys(row.seen))
    return applied


def _restore_checkpoint(engine: Engine, stored: Stored) -> None:
    for key, tier, number, cells in stored.blocks:
        restore_block(engine, key, tier, number, cells)
    for key, state in stored.series:
        restore_series(engine, key, state)
    for stream, state in stored.streams:
        restore_stream(engine, stream, state)
    for key, text in stored.alerts:
        series = engine.open(key)
        if series is not None:
            series.alerts = read_alerts(text)
