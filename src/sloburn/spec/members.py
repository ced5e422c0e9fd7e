"""What holds between SLOs of all documents: the members of a composite SLO are there, fit, and lead back to nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sloburn.duration import format_duration
from sloburn.slo.model import JourneyIndicator, Slo, WeightedIndicator
from sloburn.slo.periods import reach_ns
from sloburn.slo.timed import members_of, slice_ns_of
from sloburn.spec.cursor import did_you_mean


def member_faults(slos: Iterable[Slo]) -> Iterator[tuple[Slo, str]]:
    """Yield what is wrong with the members of composite SLOs: the SLO, and a sentence for people."""
    by_name = {slo.name: slo for slo in slos}
    for slo in by_name.values():
        for name in members_of(slo.indicator):
            fault = _fault(slo, name, by_name)
            if fault:
                yield slo, fault
    yield from _cycles(by_name)


def _fault(slo: Slo, name: str, by_name: Mapping[str, Slo]) -> str:
    member = by_name.get(name)
    if member is None:
        return f"there is no SLO {name}{did_you_mean(name, by_name)}; expected the name of an SLO of these documents"
    if member.group_by:
        return f"{name} is split by group_by; expected a member without groups"
    if isinstance(member.indicator, WeightedIndicator):
        return f"{name} is a weighted SLO, which counts nothing of its own; expected its members instead"
    if isinstance(slo.indicator, JourneyIndicator):
        return _slice_fault(slo.indicator, member)
    if reach_ns(member.period) < reach_ns(slo.period):
        mine, its = format_duration(slo.period.length_ns), format_duration(member.period.length_ns)
        return f"the period of {name}, {its}, is shorter than {mine}; expected a member with a period at least as long"
    return ""


def _slice_fault(journey: JourneyIndicator, member: Slo) -> str:
    slice_ns = slice_ns_of(member.indicator)
    if not slice_ns or journey.slice_ns % slice_ns == 0:
        return ""
    mine, its = format_duration(journey.slice_ns), format_duration(slice_ns)
    return f"a slice of {mine} is no multiple of {its}, the slices of {member.name}; expected a multiple"


def _cycles(by_name: Mapping[str, Slo]) -> Iterator[tuple[Slo, str]]:
    told: set[str] = set()
    for name, slo in by_name.items():
        path = _way_back(name, by_name)
        if path and name not in told:
            told.update(path)
            yield slo, f"its members lead back to itself: {' -> '.join(path)}; expected members that do not"


def _way_back(start: str, by_name: Mapping[str, Slo]) -> tuple[str, ...]:
    """Return the names from an SLO over members to itself; none if no way leads back."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        slo = by_name.get(way[-1])
        for name in members_of(slo.indicator) if slo else ():
            if name == start:
                return (*way, name)
            if name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()
