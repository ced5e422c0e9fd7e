"""Facts to outcomes: every rule that reads a service's spans, asked once for each combination of values."""

from __future__ import annotations

from collections.abc import Iterable

from sloburn.sli.groups import Groups
from sloburn.sli.outcome import Outcome, Outcomes
from sloburn.sli.select import Facts, holds
from sloburn.slo.conditions import Condition
from sloburn.slo.model import Slo


class Rules:
    """What several SLOs ask of the same items. A condition that many of them share is asked once.

    Args:
        rules: Each SLO, the generation of its series, what it selects and what it calls bad.
        groups: Where series come from; bounds the groups of an SLO.
        outcomes: Where outcomes come from.
    """

    def __init__(
        self, rules: Iterable[tuple[Slo, str, Condition, Condition]], groups: Groups, outcomes: Outcomes
    ) -> None:
        self._groups = groups
        self._outcomes = outcomes
        self._conditions: list[Condition] = []
        places: dict[Condition, int] = {}
        self._rules = [
            (slo, generation, self._place(where, places), self._place(bad, places))
            for slo, generation, where, bad in rules
        ]

    def _place(self, condition: Condition, places: dict[Condition, int]) -> int:
        if condition not in places:
            places[condition] = len(self._conditions)
            self._conditions.append(condition)
        return places[condition]

    def outcome(self, facts: Facts) -> Outcome:
        """Return what the facts mean."""
        said: dict[int, bool] = {}
        hits = []
        for slo, generation, where, bad in self._rules:
            if self._says(where, facts, said):
                is_bad = self._says(bad, facts, said)
                hits += [(number, is_bad) for number in self._groups.numbers(slo, generation, facts)]
        return self._outcomes.of(hits)

    def _says(self, place: int, facts: Facts, said: dict[int, bool]) -> bool:
        answer = said.get(place)
        if answer is None:
            answer = said[place] = holds(self._conditions[place], facts)
        return answer
