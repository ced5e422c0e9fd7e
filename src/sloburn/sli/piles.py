"""Judged items to a commit: what of them is new, what they count, which bad ones are worth showing."""

from __future__ import annotations

from collections import Counter
from typing import Generic, Protocol, TypeVar

from sloburn.sli.commit import MAX_EVIDENCE_OF_ONE, Commit
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.horizon import COUNTED, DUPLICATE, Horizon
from sloburn.sli.outcome import Outcome, Portrait, Portraits, Verdict
from sloburn.sli.select import Facts
from sloburn.sli.status import FailingTrace

Item = TypeVar("Item")
Seen = TypeVar("Seen", contravariant=True)


class Witness(Protocol[Seen]):
    """Tells what a bad item says of itself."""

    def exception(self, item: Seen, facts: Facts) -> tuple[str, str]:
        """Return type and message of its exception; empty texts if there is none."""
        ...

    def describe(self, item: Seen, facts: Facts, exception: str, message: str) -> FailingTrace:
        """Return what a person is shown of it."""
        ...


class Pile(Generic[Item]):
    """The items of one resource that fall into one slice."""

    __slots__ = ("bad", "keys", "portraits", "weights")

    def __init__(self) -> None:
        self.portraits: list[Portrait] = []
        self.keys: list[bytes] = []
        self.bad: list[tuple[int, Item, Verdict]] = []
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
        taken = commit.seen.setdefault(held, set())
        known = self._seen.find(held, keys)
        if known or len(keys) < len(pile.keys) or not keys.isdisjoint(taken):
            came = len(pile.keys)
            pile = _fresh(pile, known | taken)
            keys = set(pile.keys)
            commit.items[self._signal, DUPLICATE] += came - len(keys)
        if keys:
            taken |= keys
            commit.items[self._signal, COUNTED] += len(keys)
        events = Counter(pile.portraits)
        for place, weight in pile.weights.items():
            portrait = pile.portraits[place]
            events[portrait] += weight - 1
            if weight > 1:
                commit.weigh(portrait.outcome, weight)
        for portrait, count in events.items():
            commit.count(portrait.outcome, at, count)
            if count:
                commit.explain(portrait, at, count)
        self._show(at, pile, commit)

    def _show(self, at: int, pile: Pile[Item], commit: Commit) -> None:
        """Explain every bad item, and keep the newest of each outcome as evidence."""
        newest: dict[Outcome, list[tuple[Item, Verdict, str, str]]] = {}
        look = self._witness.exception
        for place, item, verdict in pile.bad:
            outcome = verdict.portrait.outcome
            exception, message = look(item, verdict.facts)
            if exception and (weight := pile.weights.get(place, 1)):
                commit.explain(self._portraits.of(outcome, (("exception", exception),)), at, weight)
            held = newest.get(outcome)
            if held is None:
                held = newest[outcome] = []
            held.append((item, verdict, exception, message))
        for outcome, found in newest.items():
            if commit.wants(outcome):
                for item, verdict, exception, message in found[-MAX_EVIDENCE_OF_ONE:]:
                    commit.show(outcome, self._witness.describe(item, verdict.facts, exception, message))


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
