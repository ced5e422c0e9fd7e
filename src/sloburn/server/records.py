"""How the engine's values are written in the store, and read back: JSON for what is small, bytes for what is many."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from sloburn.errors import StorageCorrupt
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SPAN_KEY_BYTES
from sloburn.sli.engine import Engine
from sloburn.sli.ledger import Block
from sloburn.sli.series import Series, SeriesKey
from sloburn.sli.status import FailingTrace
from sloburn.sli.temporality import StreamState
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import Severity


@dataclass(frozen=True, slots=True)
class Row:
    """A journal row: its number, when it was written, the changes as JSON, the keys of counted spans."""

    number: int
    at_unix_nano: int
    changes: str
    seen: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Rows for the store: blocks that changed, blocks that are gone, state of series, state of streams."""

    blocks: list[tuple[str, int, int, bytes]]
    gone: list[tuple[str, int, int]]
    series: list[tuple[str, str]]
    streams: list[tuple[bytes, str]]


def write_series_key(key: SeriesKey) -> str:
    """Return a series key as text; equal keys give equal text."""
    return _dump([key.slo, key.generation, key.group])


def read_series_key(text: str) -> SeriesKey:
    """Read what `write_series_key` wrote.

    Raises:
        StorageCorrupt: It is something else.
    """
    try:
        slo, generation, group = json.loads(text)
        return SeriesKey(slo, generation, tuple((str(name), str(value)) for name, value in group))
    except (ValueError, TypeError) as error:
        raise StorageCorrupt(f"{text!r} is no series") from error


def write_commit(commit: Commit) -> tuple[str, bytes]:
    """Return the durable part of a commit: what changes counts, streams and evidence, and the keys of its spans."""
    keys = {key: number for number, key in enumerate(dict.fromkeys(key for key, _ in commit.counts))}
    changes = {
        "series": [[key.slo, key.generation, key.group] for key in keys],
        "counts": [[keys[key], at, good, bad] for (key, at), (good, bad) in commit.counts.items()],
        "evidence": [[keys[key], asdict(failing)] for key, failing in commit.evidence if key in keys],
        "streams": [[key.hex(), _stream(state)] for key, state in commit.streams.items()],
    }
    return _dump(changes), b"".join(commit.seen)


def read_commit(row: Row) -> Commit:
    """Read a commit back from its journal row.

    Raises:
        StorageCorrupt: The row is something else.
    """
    commit = Commit(seen=set(read_keys(row.seen)))
    try:
        changes = json.loads(row.changes)
        keys = [SeriesKey(slo, text, tuple((n, v) for n, v in group)) for slo, text, group in changes["series"]]
        commit.counts = {(keys[number], at): [good, bad] for number, at, good, bad in changes["counts"]}
        commit.evidence = [(keys[number], _failing(record)) for number, record in changes["evidence"]]
        commit.streams = {bytes.fromhex(key): _read_stream(state) for key, state in changes["streams"]}
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise StorageCorrupt(f"journal row {row.number} cannot be read back: {error}") from error
    return commit


def read_keys(seen: bytes) -> list[bytes]:
    """Cut the keys of a row apart."""
    return [seen[at : at + SPAN_KEY_BYTES] for at in range(0, len(seen), SPAN_KEY_BYTES)]


def write_checkpoint(engine: Engine, now: int) -> Checkpoint:
    """Return what changed since the engine was last marked clean."""
    blocks, gone, states = [], [], []
    for key, series in engine.series.items():
        text, touched = write_series_key(key), False
        for tier, ring in enumerate(series.ledger.rings):
            touched = touched or bool(ring.dirty)
            gone += [(text, tier, number) for number in ring.prune(now)]
            blocks += [(text, tier, number, ring.blocks[number].to_bytes()) for number in sorted(ring.dirty)]
        if touched:
            states.append((text, _dump(_series_state(series))))
    streams = [(key, _dump(_stream(engine.streams[key]))) for key in sorted(engine.dirty_streams)]
    return Checkpoint(blocks=blocks, gone=gone, series=states, streams=streams)


def restore_block(engine: Engine, key: SeriesKey, tier: int, number: int, cells: bytes) -> None:
    """Put a stored block back; blocks of series that no SLO counts any more are passed over.

    Raises:
        StorageCorrupt: It is no block.
    """
    series = engine.open(key)
    if series is None:
        return
    try:
        series.ledger.rings[tier].blocks[number] = Block.from_bytes(cells)
    except (ValueError, IndexError) as error:
        raise StorageCorrupt(f"block {number} of {key.slo} cannot be read back: {error}") from error


def restore_series(engine: Engine, key: SeriesKey, text: str) -> None:
    """Put the rest of a series' stored state back."""
    series = engine.open(key)
    if series is None:
        return
    state = json.loads(text)
    series.ledger.lifetime = Count(*state["lifetime"])
    series.ledger.first_unix_nano, series.ledger.last_unix_nano = state["between"]
    series.failing.extend(_failing(record) for record in state["failing"])


def restore_stream(engine: Engine, key: bytes, text: str) -> None:
    """Put the last point of a metric stream back."""
    engine.streams[key] = _read_stream(json.loads(text))


def write_alerts(alerts: tuple[Alert, ...]) -> str:
    """Return the alerts of a series as text."""
    return _dump([asdict(alert) for alert in alerts])


def read_alerts(text: str) -> tuple[Alert, ...]:
    """Read what `write_alerts` wrote."""
    return tuple(
        Alert(**{**record, "severity": Severity(record["severity"]), "state": AlertState(record["state"])})
        for record in json.loads(text)
    )


def _series_state(series: Series) -> dict[str, Any]:
    ledger = series.ledger
    return {
        "lifetime": [ledger.lifetime.good, ledger.lifetime.bad],
        "between": [ledger.first_unix_nano, ledger.last_unix_nano],
        "failing": [asdict(failing) for failing in series.failing],
    }


def _failing(record: dict[str, Any]) -> FailingTrace:
    return FailingTrace(**{**record, "attributes": tuple((name, value) for name, value in record["attributes"])})


def _stream(state: StreamState) -> list[Any]:
    return [state.start_unix_nano, state.time_unix_nano, state.bounds, state.values]


def _read_stream(record: list[Any]) -> StreamState:
    start, time, bounds, values = record
    return StreamState(start_unix_nano=start, time_unix_nano=time, bounds=tuple(bounds), values=tuple(values))


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
