"""What the bad events have in common: counts of attribute values among bad and good events, in bounded memory.

Events are counted once for the service, by what they mean and by their values. Which of them are bad for one SLO is
worked out when somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import log
from typing import Protocol

from sloburn.sli.status import Suspect
from sloburn.slo.budget import Count

Trait = tuple[str, str]
Traits = tuple[Trait, ...]

BLOCKS = 12
MAX_ENTRIES = 2_000
MAX_SUSPECTS = 8
LEAST_LIFT = 1.05
CHANCE = 0.05
"""In at most so large a share of autopsies any value is named though it has nothing to do with what is bad."""

OTHER = "__other__"
EVERY: Trait = ("", "")  # what every event has: the whole that shares are of


class Meaning(Protocol):
    """Which series count an event as good and which as bad, by number (`sloburn.sli.outcome.Outcome`)."""

    good: tuple[int, ...]
    bad: tuple[int, ...]


class Look(Protocol):
    """What an event means and what it looked like (`sloburn.sli.outcome.Portrait`)."""

    @property
    def outcome(self) -> Meaning:
        """What it means."""
        ...

    @property
    def traits(self) -> Traits:
        """What it looked like."""
        ...


Entries = dict[Look, int]


@dataclass(frozen=True, slots=True)
class _Rest:
    """The events of one meaning for whose looks there was no room."""

    outcome: Meaning
    traits: Traits


def fold(traits: Traits) -> Traits:
    """Return traits that keep their names and tell nothing else."""
    return tuple(trait if trait == EVERY else (trait[0], OTHER) for trait in traits)


class _Block:
    """The events of one twelfth of the look-back."""

    __slots__ = ("counts", "is_shared", "number")

    def __init__(self, number: int, counts: Entries) -> None:
        self.number = number
        self.counts = counts
        self.is_shared = False  # a reader in another thread holds it: copy before changing


class Autopsy:
    """Counts of attribute values of one service's events over a look-back.

    Args:
        look_back_ns: How far back the answer reaches, nanoseconds.
    """

    def __init__(self, look_back_ns: int) -> None:
        self._block_ns = max(1, look_back_ns // BLOCKS)
        self._blocks: deque[_Block] = deque(maxlen=BLOCKS + 1)
        self._findings: Findings | None = None
        self.changed: set[int] = set()
        """Numbers of the blocks that changed since somebody cleared this."""

    @property
    def begin(self) -> int:
        """When the oldest block begins, nanoseconds since the epoch."""
        return self._blocks[0].number * self._block_ns if self._blocks else 0

    def changes(self) -> list[tuple[int, Entries]]:
        """Return the blocks that changed, oldest first: when each begins, and what it holds."""
        return [(one.number * self._block_ns, one.counts) for one in self._blocks if one.number in self.changed]

    def mark_changed(self) -> None:
        """Note that no block is stored."""
        self.changed.update(one.number for one in self._blocks)

    def restore(self, at_unix_nano: int, outcome: Meaning, traits: Traits, events: int) -> None:
        """Take back what was stored of a block, oldest blocks first."""
        self.add(at_unix_nano, [(_Rest(outcome, traits), events)])

    def add(self, at_unix_nano: int, looks: Iterable[tuple[Look, int]]) -> None:
        """Count events by their looks; events older than the newest block go into that one."""
        counts = self._newest(at_unix_nano // self._block_ns).counts
        for look, events in looks:
            known = counts.get(look)
            if known is None and len(counts) >= MAX_ENTRIES:
                look = _Rest(look.outcome, fold(look.traits))
                known = counts.get(look)
            counts[look] = events if known is None else known + events

    def inherit(self, other: Autopsy) -> None:
        """Take over what another one knows, which is used no more."""
        self._findings = None
        if other._block_ns == self._block_ns:
            self._blocks, self.changed = other._blocks, other.changed
            return
        for block in other._blocks:
            self.add(block.number * other._block_ns, block.counts.items())

    def _newest(self, number: int) -> _Block:
        self._findings = None
        if not self._blocks or number > self._blocks[-1].number:
            self._blocks.append(_Block(number, {}))
        elif self._blocks[-1].is_shared:
            self._blocks[-1] = _Block(self._blocks[-1].number, dict(self._blocks[-1].counts))
        self.changed.add(self._blocks[-1].number)
        return self._blocks[-1]

    def findings(self, now: int) -> Findings:
        """Return what is known at `now`, for readers in any thread."""
        oldest = now // self._block_ns - BLOCKS
        if self._findings is None or self._findings.oldest != oldest:
            if self._blocks:
                self._blocks[-1].is_shared = True
            parts = tuple(block.counts for block in self._blocks if block.number >= oldest)
            self._findings = Findings(oldest, parts)
        return self._findings


class Findings:
    """What an autopsy knew at one moment; it never changes.

    Args:
        oldest: Number of the oldest block.
        parts: The blocks.
    """

    def __init__(self, oldest: int, parts: tuple[Entries, ...]) -> None:
        self.oldest = oldest
        self._parts = parts
        self._whole: Entries | None = None

    def suspects(self, series: int) -> tuple[Suspect, ...]:
        """Return the values that stand out among the bad events of a series, strongest first."""
        counts = self._counts(series)
        good, bad = counts.pop(EVERY, (0, 0))
        if not bad:
            return ()
        whole = Count(good, bad)
        evidence = log(max(1, len(counts)) / CHANCE)
        found = [
            _suspect(trait, count, whole)
            for trait, count in counts.items()
            if _stands_out(Count(*count), whole, evidence)
        ]
        return tuple(sorted(found, key=_rank)[:MAX_SUSPECTS])

    def _counts(self, series: int) -> dict[Trait, tuple[int, int]]:
        counts: dict[Trait, tuple[int, int]] = {}
        kinds: dict[Meaning, int] = {}
        for look, events in self._entries().items():
            meaning = look.outcome
            kind = kinds.get(meaning)
            if kind is None:
                kind = kinds[meaning] = 2 if series in meaning.bad else 1 if series in meaning.good else 0
            if kind:
                for trait in look.traits:
                    good, bad = counts.get(trait, (0, 0))
                    counts[trait] = (good, bad + events) if kind == 2 else (good + events, bad)
        return counts

    def _entries(self) -> Entries:
        """Return the blocks together; worked out once for all series."""
        if self._whole is None:
            whole: Entries = {}
            for part in self._parts:
                for key, events in part.items():
                    whole[key] = whole.get(key, 0) + events
            self._whole = whole
        return self._whole


def _stands_out(count: Count, whole: Count, evidence: float) -> bool:
    """Tell whether a value is more common among bad events than among good ones, and neither barely nor by chance.

    If a bad event had the value as often as `LEAST_LIFT` times the share of good events that have it, so many bad ones
    would have it with a probability of at most exp(-n x D): n bad events, D the relative entropy of their share to the
    expected one (Chernoff bound of the binomial tail, W. Hoeffding 1963, theorem 1). One more good event is taken to
    have the value than were seen. Without good events there is nothing to compare with, and every value is shown.

    Args:
        count: Events with the value.
        whole: All events.
        evidence: How small that probability must be: minus its logarithm.
    """
    if not whole.good or not count.bad:
        return bool(count.bad)
    share, expected = count.bad / whole.bad, LEAST_LIFT * (count.good + 1) / (whole.good + 1)
    if share <= expected:
        return False
    rest = (1 - share) * log((1 - share) / (1 - expected)) if share < 1 else 0.0
    return whole.bad * (share * log(share / expected) + rest) >= evidence


def _suspect(trait: Trait, count: tuple[int, int], whole: Count) -> Suspect:
    good, bad = count
    return Suspect(
        key=trait[0],
        value=trait[1],
        count=Count(good, bad),
        bad_share=Fraction(bad, whole.bad),
        good_share=Fraction(good, whole.good) if whole.good else None,
    )


def _weight(suspect: Suspect) -> Fraction:
    return suspect.bad_share - (suspect.good_share or 0)


def _rank(suspect: Suspect) -> tuple[Fraction, int, str, str]:
    return (-_weight(suspect), -suspect.count.bad, suspect.key, suspect.value)
