"""Which group of an SLO an event belongs to: bounded, with one group for the rest; and the numbers of all series."""

from __future__ import annotations

from sloburn.sli.select import Facts
from sloburn.sli.series import OVERFLOW, Group, SeriesKey
from sloburn.sli.spelling import spelled
from sloburn.slo.model import Slo

MAX_GROUPS = 200


class Groups:
    """Hands out the series of every SLO, at most so many groups each, and gives each its number.

    A number stands for one key as long as the store lives.

    Args:
        capacity: Groups of one SLO; events of further ones are counted in the overflow group, so sums stay exact.
    """

    def __init__(self, capacity: int = MAX_GROUPS) -> None:
        self._capacity = capacity
        self._known: dict[tuple[str, str], dict[Group, SeriesKey]] = {}
        self._numbers: dict[SeriesKey, int] = {}
        self._keys: dict[int, SeriesKey] = {}
        self._next = 1

    def adopt(self, key: SeriesKey) -> None:
        """Take over a group that was stored: it keeps its place."""
        self._known.setdefault((key.slo, key.generation), {})[key.group] = key

    def name(self, number: int, key: SeriesKey) -> None:
        """Take over the number of a series that was stored."""
        self._numbers[key] = number
        self._keys[number] = key
        self._next = max(self._next, number + 1)

    def inherit(self, other: Groups) -> None:
        """Take over all numbers."""
        for number, key in other._keys.items():
            self.name(number, key)

    def number(self, key: SeriesKey) -> int:
        """Return the number of a series; a new one gets the next."""
        found = self._numbers.get(key)
        if found is None:
            found = self._next
            self.name(found, key)
        return found

    def items(self) -> list[tuple[int, SeriesKey]]:
        """Return every series that has a number, whether it is counted today or not."""
        return [*self._keys.items()]

    def key_of(self, number: int) -> SeriesKey:
        """Return the key of a numbered series."""
        return self._keys[number]

    def key(self, slo: Slo, generation: str, facts: Facts) -> SeriesKey:
        """Return the key of the group that an event belongs to."""
        known = self._known.setdefault((slo.name, generation), {})
        group = tuple((name, spelled(facts.attributes.get(name, ""))) for name in slo.group_by)
        found = known.get(group)
        if found is None:
            if slo.group_by and len(known) >= self._capacity:
                group = tuple((name, OVERFLOW) for name in slo.group_by)
            found = known.setdefault(group, SeriesKey(slo.name, generation, group))
        return found

    def numbers(self, slo: Slo, generation: str, facts: Facts) -> tuple[int, ...]:
        """Return the numbers of the series that count an event: its group, and the whole if the groups alert as one."""
        return self.numbers_of(slo, self.key(slo, generation, facts))

    def numbers_of(self, slo: Slo, key: SeriesKey) -> tuple[int, ...]:
        """Return the numbers of the series that count the events of a group."""
        number = self.number(key)
        if not slo.alerting.together:
            return (number,)
        return number, self.number(SeriesKey(key.slo, key.generation))

    def known(self, slo: Slo, generation: str) -> list[SeriesKey]:
        """Return the groups of an SLO that are known; itself where it has none."""
        found = self._known.get((slo.name, generation), {}).values()
        return [key for key in found if bool(key.group) is bool(slo.group_by)]
