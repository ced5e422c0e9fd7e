"""What a damaged store still holds of SLOs that nobody reads any more; all the rest of it is in memory.

It is all of an SLO or nothing: with a part of its series or blocks its counts would be wrong when it comes back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from sloburn.errors import StorageError
from sloburn.server.records import Checkpoint, write_series_key
from sloburn.server.recovery import showing
from sloburn.server.storage import Store
from sloburn.sli.engine import Engine
from sloburn.sli.series import SeriesKey


@dataclass(slots=True, kw_only=True)
class Salvage:
    """Rows for a new store.

    Args:
        series: Number, name and state of each series.
        blocks: Series, tier, number and cells of each block.
        evidence: Number of each bad event, and itself as JSON.
        alerts: Key and alerts of each series that has some.
        lost: SLOs of which a count could not be read, by name and generation.
    """

    series: list[tuple[int, str, str]] = field(default_factory=list)
    blocks: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    evidence: dict[int, str] = field(default_factory=dict)
    alerts: list[tuple[SeriesKey, str]] = field(default_factory=list)
    lost: set[tuple[str, str]] = field(default_factory=set)

    def take(self, other: Salvage) -> None:
        """Add what was read of an SLO."""
        self.series += other.series
        self.blocks += other.blocks
        self.evidence |= other.evidence
        self.alerts += other.alerts

    def add_to(self, checkpoint: Checkpoint) -> None:
        """Let a checkpoint hold this too."""
        checkpoint.series.extend(self.series)
        checkpoint.blocks.extend(self.blocks)
        checkpoint.evidence[:] = (self.evidence | dict(checkpoint.evidence)).items()


def salvage(store: Store, engine: Engine, removed: Iterable[tuple[str, str]]) -> Salvage:
    """Read what a store holds of SLOs that an engine does not count.

    Args:
        store: It may be damaged.
        engine: Knows the numbers of their series.
        removed: The SLOs, by name and generation.
    """
    series: dict[tuple[str, str], list[tuple[int, SeriesKey]]] = {slo: [] for slo in removed}
    for number, key in engine.groups.items():
        if (slo := (key.slo, key.generation)) in series:
            series[slo].append((number, key))
    saved = Salvage()
    for slo, members in series.items():
        try:
            saved.take(_read(store, members))
        except (StorageError, ValueError, KeyError):
            saved.lost.add(slo)
    return saved


def _read(store: Store, members: Iterable[tuple[int, SeriesKey]]) -> Salvage:
    found = Salvage()
    for number, key in members:
        name = write_series_key(key)
        for _, _, state in store.find("series", "number", number):
            evidence = _evidence(store, json.loads(state)["failing"])
            found.series.append((number, name, showing(state, evidence.keys())))
            found.evidence |= evidence
        found.blocks.extend((number, *block) for block in store.blocks_of(number))
        found.alerts.extend((key, text) for _, text in store.find("alerts", "series", name))
    return found


def _evidence(store: Store, numbers: Iterable[int]) -> dict[int, str]:
    """Return the bad events that can be read: they only explain."""
    found: dict[int, str] = {}
    for number in numbers:
        with contextlib.suppress(StorageError):
            found.update(store.find("evidence", "number", number))
    return found
