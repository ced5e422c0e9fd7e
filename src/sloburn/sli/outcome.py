"""What an event means to all SLOs at once: the small form that every kind of indicator comes down to.

Raw items are judged once for each distinct combination of values. Many combinations mean the same: these series count
the event as good, those as bad. Such a meaning is an `Outcome`; there is one object for each, so a commit counts events
by outcome and slice, and what a request costs does not depend on how many SLOs read it. The series get their counts
when somebody looks (`Engine.settle`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sloburn.sli.autopsy import Traits
from sloburn.sli.select import Facts

MAX_MEMBERS = 2_000_000
"""Series in all outcomes together, about 8 bytes each; beyond, outcomes are made anew."""


MAX_PORTRAITS = 20_000


class Outcome:
    """Which series count an event as good and which as bad, by number.

    Args:
        number: Its own; in use once at a time.
        good: Numbers of series.
        bad: Numbers of series.
    """

    __slots__ = ("bad", "good", "number")

    def __init__(self, number: int, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
        self.number = number
        self.good = good
        self.bad = bad


class Outcomes:
    """One object for each distinct outcome."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], Outcome] = {}
        self._members = 0
        self._next = 0

    def of(self, hits: Iterable[tuple[int, bool]]) -> Outcome:
        """Return the outcome of an event that is good or bad (true) to so many series."""
        good: list[int] = []
        bad: list[int] = []
        for number, is_bad in hits:
            (bad if is_bad else good).append(number)
        key = (tuple(good), tuple(bad))
        found = self._known.get(key)
        return self._add(key) if found is None else found

    def _add(self, key: tuple[tuple[int, ...], tuple[int, ...]]) -> Outcome:
        self._members += len(key[0]) + len(key[1])
        if self._members > MAX_MEMBERS:
            self._known.clear()  # those in use live on; a second object of the same meaning does no harm
            self._members = len(key[0]) + len(key[1])
        made = self._known[key] = Outcome(self._next, *key)
        self._next += 1
        return made


class Portrait:
    """What an event means and what it looked like; one object for each, told apart by identity.

    Args:
        service: Whose event it is.
        outcome: What it means.
        traits: What the autopsy compares.
    """

    __slots__ = ("is_bad", "is_read", "outcome", "service", "traits")

    def __init__(self, service: str, outcome: Outcome, traits: Traits) -> None:
        self.service = service
        self.outcome = outcome
        self.traits = traits
        self.is_read = bool(outcome.good or outcome.bad)  # by any SLO
        self.is_bad = bool(outcome.bad)  # to any SLO


class Portraits:
    """One portrait for each outcome and set of traits of a service.

    Args:
        service: Whose events.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self._known: dict[tuple[Outcome, Traits], Portrait] = {}

    def of(self, outcome: Outcome, traits: Traits) -> Portrait:
        """Return the portrait of such an event."""
        found = self._known.get((outcome, traits))
        if found is None:
            if len(self._known) >= MAX_PORTRAITS:
                self._known.clear()
            found = self._known[outcome, traits] = Portrait(self.service, outcome, traits)
        return found


class Verdict:
    """What is known of one combination of values: what such an event means, and the values.

    Args:
        portrait: What it means and looks like.
        facts: The values.
        exception: Type of the exception that the values name; empty if they name none.
    """

    __slots__ = ("exception", "facts", "portrait")

    def __init__(self, portrait: Portrait, facts: Facts, exception: str) -> None:
        self.portrait = portrait
        self.facts = facts
        self.exception = exception
