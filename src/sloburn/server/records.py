"""How the engine's values are written in the store, and read back: JSON for what is rare, bytes for what is many."""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from sloburn.errors import StorageCorrupt
from sloburn.server.states import move_of, series_state
from sloburn.sli.block import Block
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SPAN_KEY_BYTES, pack_keys
from sloburn.sli.engine import Engine
from sloburn.sli.exponential import Layout
from sloburn.sli.ledger import Ledger
from sloburn.sli.losses import Channel
from sloburn.sli.outcome import Outcome
from sloburn.sli.progress import Progress
from sloburn.sli.series import Series, SeriesKey
from sloburn.sli.status import FailingTrace
from sloburn.sli.temporality import StreamState

_FAILING = tuple(field.name for field in fields(FailingTrace))
_PILE = struct.Struct("<qI")  # the slice of a pile of span keys, and how many follow
_STREAM = struct.Struct("<QQHH")  # start, time, bounds, values
_LAYOUT = struct.Struct("<hid")  # of an exponential histogram: scale, offset, zero threshold
_MOST_EVENTS = 2**63 - 1
_EXPONENTIAL = 0xFFFF  # in place of the number of bounds


@dataclass(frozen=True, slots=True)
class Row:
    """A journal row: its number, when it was written, and what it holds.

    Args:
        number: Its own.
        at_unix_nano: When it was written.
        told: What is rare, as JSON: series, meanings of outcomes, evidence, gaps; empty if there is nothing.
        counts: Outcome, slice and events in turn, 64 bits each.
        streams: New state of metric streams.
        seen: Keys of the spans that were counted.
    """

    number: int
    at_unix_nano: int
    told: str
    counts: bytes
    streams: bytes
    seen: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Rows for the store: what changed since the last one, and what is gone."""

    series: list[tuple[int, str, str]]
    blocks: list[tuple[int, int, int, bytes]]
    gone: list[tuple[int, int, int]]
    evidence: list[tuple[int, str]]
    faded: list[tuple[int]]
    streams: list[tuple[bytes, bytes]]
    ended: list[tuple[bytes]]
    heard: list[tuple[str, int]]


class Scribe:
    """Writes commits so that the journal explains itself, and says each thing once.

    A series is named by a number and an outcome by another. What they mean is told in the first row that uses them:
    series for good, outcomes anew after every checkpoint, because a restart reads only the rows after it.

    Args:
        engine: Whose commits.
        named: Numbers of the series that the store knows.
        evidence: Numbers of the bad events that the store holds.
        left: Those of them that belong to series that no SLO reads any more.
    """

    def __init__(
        self, engine: Engine, named: Iterable[int] = (), evidence: Iterable[int] = (), left: Iterable[int] = ()
    ) -> None:
        self._engine = engine
        self._named = set(named)
        self._told: set[int] = set()
        self._moves = {engine.groups.number(key): move_of(one) for key, one in engine.counted()}
        self._evidence = set(evidence)
        self._left = set(left)
        self._new: tuple[set[int], set[int]] = (set(), set())

    def serve(self, engine: Engine) -> None:
        """Write the commits of another engine from now on, which took over all that this one counted.

        Everything must be in a checkpoint.
        """
        self._left |= {number for one in self._engine.series.values() for number, _ in one.failing}
        self._engine = engine
        self._told.clear()

    def forget(self, series: Iterable[int], evidence: Iterable[int]) -> None:
        """Note that some series were deleted, and what else of bad events belongs to nobody any more."""
        self._named.difference_update(series)
        self._left.difference_update(evidence)

    def name_of(self, number: int) -> str:
        """Return the name of a series as the store has it."""
        return write_series_key(self._engine.groups.key_of(number))

    def write(self, commit: Commit) -> tuple[str, bytes, bytes, bytes]:
        """Return the durable part of a commit, as `Row` has it; call `written` once it is durable."""
        outcomes = {outcome.number: outcome for outcome, _ in commit.counts}
        new = {number: outcome for number, outcome in outcomes.items() if number not in self._told}
        gaps = {self._engine.groups.number(key): progress.record() for key, progress in commit.gaps.items()}
        members = {member for outcome in new.values() for member in (*outcome.good, *outcome.bad)}
        members = (members | gaps.keys()) - self._named
        self._new = (set(new), members)
        told = {
            "series": [[number, write_series_key(self._engine.groups.key_of(number))] for number in sorted(members)],
            "outcomes": [[number, outcome.good, outcome.bad] for number, outcome in new.items()],
            "evidence": [
                [outcome.number, [*map(_failing_record, found)]] for outcome, found in commit.evidence.items()
            ],
            "weights": [[outcome.number, weight] for outcome, weight in commit.weights.items()],
            "gaps": [*gaps.items()],
        }
        counts = array("q")
        for (outcome, at), events in commit.counts.items():
            # More is nobody's traffic: a hostile sender must not make a commit impossible.
            counts.extend((outcome.number, at, min(events, _MOST_EVENTS)))
        return _dump(told) if any(told.values()) else "", counts.tobytes(), _streams(commit), _keys(commit)

    def written(self) -> None:
        """Note that what was written last is durable."""
        told, named = self._new
        self._told |= told
        self._named |= named

    def checkpoint(self, now: int, *, whole: bool = False) -> Checkpoint:
        """Return what changed since the engine was last marked clean; call `kept` once it is durable.

        Args:
            now: Nanoseconds since the epoch.
            whole: Return everything instead, for a store that is still empty.
        """
        engine = self._engine
        engine.settle()
        if whole:
            engine.mark_changed()
        series, blocks, gone = [], [], []
        held: dict[int, FailingTrace] = {}
        for key, one in engine.counted():
            number = engine.groups.number(key)
            held.update(one.failing)
            touched = whole or any(ring.dirty for ring in one.ledger.rings) or self._has_moved(number, one)
            touched = touched or (isinstance(one, Series) and one.is_unsaved)
            gone += [(number, tier, block) for tier, block in one.ledger.prune(now)]
            if touched:
                series.append((number, write_series_key(key), series_state(one)))
                blocks += dirty_blocks(number, one.ledger)
        fresh = [(number, _dump(_failing_record(held[number]))) for number in sorted(held.keys() - self._evidence)]
        faded = [(number,) for number in sorted(self._evidence - held.keys() - self._left)]
        ended = [(key,) for key in engine.forget_streams(now)]
        streams = [(key, write_stream(engine.streams[key])) for key in sorted(engine.dirty_streams)]
        return Checkpoint(
            series=series, blocks=blocks, gone=gone, evidence=fresh, faded=faded, streams=streams, ended=ended,
            heard=[*engine.heard.items()],
        )  # fmt: skip

    def _has_moved(self, number: int, one: Series | Channel) -> bool:
        """Tell whether a series became something else since it was last asked, without counting anything."""
        move = move_of(one)
        has_moved = self._moves.get(number, move) != move
        self._moves[number] = move
        return has_moved

    def kept(self, checkpoint: Checkpoint) -> None:
        """Note that a checkpoint is durable."""
        self._engine.mark_clean()
        self._told.clear()
        self._evidence.difference_update(number for (number,) in checkpoint.faded)
        self._evidence.update(number for number, _ in checkpoint.evidence)
        self._named.update(number for number, _, _ in checkpoint.series)


def dirty_blocks(number: int, ledger: Ledger) -> list[tuple[int, int, int, bytes]]:
    """Return what changed of a series' ledger as rows of the store."""
    return [
        (number, tier, block, ring.blocks[block].to_bytes())
        for tier, ring in enumerate(ledger.rings)
        for block in sorted(ring.dirty)
    ]


def _keys(commit: Commit) -> bytes:
    return b"".join(write_keys(at, pack_keys(keys)) for at, keys in commit.seen.items() if keys)


def write_keys(at: int, packed: bytes) -> bytes:
    """Return packed keys of spans as `Row.seen` has them; `at` is the slice in which the spans ended."""
    return _PILE.pack(at, len(packed) // SPAN_KEY_BYTES) + packed


def _streams(commit: Commit) -> bytes:
    return b"".join(part for key, state in commit.streams.items() for part in (key, write_stream(state)))


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


class Reader:
    """Reads journal rows in their order, and remembers what was told.

    Args:
        engine: Whose series and outcomes they name.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._outcomes: dict[int, Outcome] = {}

    def read(self, row: Row) -> Commit:
        """Read a commit back from its row, without its span keys: see `read_keys`.

        Raises:
            StorageCorrupt: The row is something else.
        """
        try:
            return self._read(row)
        except (ValueError, TypeError, KeyError, IndexError, struct.error) as error:
            raise StorageCorrupt(f"journal row {row.number} cannot be read back: {error!r}") from error

    def _read(self, row: Row) -> Commit:
        commit = Commit(now=row.at_unix_nano)
        told = json.loads(row.told) if row.told else {"series": [], "outcomes": [], "evidence": []}
        for number, name in told["series"]:
            self._engine.groups.name(number, self._engine.current(read_series_key(name)))
        for number, good, bad in told["outcomes"]:
            for member in (*good, *bad):
                self._engine.groups.key_of(member)
            self._outcomes[number] = self._engine.outcome(good, bad)
        for number, found in told["evidence"]:
            commit.evidence[self._outcomes[number]] = [read_failing(record) for record in found]
        for number, weight in told.get("weights", ()):
            commit.weigh(self._outcomes[number], weight)
        for number, record in told.get("gaps", ()):
            series = self._engine.open(self._engine.groups.key_of(number))
            if series is not None:
                commit.progress[series.key] = Progress.of_record(record)
        counts = array("q", row.counts)
        for number, at, events in zip(counts[0::3], counts[1::3], counts[2::3], strict=True):
            commit.count(self._outcomes[number], at, events)
        at = 0
        while at < len(row.streams):
            state, end = _stream_at(row.streams, at + 16)
            commit.streams[row.streams[at : at + 16]] = state
            at = end
        return commit


def read_keys(row: Row) -> list[tuple[int, bytes]]:
    """Return slices and packed keys of a row.

    Raises:
        StorageCorrupt: They are something else.
    """
    piles, at, seen = [], 0, row.seen
    while at < len(seen):
        if at + _PILE.size > len(seen):
            raise StorageCorrupt(f"the span keys of journal row {row.number} cannot be read back")
        begin, count = _PILE.unpack_from(seen, at)
        at += _PILE.size
        piles.append((begin, seen[at : at + count * SPAN_KEY_BYTES]))
        at += count * SPAN_KEY_BYTES
    if at != len(seen):
        raise StorageCorrupt(f"the span keys of journal row {row.number} cannot be read back")
    return piles


def read_block(cells: bytes) -> Block:
    """Read a stored block.

    Raises:
        StorageCorrupt: It is no block.
    """
    try:
        return Block.from_bytes(cells)
    except ValueError as error:
        raise StorageCorrupt(f"a block cannot be read back: {error}") from error


def _failing_record(failing: FailingTrace) -> dict[str, Any]:
    return {name: getattr(failing, name) for name in _FAILING}


def read_failing(record: dict[str, Any]) -> FailingTrace:
    """Read a bad event back."""
    return FailingTrace(**{**record, "attributes": tuple((name, value) for name, value in record["attributes"])})


def write_stream(state: StreamState) -> bytes:
    """Return the last point of a metric stream as bytes."""
    bounds, values, layout = state.bounds, state.values, state.layout
    if layout is not None:
        head = _STREAM.pack(state.start_unix_nano, state.time_unix_nano, _EXPONENTIAL, len(values))
        head += _LAYOUT.pack(layout.scale, layout.offset, layout.zero_threshold)
        return head + struct.pack(f"<{len(values)}Q", *values)
    head = _STREAM.pack(state.start_unix_nano, state.time_unix_nano, len(bounds), len(values))
    return head + struct.pack(f"<{len(bounds)}d{len(values)}Q", *bounds, *values)


def read_stream(data: bytes) -> StreamState:
    """Read the last point of a metric stream back.

    Raises:
        StorageCorrupt: It is something else.
    """
    try:
        state, end = _stream_at(data, 0)
    except struct.error as error:
        raise StorageCorrupt(f"a metric stream cannot be read back: {error}") from error
    if end != len(data):
        raise StorageCorrupt("a metric stream cannot be read back: it is too long")
    return state


def _stream_at(data: bytes, at: int) -> tuple[StreamState, int]:
    start, time, bounds, values = _STREAM.unpack_from(data, at)
    at += _STREAM.size
    layout = None
    if bounds == _EXPONENTIAL:
        scale, offset, zero_threshold = _LAYOUT.unpack_from(data, at)
        layout = Layout(scale=scale, offset=offset, zero_threshold=zero_threshold)
        at, bounds = at + _LAYOUT.size, 0
    numbers = struct.unpack_from(f"<{bounds}d{values}Q", data, at)
    state = StreamState(
        start_unix_nano=start, time_unix_nano=time, bounds=numbers[:bounds], values=numbers[bounds:], layout=layout
    )  # fmt: skip
    return state, at + 8 * (bounds + values)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
