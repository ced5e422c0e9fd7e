"""What the bad events have in common: counts of attribute values among bad and good events, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from fractions import Fraction

from sloburn.sli.status import Suspect
from sloburn.slo.budget import Count

Trait = tuple[str, str]

BLOCKS = 12
MAX_TRAITS = 500
MAX_SUSPECTS = 8
OTHER = "__other__"
EVERY: Trait = ("", "")  # what every event has: the whole that shares are of


class _Block:
    __slots__ = ("counts", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: dict[Trait, list[int]] = {}

    def add(self, trait: Trait, good: int, bad: int) -> None:
        if trait not in self.counts and len(self.counts) >= MAX_TRAITS:
            trait = (trait[0], OTHER)
        cell = self.counts.setdefault(trait, [0, 0])
        cell[0] += good
        cell[1] += bad


class Autopsy:
    """Counts of attribute values over a look-back, in twelve blocks.

    Args:
        look_back_ns: How far back the answer reaches, nanoseconds.
    """

    def __init__(self, look_back_ns: int) -> None:
        self._block_ns = max(1, look_back_ns // BLOCKS)
        self._blocks: deque[_Block] = deque(maxlen=BLOCKS + 1)

    def add(self, at_unix_nano: int, traits: Iterable[Trait], good: int, bad: int) -> None:
        """Count events that share their traits; events older than the newest block go into that one."""
        number = at_unix_nano // self._block_ns
        if not self._blocks or number > self._blocks[-1].number:
            self._blocks.append(_Block(number))
        for trait in traits:
            self._blocks[-1].add(trait, good, bad)

    def suspects(self, now: int) -> tuple[Suspect, ...]:
        """Return the values that stand out among bad events, strongest first; none without bad events."""
        counts = self._sum(now)
        whole = counts.pop(EVERY, Count())
        found = [_suspect(trait, count, whole) for trait, count in counts.items() if count.bad]
        standing_out = [suspect for suspect in found if suspect.good_share is None or _weight(suspect) > 0]
        return tuple(sorted(standing_out, key=_rank)[:MAX_SUSPECTS])

    def _sum(self, now: int) -> dict[Trait, Count]:
        oldest = now // self._block_ns - BLOCKS
        counts: dict[Trait, Count] = {}
        for block in self._blocks:
            if block.number < oldest:
                continue
            for trait, (good, bad) in block.counts.items():
                counts[trait] = counts.get(trait, Count()) + Count(good, bad)
        return counts


def _suspect(trait: Trait, count: Count, whole: Count) -> Suspect:
    return Suspect(
        key=trait[0],
        value=trait[1],
        count=count,
        bad_share=Fraction(count.bad, whole.bad),
        good_share=Fraction(count.good, whole.good) if whole.good else None,
    )


def _weight(suspect: Suspect) -> Fraction:
    return suspect.bad_share - (suspect.good_share or 0)


def _rank(suspect: Suspect) -> tuple[Fraction, int, str, str]:
    return (-_weight(suspect), -suspect.count.bad, suspect.key, suspect.value)
