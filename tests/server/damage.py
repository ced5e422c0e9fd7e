"""Stores to damage, and how they are damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.keeper import Keeper
from sloburn.server.storage import FILE_NAME, Store
from sloburn.sli.commit import Commit
from sloburn.slo.annotation import Annotation, Kind
from sloburn.slo.budget import Count
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request

SLOS = (span_slo(), span_slo("by-route", group_by=("http.route",)), metric_slo("work", metric="jobs", threshold=None))


STAMP = "20251009T085320Z"  # NOW, as a name has it


def keeper(folder: Path) -> Keeper:
    """Return a keeper of some SLOs."""
    return Keeper(folder, SLOS, NOW)


def take(one: Keeper, *numbers: int, error: bool = False) -> None:
    """Count spans, durably."""
    specs = [SpanSpec(number=n, end=NOW, error=error, values={"http.route": f"/{n % 3}"}) for n in numbers]
    commit = Commit()
    request = decode(Signal.TRACES, Encoding.PROTOBUF, trace_request(specs).SerializeToString())
    one.engine.prepare_traces(request, NOW, commit)
    one.commit(commit, NOW)


def count(one: Keeper) -> Count:
    """Return the lifetime of the SLO without groups."""
    return one.engine.tick(NOW).statuses[0].lifetime


def fill(folder: Path, *, checkpoint: bool = True) -> None:
    """Leave a store of many pages: seven commits of 300 spans, all in the main file or all in the log."""
    one = keeper(folder)
    for batch in range(7):
        take(one, *range(1 + 300 * batch, 301 + 300 * batch), error=batch == 3)
    if checkpoint:
        one.checkpoint(NOW)
        one.store.close()
        return
    copies = {name: (folder / name).read_bytes() for name in (FILE_NAME, f"{FILE_NAME}-wal")}
    one.store.close()  # which writes the log into the main file and deletes it: a kill does not
    for name, content in copies.items():
        (folder / name).write_bytes(content)


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Write bytes over a place of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def alter(path: Path, statement: str) -> None:
    """Change rows behind the store's back, so that their checksums no longer fit."""
    db = sqlite3.connect(path)
    assert db.execute(statement).rowcount > 0
    db.commit()
    db.close()


def explained(folder: Path) -> None:
    """Leave a store with 900 good and 100 bad events, and with something in every table that only explains."""
    one = keeper(folder)
    one.annotate(Annotation(at_unix_nano=NOW, kind=Kind.DEPLOY, text="v1", service="shop"))
    take(one, *range(1, 901))
    take(one, *range(901, 1001), error=True)
    one.store.note(NOW, "something")
    one.finish(NOW)
    one.store.close()


class Bending(Store):
    """A store of which one bad event can be damaged while it is in use."""

    def bend(self) -> None:
        """Damage the newest bad event."""
        self._db.execute("UPDATE evidence SET seal = seal + 1 WHERE number = (SELECT max(number) FROM evidence)")

    def bend_all(self) -> None:
        """Damage every bad event."""
        self._db.execute("UPDATE evidence SET seal = seal + 1")


class DroppingKeeper(Keeper):
    """A keeper of such a store."""

    store_type = Bending


class Fragile(Store):
    """A store whose file can be damaged while it is in use."""

    def damage(self) -> None:
        """Overwrite everything behind the first page, and let SQLite forget what it remembers of it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        overwrite(self._path, 4096, b"\xa5" * (self._path.stat().st_size - 4096))
        self._db.execute("PRAGMA cache_size=0").fetchall()
        self._db.execute("PRAGMA shrink_memory").fetchall()


class FragileKeeper(Keeper):
    """A keeper of such a store."""

    store_type = Fragile
