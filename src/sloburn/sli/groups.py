"""Which group of an SLO an event belongs to: bounded, with one group for the rest."""

from __future__ import annotations

from sloburn.sli.select import Facts
from sloburn.sli.series import OVERFLOW, Group, SeriesKey
from sloburn.slo.model import Slo

MAX_GROUPS = 200


class Groups:
    """Hands out the series keys of every SLO, at most so many groups each.

    Args:
        capacity: Groups of one SLO; events of further ones are counted in the overflow group, so sums stay exact.
    """

    def __init__(self, capacity: int = MAX_GROUPS) -> None:
        self._capacity = capacity
        self._known: dict[str, dict[Group, SeriesKey]] = {}

    def adopt(self, key: SeriesKey) -> None:
        """Take over a group that was stored: it keeps its place."""
        self._known.setdefault(key.slo, {})[key.group] = key

    def key(self, slo: Slo, generation: str, facts: Facts) -> SeriesKey:
        """Return the key of the group that an event belongs to."""
        known = self._known.setdefault(slo.name, {})
        group = tuple((name, str(facts.attributes.get(name, ""))) for name in slo.group_by)
        found = known.get(group)
        if found is None:
            if slo.group_by and len(known) >= self._capacity:
                group = tuple((name, OVERFLOW) for name in slo.group_by)
            found = known.setdefault(group, SeriesKey(slo.name, generation, group))
        return found
