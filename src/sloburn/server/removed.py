"""SLOs that nobody reads any more: their history stays for a while, because a name comes back or a typo is mended.

An SLO is told apart by its name and by what it counts (`sli.generation`), so one that counts something else is another
one, and its old self counts as removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from sloburn.duration import DAY, format_duration
from sloburn.server.records import Scribe, read_series_key
from sloburn.server.storage import Store
from sloburn.sli.engine import Engine
from sloburn.sli.series import SeriesKey

log = logging.getLogger("sloburn.server")

KEEP_NS = 90 * DAY

Served = tuple[str, str, int, int]
"""Name, generation, since when and until when (0: today), nanoseconds since the epoch."""


class Removed:
    """Knows which SLOs were ever read.

    Args:
        store: Where their history is.
    """

    def __init__(self, store: Store) -> None:
        self.forgotten = 0
        self._served = {(row[0], row[1]): row for row in store.served()}

    def __len__(self) -> int:
        return sum(until > 0 for *_, until in self._served.values())

    def rows(self) -> list[Served]:
        """Return every SLO whose history is kept."""
        return [*self._served.values()]

    def slos(self) -> list[tuple[str, str]]:
        """Return the SLOs that nobody reads, each by name and generation."""
        return [slo for slo, (*_, until) in self._served.items() if until]

    def lose(self, lost: Iterable[tuple[str, str]]) -> None:
        """Note that the history of some SLOs that nobody reads is gone."""
        for slo in lost:
            self._served.pop(slo, None)

    def since(self) -> dict[tuple[str, str], int]:
        """Return since when every SLO is known, by name and generation, nanoseconds since the epoch."""
        return {slo: since for slo, (_, _, since, _) in self._served.items()}

    def note(self, store: Store, engine: Engine, scribe: Scribe, now: int) -> None:
        """Note which SLOs are read at `now`; delete those that are gone for long.

        Raises:
            StorageError: It could not be written.
        """
        stored = [_Stored(number, read_series_key(name), name, state) for number, name, state in store.series()]
        known = {one.slo for one in stored if one.key.slo}
        today = set(engine.generations())
        rows = {
            slo: self._row(slo, now, first=store.epoch if slo in known else now, is_read=slo in today)
            for slo in known | today | self._served.keys()
        }
        changed = [row for slo, row in rows.items() if row != self._served.get(slo)]
        if changed:
            store.serve(changed)
        self._served = rows
        gone = {slo for slo, (*_, until) in rows.items() if until and now - until > KEEP_NS}
        if gone:
            store.forget(gone, [(one.number, one.name) for one in stored if one.slo in gone])
            self._forget(gone, stored, scribe)

    def _row(self, slo: tuple[str, str], now: int, *, first: int, is_read: bool) -> Served:
        _, _, since, until = self._served.get(slo, (*slo, first, 0))
        return (*slo, since, 0 if is_read else until or now)

    def _forget(self, gone: set[tuple[str, str]], stored: list[_Stored], scribe: Scribe) -> None:
        going = [one for one in stored if one.slo in gone]
        held = {number for one in stored if one.slo not in gone for number in one.failing}
        scribe.forget((one.number for one in going), {number for one in going for number in one.failing} - held)
        for slo in sorted(gone):
            del self._served[slo]
            log.warning("%s was removed more than %s ago: its history is deleted", slo[0], format_duration(KEEP_NS))
        self.forgotten += len(gone)


@dataclass(frozen=True, slots=True)
class _Stored:
    number: int
    key: SeriesKey
    name: str
    state: str

    @property
    def slo(self) -> tuple[str, str]:
        return self.key.slo, self.key.generation

    @property
    def failing(self) -> list[int]:
        found: list[int] = json.loads(self.state)["failing"]
        return found
