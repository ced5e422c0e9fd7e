"""Judged items to a commit: what of them is new, what they count, which bad ones are worth showing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

from sloburn.sli.commit import MAX_EVIDENCE_OF_ONE, Commit
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.horizon import COUNTED, DUPLICATE, Horizon
from sloburn.sli.outcome import Outcome, Portrait, Portraits, Verdict
from sloburn.sli.status import FailingTrace

_SHOWN = 2 * MAX_EVIDENCE_OF_ONE
"""About how many bad items of one pile are shown: what is bad in many ways is shown in each of them."""

Item = TypeVar("Item")
Seen = TypeVar("Seen", contravariant=True)

Bad: TypeAlias = tuple[int, Item, Verdict]
"""A bad item with its place in a pile, and the verdict on it."""


class Witness(Protocol[Seen]):
    """Tells what bad items say of themselves."""

    def exceptions(self, bad: Iterable[Bad[Seen]]) -> Iterator[tuple[int, Outcome, str]]:
        """Yield place, outcome and type of the exception of those that name one."""
        ...

    def describe(self, item: Seen, verdict: Verdict) -> FailingTrace:
        """Return what a person is shown of it."""
        ...


class Pile(Generic[Item]):
    """The items of one service that fall into one slice."""

    __slots__ = ("bad", "keys", "portraits", "weights")

    def __init__(self) -> None:
        self.portraits: list[Portrait] = []
        self.keys: list[bytes] = []
        self.bad: list[Bad[Item]] = []
        self.weights: dict[int, int] = {}  # by place, where an item stands for another number of events than one


class Booker(Generic[Item]):
    """Counts piles into a commit.

    Args:
        signal: What the items are, as fates are counted.
        portraits: Of the service.
        seen: Items that were counted before.
        horizon: Which moments can be counted.
        witness: Tells of bad items.
    """

    def __init__(
        self, signal: str, portraits: Portraits, seen: SeenKeys, horizon: Horizon, witness: Witness[Item]
    ) -> None:
        self._signal = signal
        self._portraits = portraits
        self._seen = seen
        self._horizon = horizon
        self._witness = witness

    def book(self, at: int, pile: Pile[Item], commit: Commit) -> None:
        """Count what is new of a pile."""
        keys = set(pile.keys)
        if not keys:
            return
        held = self._horizon.hold_of(at)
        taken = commit.seen.get(held)
        known = self._seen.find(held, keys)
        if taken and not keys.isdisjoint(taken):
            known |= keys & taken
        if known or len(keys) < len(pile.keys):
            came = len(pile.keys)
            pile = _fresh(pile, known)
            keys = set(pile.keys)
            commit.items[self._signal, DUPLICATE] += came - len(keys)
        if not keys:
            commit.seen.setdefault(held, set())  # what comes again is held as long as what comes
            return
        if taken:
            taken |= keys
        else:
            commit.seen[held] = keys
        commit.items[self._signal, COUNTED] += len(keys)
        events = _events(pile, commit)
        commit.count_looks(self._portraits.service, at, events)
        if pile.bad:
            self._explain(at, pile, commit)
            self._show(pile.bad, {portrait.outcome for portrait in events if portrait.is_bad}, commit)

    def _explain(self, at: int, pile: Pile[Item], commit: Commit) -> None:
        """Count the exceptions of bad items."""
        found: dict[tuple[Outcome, str], int] = {}
        for place, outcome, exception in self._witness.exceptions(pile.bad):
            cell = (outcome, exception)
            found[cell] = found.get(cell, 0) + pile.weights.get(place, 1)
        for (outcome, exception), events in found.items():
            if events:
                commit.explain(self._portraits.of(outcome, (("exception", exception),)), at, events)

    def _show(self, bad: list[Bad[Item]], outcomes: set[Outcome], commit: Commit) -> None:
        """Keep the newest bad items of each outcome as evidence.

        Args:
            bad: All of them, the newest last.
            outcomes: Theirs.
            commit: Takes the evidence.
        """
        wanted = {outcome for outcome in outcomes if commit.wants(outcome)}
        if not wanted:
            return
        newest: dict[Outcome, list[tuple[Item, Verdict]]] = {}
        most = min(MAX_EVIDENCE_OF_ONE, max(1, _SHOWN // len(outcomes)))
        left = most * len(wanted)
        for _, item, verdict in reversed(bad):
            outcome = verdict.portrait.outcome
            if outcome not in wanted:
                continue
            held = newest.setdefault(outcome, [])
            if len(held) == most:
                continue
            held.append((item, verdict))
            left -= 1
            if not left:
                break
        for outcome, found in newest.items():
            if commit.wants(outcome):
                for item, verdict in reversed(found):
                    commit.show(outcome, self._witness.describe(item, verdict))


def _events(pile: Pile[Item], commit: Commit) -> Counter[Portrait]:
    """Return for how many events the items of a pile stand."""
    events = Counter(pile.portraits)
    for place, weight in pile.weights.items():
        portrait = pile.portraits[place]
        events[portrait] += weight - 1
        if weight > 1:
            commit.weigh(portrait.outcome, weight)
    return events


def _fresh(pile: Pile[Item], known: set[bytes]) -> Pile[Item]:
    """Return what of a pile is neither known nor there twice."""
    bad = {place: (item, verdict) for place, item, verdict in pile.bad}
    fresh: Pile[Item] = Pile()
    met = set(known)
    for place, (key, portrait) in enumerate(zip(pile.keys, pile.portraits, strict=True)):
        if key in met:
            continue
        met.add(key)
        now = len(fresh.keys)
        if place in bad:
            fresh.bad.append((now, *bad[place]))
        if place in pile.weights:
            fresh.weights[now] = pile.weights[place]
        fresh.keys.append(key)
        fresh.portraits.append(portrait)
    return fresh
