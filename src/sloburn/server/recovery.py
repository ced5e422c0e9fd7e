"""From a store to an engine that stands where the last one was killed."""

from __future__ import annotations

import json
import logging

from sloburn.errors import StorageCorrupt
from sloburn.server.records import (
    Reader,
    Scribe,
    read_alerts,
    read_block,
    read_failing,
    read_keys,
    read_series_key,
    read_stream,
    restore_series,
)
from sloburn.server.storage import Store
from sloburn.sli.engine import Engine

log = logging.getLogger("sloburn.server")


def restore(engine: Engine, store: Store) -> tuple[Scribe, int]:
    """Bring an engine to where a store is.

    Returns:
        What writes the engine's further commits, and how many were applied after the checkpoint.

    Raises:
        StorageCorrupt: Something cannot be read back.
        StorageError: The store cannot be read.
    """
    try:
        scribe = _restore_checkpoint(engine, store)
    except (ValueError, TypeError, KeyError) as error:
        raise StorageCorrupt(f"the checkpoint cannot be read back: {error!r}") from error
    applied, reader = 0, Reader(engine)
    for row in store.rows():
        for at, keys in read_keys(row):
            engine.seen.add_packed(at, keys, row.at_unix_nano)
        if row.number > store.checkpoint_number:
            engine.apply(reader.read(row))
            applied += 1
    engine.settle()
    return scribe, applied


def _restore_checkpoint(engine: Engine, store: Store) -> Scribe:
    evidence = {number: read_failing(json.loads(text)) for number, text in store.evidence()}
    engine.resume_evidence(max(evidence, default=0))
    numbers, old = {}, set()
    for number, name, state in store.series():
        key = read_series_key(name)
        engine.groups.name(number, key)
        series = engine.open(key)
        if series is not None:
            restore_series(series, state, evidence)
        else:
            old.add(key.slo)
        numbers[number] = series
    for number, tier, block, cells in store.blocks():
        series = numbers[number]
        if series is not None:  # else no SLO counts it any more
            series.ledger.rings[tier].blocks[block] = read_block(cells)
    for name in sorted(old & {series.key.slo for series in engine.series.values()}):
        log.warning("%s counts something else than before, so its history begins anew; the old one is kept", name)
    for stream, last_point in store.streams():
        engine.streams[stream] = read_stream(last_point)
    for name, text in store.alerts():
        series = engine.open(read_series_key(name))
        if series is not None:
            series.alerts = read_alerts(text)
    return Scribe(engine, numbers, evidence)
