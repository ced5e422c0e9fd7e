"""What the newest commits counted for series that no SLO reads any more: it is kept, because the SLO may come back."""

from __future__ import annotations

import json

from sloburn.server.records import read_block
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.ledger import Ledger, tiers
from sloburn.sli.outcome import Outcome

_Sides = tuple[tuple[int, ...], tuple[int, ...]]


class Leftovers:
    """Counts of commits that a start reads back, as far as the engine passes them over.

    Args:
        engine: Whose SLOs are read.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sides: dict[Outcome, _Sides] = {}
        self._counts: dict[int, dict[int, tuple[int, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, commit: Commit) -> None:
        """Take what of a commit nobody reads."""
        for (outcome, at), events in commit.counts.items():
            sides = self._sides.get(outcome)
            if sides is None:
                sides = self._sides[outcome] = self._unread(outcome.good), self._unread(outcome.bad)
            for number in sides[0]:
                self._count(number, at, events, 0)
            for number in sides[1]:
                self._count(number, at, 0, events)

    def _unread(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        engine = self._engine
        return tuple(number for number in numbers if engine.resume(engine.groups.key_of(number)) is None)

    def _count(self, number: int, at: int, good: int, bad: int) -> None:
        cells = self._counts.setdefault(number, {})
        old_good, old_bad = cells.get(at, (0, 0))
        cells[at] = old_good + good, old_bad + bad

    def numbers(self) -> tuple[int, ...]:
        """Return the series that were counted."""
        return tuple(self._counts)

    def added_to(self, number: int, store: Store, state: str) -> tuple[str, Ledger]:
        """Return the state of a series and its ledger with what was counted since.

        Args:
            number: Which series.
            store: Where its blocks are.
            state: What the store says of it; empty if it says nothing yet.
        """
        ledger = Ledger(tiers(0, self._engine.time_scale))
        known = json.loads(state) if state else {"lifetime": [0, 0], "between": [0, 0], "failing": []}
        ledger.good, ledger.bad = known["lifetime"]
        ledger.first_unix_nano, ledger.last_unix_nano = known["between"]
        for tier, block, cells in store.blocks_of(number):
            ledger.rings[tier].blocks[block] = read_block(cells)
        for at, (good, bad) in self._counts[number].items():
            ledger.add(at, good, bad)
        lifetime, between = [ledger.good, ledger.bad], [ledger.first_unix_nano, ledger.last_unix_nano]
        return json.dumps(known | {"lifetime": lifetime, "between": between}, separators=(",", ":")), ledger
