"""What is known of events that never came: frozen, for everything that shows a status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from sloburn.duration import humanize_duration
from sloburn.slo.budget import Count
from sloburn.slo.missing import (
    Bounds,
    budget_bounds,
    burn_bounds,
    error_ratio_bounds,
    mean_bounds,
    sli_bounds,
    slice_ratio_bounds,
)

Votes = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
"""Weight of each member of a weighted SLO, and its good and bad events in every look-back."""


class Lack(StrEnum):
    """What of an SLO is counted where telemetry was lost."""

    EVENTS = "events"  # each lost item is at most one
    POINTS = "data points"  # how many events one held is not known
    SLICES = "slices"  # good or bad ones: what was lost in them may have decided
    STALE_SLICES = "stale slices"  # bad ones only: what was lost may have kept them fresh
    MEMBERS = "members"  # each lacks what it lacks by itself


class Missed(NamedTuple):
    """The most that an SLO can have lost.

    Args:
        counts: In every look-back, in the order of the shape's; the period is the last.
        sources: Lost items of the period, by what lost them, the largest first.
        lack: What `counts` counts.
        parts: Of a weighted SLO: what each member lost.
    """

    counts: tuple[int, ...]
    sources: tuple[tuple[str, int], ...]
    lack: Lack = Lack.EVENTS
    parts: tuple[Missed | None, ...] = ()

    @property
    def is_bounded(self) -> bool:
        """Tell whether what is missing bounds the numbers: lost data points do not."""
        return self.lack is not Lack.POINTS and all(part is None or part.is_bounded for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnBounds:
    """A look-back in which events are missing.

    Args:
        length_ns: Look-back, nanoseconds.
        missing: The most events that are missing in it, or slices that are in doubt.
        burn: Between what its burn rate lies.
    """

    length_ns: int
    missing: int
    burn: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """How far the numbers of an SLO can be off because events were lost before they were counted.

    Args:
        lack: What is missing or in doubt.
        missing: The most of it in the period.
        of: How many there are in the period: events with those that are missing, or slices.
        sources: Lost items by what lost them, the largest first.
        sli: Between what the share of good events lies; None where nobody can know.
        budget_remaining: Between what the share of the budget that is left lies; None where nobody can know.
        burns: Every look-back in which events are missing, shortest first; none where nobody can know.
        alert_burn: That of them which is the first long window; None if nothing is missing there.
    """

    lack: Lack = Lack.EVENTS
    missing: int
    of: int
    sources: tuple[tuple[str, int], ...]
    sli: Bounds | None
    budget_remaining: Bounds | None
    burns: tuple[BurnBounds, ...] = ()
    alert_burn: BurnBounds | None = None

    @property
    def remark(self) -> str:
        """What is missing, in a few words."""
        match self.lack:
            case Lack.SLICES | Lack.STALE_SLICES:
                return f"up to {self.missing:,} {_plural(self.missing, 'slice')} in doubt"
            case Lack.POINTS:
                return f"up to {self.missing:,} {_plural(self.missing, 'data point')} missing"
            case _:
                return f"up to {self.missing:,} missing"

    @property
    def text(self) -> str:
        """The same in a sentence."""
        by_source = ", ".join(f"{count:,} {source}" for source, count in self.sources)
        head = f"incomplete: {self._what()} ({by_source})"
        if self.lack is Lack.POINTS:
            return f"{head}; {_UNKNOWN}"
        if self.alert_burn is not None:
            length, burn = humanize_duration(self.alert_burn.length_ns), self.alert_burn.burn
            return f"{head}; burn over {length} between {float(burn.low):.3g} and {float(burn.high):.3g}"
        if self.sli is None:
            return f"{head}, data points among them; {_UNKNOWN}"
        low, high = (float(end * 100) for end in (self.sli.low, self.sli.high))
        return f"{head}; between {low:.6g} % and {high:.6g} % of the period's were good"

    def _what(self) -> str:
        match self.lack:
            case Lack.EVENTS:
                return f"up to {self.missing:,} of {self.of:,} events are missing"
            case Lack.POINTS:
                return f"up to {self.missing:,} {_plural(self.missing, 'data point')} of metrics are missing"
            case Lack.SLICES:
                may_be = "may be good or bad"
            case Lack.STALE_SLICES:
                may_be = "may be good though they count as bad"
            case Lack.MEMBERS:
                return f"up to {self.missing:,} {_plural(self.missing, 'item')} of its members are missing"
        items = sum(count for _, count in self.sources)
        return (
            f"up to {self.missing:,} of {self.of:,} slices {may_be}, as {items:,} {_plural(items, 'item')} behind them "
            "may be missing"
        )


_UNKNOWN = (
    "the next point of a cumulative counter brings what a lost one held, but not that of a delta counter or of a "
    "process that ended: how many events are missing is not known"
)


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def incomplete(
    missed: Missed,
    lengths: tuple[int, ...],
    counts: tuple[Count, ...],
    objective: Fraction,
    alert_ns: int,
    votes: Votes = (),
) -> Incomplete | None:
    """Work out how far the numbers of an SLO can be off; None if nothing is missing.

    Args:
        missed: What can be missing.
        lengths: Of the look-backs, nanoseconds; the period is the last.
        counts: What was counted in each of them.
        objective: The SLO's.
        alert_ns: Length of the first long window, nanoseconds; 0 without windows.
        votes: What the members of a weighted SLO counted.
    """
    missing = missed.counts[-1]
    ratios = [_ratio(missed, place, count, votes) for place, count in enumerate(counts)]
    ratio = ratios[-1]
    if not missing or (ratio is None and missed.is_bounded):
        return None
    held = dict(reversed(list(zip(lengths, zip(ratios, missed.counts, strict=True), strict=True))))
    burns = {
        length: BurnBounds(length_ns=length, missing=lost, burn=burn_bounds(one, objective))
        for length, (one, lost) in held.items()
        if lost and one is not None
    }
    is_of_slices = missed.lack in (Lack.SLICES, Lack.STALE_SLICES)
    return Incomplete(
        lack=missed.lack,
        missing=missing,
        of=max(counts[-1].total, missing) if is_of_slices else counts[-1].total + missing,
        sources=missed.sources,
        sli=None if ratio is None else sli_bounds(ratio),
        budget_remaining=None if ratio is None else budget_bounds(ratio, objective),
        burns=tuple(burns[length] for length in sorted(burns)),
        alert_burn=burns.get(alert_ns),
    )


def _ratio(missed: Missed, place: int, count: Count, votes: Votes) -> Bounds | None:
    """Return between what the error ratio of a look-back lies."""
    missing = missed.counts[place]
    match missed.lack:
        case Lack.EVENTS:
            return error_ratio_bounds(count, missing)
        case Lack.SLICES | Lack.STALE_SLICES:
            return slice_ratio_bounds(count, missing, can_worsen=missed.lack is Lack.SLICES)
        case Lack.MEMBERS:
            return _mean(missed.parts, place, votes) if missed.is_bounded else None
        case _:
            return None


def _mean(parts: Sequence[Missed | None], place: int, votes: Votes) -> Bounds | None:
    found = [(weight, Count(*counts[place])) for weight, counts in votes]
    return mean_bounds(
        (weight, error_ratio_bounds(count, 0) if part is None else _ratio(part, place, count, ()))
        for (weight, count), part in zip(found, parts, strict=True)
    )
