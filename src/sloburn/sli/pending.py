"""What was counted and is not with the series yet: sums by outcome and slice, and the newest bad events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from sloburn.duration import SECOND
from sloburn.sli.commit import Commit
from sloburn.sli.evidence import Evidence
from sloburn.sli.outcome import Outcome
from sloburn.sli.series import MAX_FAILING
from sloburn.sli.status import FailingTrace

PLENTY = 200
"""Bad events that are kept in a second; beyond, one of each outcome has to do: putting each into words costs much."""


class Ration:
    """Tells of which outcomes enough bad events were kept within a second of our clock."""

    def __init__(self) -> None:
        self._since = 0
        self._kept: Counter[Outcome] = Counter()
        self._total = 0

    def take(self, evidence: Mapping[Outcome, list[FailingTrace]], now: int) -> None:
        """Note what is kept at `now`, nanoseconds since the epoch."""
        if not self._is_running(now):
            self._since, self._total = now, 0
            self._kept.clear()
        for outcome, found in evidence.items():
            self._kept[outcome] += len(found)
            self._total += len(found)

    def is_spent(self, now: int, outcome: Outcome) -> bool:
        """Tell whether no further bad event of an outcome need be kept at `now`, nanoseconds since the epoch."""
        enough = MAX_FAILING if self._total < PLENTY else 1
        return self._kept[outcome] >= enough and self._is_running(now)

    def _is_running(self, now: int) -> bool:
        return 0 <= now - self._since < SECOND


class Pending:
    """Takes commits as they are applied; the engine gives them to the series when somebody looks."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Outcome, int], int] = {}
        self._evidence: dict[Outcome, list[Evidence]] = {}
        self.ration = Ration()
        self._next_evidence = 1
        self._weights: dict[Outcome, tuple[int, int]] = {}

    def add(self, commit: Commit) -> list[tuple[Outcome, int]]:
        """Take over the counts and bad events of a commit; return by outcome what is taken back."""
        counts, taken_back = self._counts, []
        for cell, events in commit.counts.items():
            counts[cell] = counts.get(cell, 0) + events
            if events < 0:
                taken_back.append((cell[0], -events))
        for outcome, weight in commit.weights.items():
            self._weights[outcome] = (max(weight, self._weights.get(outcome, (1, 0))[0]), commit.now)
        if commit.evidence:
            self.ration.take(commit.evidence, commit.now)
        for outcome, found in commit.evidence.items():
            held = self._evidence.setdefault(outcome, [])
            held += [(self._next_evidence + index, failing) for index, failing in enumerate(found)]
            del held[:-MAX_FAILING]
            self._next_evidence += len(found)
        return taken_back

    def take_counts(self) -> Iterator[tuple[int, dict[int, tuple[int, int]]]]:
        """Yield good and bad events by number of the series, slice by slice; they are not pending any more."""
        by_slice: dict[int, list[tuple[Outcome, int]]] = {}
        for (outcome, at), events in self._counts.items():
            by_slice.setdefault(at, []).append((outcome, events))
        self._counts = {}
        for at, parts in by_slice.items():
            yield at, _sums(parts)

    def take_evidence(self) -> dict[int, list[Evidence]]:
        """Return the bad events by number of the series; they are not pending any more."""
        by_series: dict[int, list[Evidence]] = {}
        for outcome, found in self._evidence.items():
            for number in outcome.bad:
                by_series.setdefault(number, []).extend(found)
        self._evidence = {}
        return by_series

    def take_weights(self) -> dict[int, tuple[int, int]]:
        """Return for how many events the heaviest item stands, and when it came, by number of the series."""
        by_series: dict[int, tuple[int, int]] = {}
        for outcome, weight in self._weights.items():
            for number in (*outcome.good, *outcome.bad):
                by_series[number] = max(weight, by_series.get(number, (1, 0)))
        self._weights = {}
        return by_series

    def resume(self, number: int) -> None:
        """Number the bad events to come after `number`."""
        self._next_evidence = max(self._next_evidence, number + 1)

    def succeed(self, other: Pending) -> None:
        """Go on numbering where another one ended, which is used no more."""
        self._next_evidence = other._next_evidence


def _sums(parts: list[tuple[Outcome, int]]) -> dict[int, tuple[int, int]]:
    """Return good and bad events of one slice by series."""
    goods: dict[int, int] = {}
    bads: dict[int, int] = {}
    for outcome, events in parts:
        for number in outcome.good:
            goods[number] = goods.get(number, 0) + events
        for number in outcome.bad:
            bads[number] = bads.get(number, 0) + events
    sums = {number: (goods.get(number, 0), bads.get(number, 0)) for number in {**goods, **bads}}
    return {number: count for number, count in sums.items() if count != (0, 0)}  # evidence alone counts nothing
