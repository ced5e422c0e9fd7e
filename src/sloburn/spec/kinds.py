"""Readers of indicators of every kind: of single events, of slices of time, of other SLOs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from sloburn.duration import MINUTE
from sloburn.slo.model import Indicator, JourneyIndicator, NoEvents, WeightedIndicator
from sloburn.spec.cursor import Cursor, listed
from sloburn.spec.indicators import EVENT_KINDS, NO_INDICATOR, read_indicator
from sloburn.spec.slices import read_freshness, read_heartbeat, read_no_events, read_slice
from sloburn.spec.values import read_factor, read_name, read_share

STAND_IN: Indicator = NO_INDICATOR
MOST_MEMBERS = 50


def read_any_indicator(at: Cursor) -> Indicator:
    """Read an indicator: the key that only one kind has tells which it is."""
    fields = at.fields()
    if not at.is_mapping:
        return STAND_IN
    found = [kind for kind in (*EVENT_KINDS, *_KINDS) if kind in fields]
    if len(found) != 1:
        said = " and ".join(found) or "none of them"
        return at.refuse(f"expected exactly one of {listed((*EVENT_KINDS, *_KINDS))}; found {said}", STAND_IN)
    if found[0] in EVENT_KINDS:
        return read_indicator(at)
    at.record(found[0])
    return _KINDS[found[0]](at)


def reads_others(at: Cursor) -> bool:
    """Tell whether an indicator reads other SLOs, which have services of their own."""
    return at.is_mapping and bool({"journey", "weighted"} & at.fields().keys())


def _read_journey(at: Cursor) -> JourneyIndicator:
    record = at.fields()["journey"].record("members", "slice", "target", "no_events")
    return JourneyIndicator(
        members=record.need("members", _read_names, (), "[cart-availability, checkout-availability]"),
        slice_ns=record.may("slice", read_slice, MINUTE),
        target=record.may("target", read_target, None),
        no_events=record.may("no_events", read_no_events, NoEvents.IGNORED),
    )


def read_target(at: Cursor) -> Fraction | None:
    """Read the share of good events that a slice needs."""
    return read_share(at)


def _read_names(at: Cursor) -> tuple[str, ...]:
    names: list[str] = []
    for item in at.items():
        name = read_name(item)
        if name and name in names:
            item.refuse(f"found {name} twice; expected each SLO once", None)
        names.append(name)
    _check_number(at, len(names))
    return tuple(names)


def _read_weighted(at: Cursor) -> WeightedIndicator:
    record = at.fields()["weighted"].record("members")
    example = "{cart-availability: 1, checkout-availability: 3}"
    return WeightedIndicator(members=record.need("members", _read_weights, (), example))


def _read_weights(at: Cursor) -> tuple[tuple[str, Fraction], ...]:
    fields = at.fields()
    if at.is_mapping:
        _check_number(at, len(fields))
    return tuple((name, read_factor(weight)) for name, weight in fields.items())


def _check_number(at: Cursor, number: int) -> None:
    if not 2 <= number <= MOST_MEMBERS:
        at.refuse(f"found {number} members; expected 2 to {MOST_MEMBERS}", None)


_KINDS: dict[str, Callable[[Cursor], Indicator]] = {
    "freshness": read_freshness,
    "heartbeat": read_heartbeat,
    "journey": _read_journey,
    "weighted": _read_weighted,
}
