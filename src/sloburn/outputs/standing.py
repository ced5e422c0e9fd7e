"""How urgent an SLO is, in one word, and all of them in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from sloburn.sli.status import SloState, SloStatus, Snapshot
from sloburn.slo.alerting import AlertState
from sloburn.slo.model import Severity


class Standing(StrEnum):
    """What a person on call must know of an SLO, most urgent first."""

    PAGE = "page"
    EXHAUSTED = "exhausted"
    TICKET = "ticket"
    NO_DATA = "no data"
    OK = "ok"
    NO_TRAFFIC = "no traffic"


class Outlook(StrEnum):
    """What becomes of the budget if nothing changes."""

    OVERSPENT = "overspent"
    SPENT = "spent"
    GOES = "goes"  # before the period is over
    QUIET = "quiet"  # nothing comes that could burn it
    LASTS = "lasts"


_RANK = {standing: rank for rank, standing in enumerate(Standing)}
_CALM = {SloState.OK: Standing.OK, SloState.NO_TRAFFIC: Standing.NO_TRAFFIC}


def fires(status: SloStatus, severity: Severity) -> bool:
    """Tell whether an alert of this severity is firing."""
    return any(alert.severity is severity and alert.state is AlertState.FIRING for alert in status.alerts)


def is_exhausted(status: SloStatus) -> bool:
    """Tell whether the period's budget is gone, whatever burns beside."""
    left = status.budget_remaining
    return status.state is SloState.EXHAUSTED or (left is not None and left <= 0)


def standing_of(status: SloStatus) -> Standing:
    """Return the one word for an SLO: a page outranks a spent budget, which outranks a ticket."""
    if status.state is SloState.NO_DATA:
        return Standing.NO_DATA
    if fires(status, Severity.PAGE):
        return Standing.PAGE
    if is_exhausted(status):
        return Standing.EXHAUSTED
    if fires(status, Severity.TICKET) or status.state is SloState.BURNING:
        return Standing.TICKET
    return _CALM[status.state]


def outlook_of(status: SloStatus) -> Outlook:
    """Return what becomes of the budget at the burn of the first long window."""
    left = status.budget_remaining
    if left is not None and left <= 0:
        return Outlook.OVERSPENT if left < 0 else Outlook.SPENT
    if status.state is SloState.NO_TRAFFIC or not status.pairs or status.pairs[0].long_burn is None:
        return Outlook.QUIET
    soon = status.exhaustion_ns is not None and status.exhaustion_ns <= status.slo.period.length_ns
    return Outlook.GOES if soon else Outlook.LASTS


def burns(status: SloStatus) -> bool:
    """Tell whether a burn alert of this SLO is firing; a budget alert says that it burned."""
    firing = (alert for alert in status.alerts if alert.state is AlertState.FIRING)
    return status.state is SloState.BURNING or any(alert.left is None for alert in firing)


def by_urgency(statuses: Iterable[SloStatus]) -> list[SloStatus]:
    """Return the statuses, most urgent first; among equals the one whose budget is gone first, then by name."""
    return sorted(statuses, key=_urgency)


def _urgency(status: SloStatus) -> tuple[int, float, Fraction, str, tuple[tuple[str, str], ...]]:
    rank = _RANK[Standing.PAGE if fires(status, Severity.PAGE) else standing_of(status)]
    # Calm rows keep their places: sorting them by a number that moves would make the page restless.
    calm = rank >= _RANK[Standing.OK]
    left = float("inf") if calm or status.exhaustion_ns is None else float(status.exhaustion_ns)
    budget = Fraction(0) if calm or status.budget_remaining is None else status.budget_remaining
    return rank, left, budget, status.slo.name, status.group


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All SLOs in one line.

    Args:
        slos: How many there are; groups of one SLO count once.
        burning: How many of them burn.
        exhausted: How many have no budget left.
        silent: How many have no data.
        pages: How many pages are firing.
        tickets: How many tickets are firing.
        idle: No event was ever counted.
        text: The line.
    """

    slos: int
    burning: int
    exhausted: int
    silent: int
    pages: int
    tickets: int
    idle: bool
    text: str


def summarize(snapshot: Snapshot) -> Summary:
    """Answer the first question of anybody who opens the page: are we keeping our promises?"""
    statuses = snapshot.statuses
    slos = _distinct(statuses)
    burning = _distinct(status for status in statuses if burns(status))
    exhausted = _distinct(status for status in statuses if is_exhausted(status))
    silent = _distinct(status for status in statuses if status.state is SloState.NO_DATA)
    pages = sum(fires(status, Severity.PAGE) for status in statuses)
    tickets = sum(fires(status, Severity.TICKET) for status in statuses)
    idle = not any(status.lifetime.total for status in statuses)
    return Summary(
        slos=slos,
        burning=burning,
        exhausted=exhausted,
        silent=silent,
        pages=pages,
        tickets=tickets,
        idle=idle,
        text=_line(slos, burning, exhausted, silent, pages, tickets, idle=idle),
    )


def _distinct(statuses: Iterable[SloStatus]) -> int:
    return len({status.slo.name for status in statuses})


def _line(slos: int, burning: int, exhausted: int, silent: int, pages: int, tickets: int, *, idle: bool) -> str:
    if not slos:
        return "No SLOs yet"
    if idle:
        return "Waiting for the first event"
    troubles = (
        (burning, "burns", "burn"),
        (exhausted, "is exhausted", "are exhausted"),
        (silent, "has no data", "have no data"),
    )
    parts = [(count, one if count == 1 else many) for count, one, many in troubles if count]
    loud = [f"{n} {word}{'s'[: n != 1]}" for n, word in ((pages, "page"), (tickets, "ticket")) if n]
    if not parts:
        return " · ".join(["The SLO holds" if slos == 1 else f"All {slos} SLOs hold", *loud])
    (first, verb), rest = parts[0], parts[1:]
    line = f"{first} of {slos} {'SLO' if slos == 1 else 'SLOs'} {verb}"
    return " · ".join([line, *(f"{count} {verb}" for count, verb in rest), *loud])
