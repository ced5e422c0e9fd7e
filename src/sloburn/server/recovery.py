"""From a store to an engine that stands where the last one was killed."""

from __future__ import annotations

import json
import logging

from sloburn.errors import StorageCorrupt
from sloburn.server.leftovers import Leftovers
from sloburn.server.looks import restore_looks
from sloburn.server.records import (
    Reader,
    Scribe,
    dirty_blocks,
    read_block,
    read_failing,
    read_keys,
    read_series_key,
    read_stream,
)
from sloburn.server.states import read_alerts, read_annotation, restore_series
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.outcome import Outcome
from sloburn.sli.timeline import Timeline

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
    restore_looks(engine, store)
    applied, reader, leftovers, at = 0, Reader(engine), Leftovers(engine), 0
    services = _Services(engine)
    for row in store.rows():
        for at, keys in read_keys(row):
            engine.seen.add_packed(at, keys, row.at_unix_nano)
        if row.number > store.checkpoint_number:
            commit, at = reader.read(row), row.at_unix_nano
            commit.heard.update(dict.fromkeys(services.of(commit), at))
            engine.apply(commit)
            leftovers.add(commit)
            applied += 1
    engine.settle()
    if leftovers:
        _keep(leftovers, scribe, store, at)
    return scribe, applied


class _Services:
    """Tells whose telemetry a commit was: the services of the series that counted it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[Outcome, set[str]] = {}

    def of(self, commit: Commit) -> set[str]:
        return {service for outcome, _ in commit.counts for service in self._of(outcome)}

    def _of(self, outcome: Outcome) -> set[str]:
        found = self._known.get(outcome)
        if found is None:
            engine = self._engine
            members = (engine.open(engine.groups.key_of(number)) for number in (*outcome.good, *outcome.bad))
            found = self._known[outcome] = {series.slo.service for series in members if series is not None}
        return found


def _keep(leftovers: Leftovers, scribe: Scribe, store: Store, now: int) -> None:
    """Write a checkpoint with what no SLO reads any more: a later one would forget its rows."""
    checkpoint = scribe.checkpoint(now)
    known = {number: (name, state) for number, name, state in store.series()}
    for number in leftovers.numbers():
        name, state = known.get(number, (scribe.name_of(number), ""))
        state, ledger = leftovers.added_to(number, store, state)
        checkpoint.series.append((number, name, state))
        checkpoint.blocks.extend(dirty_blocks(number, ledger))
    store.checkpoint(checkpoint, now)
    scribe.kept(checkpoint)


def revive(engine: Engine, old: Engine, store: Store) -> None:
    """Give an engine what the store holds of series that it counts and the one before it did not.

    Raises:
        StorageCorrupt: Something cannot be read back.
        StorageError: The store cannot be read.
    """
    counted = {key for key, _ in old.counted()}
    back = {
        number: (key, state)
        for number, name, state in store.series()
        if (key := read_series_key(name)) not in counted and engine.resume(key) is not None
    }
    if not back:
        return
    evidence = {number: read_failing(json.loads(text)) for number, text in store.evidence()}
    for number, (key, state) in back.items():
        series = engine.resume(key)
        if series is not None:
            restore_series(series, state, evidence)
            for tier, block, cells in store.blocks_of(number):
                series.ledger.rings[tier].blocks[block] = read_block(cells)
    for name, text in store.alerts():
        found = engine.open(key) if (key := read_series_key(name)) not in counted else None
        if found is not None:
            found.resume(read_alerts(text))


def _restore_checkpoint(engine: Engine, store: Store) -> Scribe:
    evidence = {number: read_failing(json.loads(text)) for number, text in store.evidence()}
    engine.resume_evidence(max(evidence, default=0))
    numbers, old = {}, set()
    left: set[int] = set()
    for number, name, state in store.series():
        key = read_series_key(name)
        engine.groups.name(number, key)
        series = engine.resume(key)
        if series is not None:
            restore_series(series, state, evidence)
        else:
            old.add(key.slo)
            left.update(json.loads(state)["failing"])
        numbers[number] = series
    for number, tier, block, cells in store.blocks():
        series = numbers[number]
        if series is not None:  # else no SLO counts it any more
            series.ledger.rings[tier].blocks[block] = read_block(cells)
    for name in sorted(old & {series.key.slo for series in engine.series.values()}):
        log.warning("%s counts something else than before, so its history begins anew; the old one is kept", name)
    engine.heard.update(store.heard())
    for stream, last_point in store.streams():
        engine.streams[stream] = read_stream(last_point)
    for name, text in store.alerts():
        series = engine.open(read_series_key(name))
        if series is not None:
            series.resume(read_alerts(text))
    engine.timeline = Timeline(read_annotation(text) for _, text in store.annotations())
    return Scribe(engine, numbers, evidence, left)
