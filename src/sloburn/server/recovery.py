"""From a store to an engine that stands where the last one was killed."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping, Set
from contextlib import closing
from pathlib import Path

from sloburn.errors import StorageCorrupt, StorageError
from sloburn.server.leftovers import Leftovers
from sloburn.server.looks import restore_looks
from sloburn.server.quarantine import copy_aside
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
from sloburn.server.schema import PUT, seal, sealed, unseal
from sloburn.server.states import read_alerts, read_annotation, restore_series
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.outcome import Outcome
from sloburn.sli.series import Series, SeriesKey
from sloburn.sli.status import FailingTrace
from sloburn.sli.timeline import Timeline
from sloburn.slo.timed import slice_ns_of

log = logging.getLogger("sloburn.server")


def _sealed(*columns: str) -> str:
    """Return a condition that tells rows that fit their checksum."""
    return f"IS_SEALED({', '.join(f'CAST({column} AS BLOB)' for column in (*columns, 'seal'))})"


# Tables that nothing is decided by, and when a row is sound. All goes as bytes: a damaged text may be no text.
_EXPLAINING: Mapping[str, str] = {
    "looks": f"typeof(looks) = 'blob' AND {_sealed('service', 'begin_unix_nano', 'looks')}",
    "evidence": _sealed("number", "failing"),
    "annotations": _sealed("number", "annotation"),
    "notices": "typeof(at_unix_nano) = 'integer' AND typeof(text) = 'text' AND IS_TEXT(CAST(text AS BLOB))",
}
_NOT_DAMAGE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def restore(engine: Engine, store: Store) -> tuple[Scribe, int]:
    """Bring an engine to where a store is.

    Returns:
        What writes the engine's further commits, and how many were applied after the checkpoint.

    Raises:
        StorageCorrupt: Something cannot be read back.
        StorageError: The store cannot be read.
    """
    try:
        scribe, known = _restore_checkpoint(engine, store)
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
    engine.settle_heritage(known)
    if leftovers:
        _keep(leftovers, scribe, store, at)
    return scribe, applied


class _Services:
    """Tells whose telemetry a commit was: the services of the series that counted it.

    A verdict on a slice of time is no telemetry: silence leads to verdicts too.
    """

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
            found = self._known[outcome] = {
                series.slo.service for series in members if series is not None and not slice_ns_of(series.slo.indicator)
            }
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
    evidence = _readable_evidence(store)
    for number, (key, state) in back.items():
        series = engine.resume(key)
        if series is not None:
            restore_series(series, showing(state, evidence.keys()), evidence)
            for tier, block, cells in store.blocks_of(number):
                series.ledger.rings[tier].blocks[block] = read_block(cells)
    for name, text in store.alerts():
        found = engine.open(key) if (key := read_series_key(name)) not in counted else None
        if found is not None:
            found.resume(read_alerts(text))


def _readable_evidence(store: Store) -> dict[int, FailingTrace]:
    """Return the bad events up to the first damaged one; the next start drops that one."""
    found: dict[int, FailingTrace] = {}
    try:
        for number, text in store.evidence():
            found[number] = read_failing(json.loads(text))
    except StorageCorrupt as error:
        log.error("%s; the SLOs that came back show fewer bad events, their counts are whole", error)
    return found


def showing(state: str, numbers: Set[int]) -> str:
    """Return the stored state of a series with no other bad events than those."""
    record = json.loads(state)
    record["failing"] = [number for number in record["failing"] if number in numbers]
    return json.dumps(record, separators=(",", ":"))


def drop_explanations(path: Path, damage: str, now: int) -> bool:
    """Delete what is damaged and only explains from a store that nobody has open, and say so in it; a copy stays.

    Args:
        path: The store; its pages must be whole and its schema today's.
        damage: What was noticed.
        now: Nanoseconds since the epoch.

    Returns:
        Whether there was any; if not, nothing was touched.

    Raises:
        StorageCorrupt: A count is damaged too.
        StorageError: It cannot be read, copied or written.
    """
    try:
        damaged = _damaged_explanations(path)
        if damaged:
            copy = copy_aside(path, now)
            rows = ", ".join(f"{table}: {rows}" for table, rows in damaged.items())
            text = f"{damage}; damaged rows that only explain were dropped ({rows}), every count is kept; "
            _drop(path, f"{text}the store as it was is kept as {copy.name}", now)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _NOT_DAMAGE:
            raise StorageError(f"cannot mend {path}: {error}") from error
        return False
    return bool(damaged)


def _damaged_explanations(path: Path) -> Counter[str]:
    """Return how many rows of which table do not fit their checksum."""
    found: Counter[str] = Counter()
    with closing(_connect(path)) as db:
        for table, is_sound in _EXPLAINING.items():
            query = f"SELECT count(*) FROM {table} WHERE NOT ({is_sound})"  # noqa: S608  names are our own
            found[table] = int(db.execute(query).fetchone()[0])
    return +found


def _drop(path: Path, text: str, now: int) -> None:
    with closing(_connect(path)) as db, db:
        db.execute("BEGIN IMMEDIATE")
        for table, is_sound in _EXPLAINING.items():
            db.execute(f"DELETE FROM {table} WHERE NOT ({is_sound})")  # noqa: S608  names are our own
        _name_only_what_is_there(db)
        db.execute("INSERT INTO notices VALUES (?, ?)", (now, text))
    log.error("%s", text)


def _name_only_what_is_there(db: sqlite3.Connection) -> None:
    """Take the numbers of dropped bad events out of the states of the series that had them."""
    numbers = {int(number) for (number,) in db.execute("SELECT number FROM evidence")}
    for row in db.execute("SELECT * FROM series").fetchall():
        number, name, state = unseal("series", row)
        shown = showing(str(state), numbers)
        if shown != state:
            db.execute(PUT["series"], sealed((number, name, shown)))


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=1)
    db.create_function("IS_SEALED", -1, _is_sealed, deterministic=True)
    db.create_function("IS_TEXT", 1, _is_text, deterministic=True)
    return db


def _is_sealed(*row: bytes | None) -> bool:
    """Tell whether columns, as bytes, fit the checksum behind them; `seal` reads a number as its digits."""
    return b"%d" % seal(*row[:-1]) == row[-1]


def _is_text(content: bytes) -> bool:
    return content.decode(errors="replace").encode() == content


def read_notices(store: Store) -> tuple[tuple[int, str], ...]:
    """Return what happened to a store itself.

    Raises:
        StorageCorrupt: Something cannot be read back.
        StorageError: The store cannot be read.
    """
    try:
        return tuple(store.notices())
    except (ValueError, TypeError) as error:
        raise StorageCorrupt(f"a row of notices was damaged: {error}") from error


def _say_what_begins_anew(engine: Engine, old: list[SeriesKey]) -> None:
    """Name the SLOs of today whose history is another one's; a whole whose groups alert apart now is no such thing."""
    today = dict(engine.generations())
    for name in sorted({key.slo for key in old if today.get(key.slo, key.generation) != key.generation}):
        log.warning("%s counts something else than before, so its history begins anew; the old one is kept", name)


def _restore_checkpoint(engine: Engine, store: Store) -> tuple[Scribe, set[SeriesKey]]:
    evidence = {number: read_failing(json.loads(text)) for number, text in store.evidence()}
    engine.resume_evidence(max(evidence, default=0))
    numbers = {}
    old: list[SeriesKey] = []
    left: set[int] = set()
    for number, name, state in store.series():
        written = read_series_key(name)
        key = engine.current(written)
        engine.groups.name(number, key)
        series = engine.resume(key)
        if series is not None:
            restore_series(series, state, evidence)
            if isinstance(series, Series):
                series.is_unsaved = series.is_unsaved or key != written
        else:
            old.append(key)
            left.update(json.loads(state)["failing"])
        numbers[number] = series
    for number, tier, block, cells in store.blocks():
        series = numbers[number]
        if series is not None:  # else no SLO counts it any more
            series.ledger.rings[tier].blocks[block] = read_block(cells)
    _say_what_begins_anew(engine, old)
    engine.heard.update(store.heard())
    for stream, last_point in store.streams():
        engine.streams[stream] = read_stream(last_point)
    for name, text in store.alerts():
        series = engine.open(engine.current(read_series_key(name)))
        if series is not None:
            series.resume(read_alerts(text))
    engine.timeline = Timeline(read_annotation(text) for _, text in store.annotations())
    return Scribe(engine, numbers, evidence, left), {engine.groups.key_of(number) for number in numbers}
