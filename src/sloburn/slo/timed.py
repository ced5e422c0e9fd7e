"""SLOs whose events are slices of time, and SLOs over other SLOs: what they are made of, in which lengths and words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from sloburn.duration import DAY, HOUR, MINUTE, SECOND, format_duration, humanize_duration
from sloburn.slo.model import (
    Alerting,
    FreshnessIndicator,
    Indicator,
    JourneyIndicator,
    NoEvents,
    SlicedIndicator,
    Slo,
    WeightedIndicator,
    Window,
)

SLICES_NS = (
    *(seconds * SECOND for seconds in (5, 10, 15, 20, 30)),
    *(minutes * MINUTE for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15)),
)
"""Lengths that a slice may have: they divide an hour, and the ledger's slices divide them."""

MIN_BAD_SLICES = 2
"""Bad slices that the long window needs unless the document says otherwise: each stands for many events or none."""

SLICES_IN_WINDOW = 2
"""Slices that a look-back must hold at the least, or it would be empty half of the time."""

SOURCE_SUFFIX = "/events"  # no SLO of a document can be called so

# Ages up to which the ledger keeps slices of 5 s and of 1 min; within them the age of an event is told so exactly, with
# room for events that come late.
FINE_AGE_NS = 5 * HOUR
MINUTE_AGE_NS = 2 * DAY


def slice_ns_of(indicator: Indicator) -> int:
    """Return the length of the slices that an indicator judges, nanoseconds; 0 where its events are events."""
    match indicator:
        case SlicedIndicator() | FreshnessIndicator() | JourneyIndicator():
            return indicator.slice_ns
        case _:
            return 0


def members_of(indicator: Indicator) -> tuple[str, ...]:
    """Return the names of the SLOs that an indicator reads; none where it reads telemetry."""
    match indicator:
        case JourneyIndicator():
            return indicator.members
        case WeightedIndicator():
            return tuple(name for name, _ in indicator.members)
        case _:
            return ()


def source_of(slo: Slo) -> Slo | None:
    """Return the SLO that counts the events behind slices, never evaluated itself; None where there are none."""
    match slo.indicator:
        case SlicedIndicator() | FreshnessIndicator():
            quiet = Alerting(windows=slo.alerting.windows)
            name, source = slo.name + SOURCE_SUFFIX, slo.indicator.source
            return replace(slo, name=name, indicator=source, alerting=quiet, exclusions=())
        case _:
            return None


def sources_of(slos: Iterable[Slo]) -> dict[str, Slo]:
    """Return the SLOs that count events behind slices, by name."""
    return {source.name: source for source in map(source_of, slos) if source is not None}


def hears_silence(indicator: Indicator) -> bool:
    """Tell whether silence is a signal to an indicator: then a service that says nothing freezes no alert."""
    match indicator:
        case FreshnessIndicator():
            return True
        case SlicedIndicator() | JourneyIndicator():
            return indicator.no_events is NoEvents.BAD
        case _:
            return False


def nouns_of(indicator: Indicator) -> tuple[str, str]:
    """Return what an indicator counts, for people: one and many."""
    length = slice_ns_of(indicator)
    if not length:
        return "event", "events"
    text = humanize_duration(length)
    return f"slice of {text}", f"slices of {text}"


def fit_windows(alerting: Alerting, slice_ns: int) -> Alerting:
    """Lengthen look-backs that would hold too few slices, and note for people which.

    Args:
        alerting: The settings.
        slice_ns: Length of a slice, nanoseconds.
    """
    shortest = SLICES_IN_WINDOW * slice_ns
    windows = tuple(replace(one, short_ns=max(one.short_ns, shortest)) for one in alerting.windows)
    changed = zip(alerting.windows, windows, strict=True)
    notes = tuple(_note(old, new, slice_ns) for old, new in changed if old != new)
    return replace(alerting, windows=windows, notes=(*alerting.notes, *notes))


def _note(old: Window, new: Window, slice_ns: int) -> str:
    name = f"{old.severity} {format_duration(old.long_ns)} + {format_duration(old.short_ns)}"
    return (
        f"{name}: the short window holds fewer than {SLICES_IN_WINDOW} slices of {format_duration(slice_ns)}; "
        f"lengthened to {format_duration(new.short_ns)}"
    )


def promise_text(indicator: Indicator) -> str:
    """Say of what a share is promised: ``events good``, ``slices of 1 min in which ...``."""
    match indicator:
        case SlicedIndicator(target=target):
            return f"{nouns_of(indicator)[1]} good: those in which at least {_percent(target)} of events are good"
        case FreshnessIndicator(within_ns=within_ns, every_ns=every_ns) if every_ns:
            grace = humanize_duration(within_ns - every_ns)
            rhythm = f"expected every {humanize_duration(every_ns)}, with {grace} of grace"
            return f"{nouns_of(indicator)[1]} good: those at whose end no event is overdue ({rhythm})"
        case FreshnessIndicator(within_ns=within_ns):
            age = humanize_duration(within_ns)
            return f"{nouns_of(indicator)[1]} good: those at whose end the last good event is at most {age} old"
        case JourneyIndicator(members=members, target=target):
            needs = f"has {_percent(target)} good" if target else "keeps its own objective"
            return f"{nouns_of(indicator)[1]} good: those in which each of {', '.join(members)} {needs}"
        case WeightedIndicator(members=members):
            parts = ", ".join(f"{name} ({float(weight):.10g})" for name, weight in members)
            return f"the weighted mean of {parts} good"
        case _:
            return "events good"


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.10g} %"
