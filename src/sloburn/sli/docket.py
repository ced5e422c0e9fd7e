"""What every plan of a service is made of: its promises, and where series and outcomes come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sloburn.sli.autopsy import EVERY, Traits
from sloburn.sli.evidence import EXPLAINED
from sloburn.sli.groups import Groups
from sloburn.sli.outcome import Outcomes
from sloburn.sli.select import Attribute, Facts
from sloburn.sli.spelling import spelled
from sloburn.slo.model import Slo

ValueOf = Callable[[bytes], Attribute]

MAX_VERDICTS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Docket:
    """The promises of one service.

    Args:
        service: Its name.
        slos: Every SLO of the service, each with the generation of its series; a plan takes those of its own kind.
        groups: Where series come from; bounds the groups of an SLO.
        outcomes: Where outcomes come from.
        value_of: Reads an attribute's wire form.
    """

    service: str
    slos: tuple[tuple[Slo, str], ...]
    groups: Groups
    outcomes: Outcomes
    value_of: ValueOf

    @property
    def explained(self) -> tuple[str, ...]:
        """Attributes that may tell bad events from good ones: the usual ones, and what the SLOs split by or name."""
        own = (key for slo, _ in self.slos for key in (*slo.group_by, *slo.autopsy))
        return tuple(dict.fromkeys((*EXPLAINED, *own)))


def traits_of(facts: Facts, explained: Iterable[str]) -> Traits:
    """Return what the autopsy compares: the explained attributes that are there, and the name."""
    named = [("name", spelled(facts.name))] if facts.name else []
    found = ((key, facts.attributes.get(key)) for key in explained)
    return (EVERY, *named, *((key, spelled(value)) for key, value in found if value is not None))
