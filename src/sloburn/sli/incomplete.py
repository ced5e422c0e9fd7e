"""What is known of events that never came: frozen, for everything that shows a status."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from sloburn.duration import humanize_duration
from sloburn.slo.budget import Count
from sloburn.slo.missing import Bounds, budget_bounds, burn_bounds, sli_bounds


class Missed(NamedTuple):
    """The most events that an SLO can have lost.

    Args:
        counts: In every look-back, in the order of the shape's; the period is the last.
        sources: In the period, by what lost them, the largest first.
    """

    counts: tuple[int, ...]
    sources: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnBounds:
    """A look-back in which events are missing.

    Args:
        length_ns: Look-back, nanoseconds.
        missing: The most events that are missing in it.
        burn: Between what its burn rate lies.
    """

    length_ns: int
    missing: int
    burn: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """How far the numbers of an SLO can be off because events were lost before they were counted.

    Args:
        missing: The most events of the period that are missing.
        of: Events of the period, with those that are missing.
        sources: The missing ones by what lost them, the largest first.
        sli: Between what the share of good events lies.
        budget_remaining: Between what the share of the budget that is left lies.
        burns: Every look-back in which events are missing, shortest first.
        alert_burn: That of them which is the first long window; None if nothing is missing there.
    """

    missing: int
    of: int
    sources: tuple[tuple[str, int], ...]
    sli: Bounds
    budget_remaining: Bounds
    burns: tuple[BurnBounds, ...]
    alert_burn: BurnBounds | None

    @property
    def text(self) -> str:
        """The same in a sentence."""
        by_source = ", ".join(f"{count:,} {source}" for source, count in self.sources)
        head = f"incomplete: up to {self.missing:,} of {self.of:,} events are missing ({by_source})"
        if self.alert_burn is not None:
            length, burn = humanize_duration(self.alert_burn.length_ns), self.alert_burn.burn
            return f"{head}; burn over {length} between {float(burn.low):.3g} and {float(burn.high):.3g}"
        low, high = (float(end * 100) for end in (self.sli.low, self.sli.high))
        return f"{head}; between {low:.6g} % and {high:.6g} % of the period's were good"


def incomplete(
    missed: Missed, lengths: tuple[int, ...], counts: tuple[Count, ...], objective: Fraction, alert_ns: int
) -> Incomplete | None:
    """Work out how far the numbers of an SLO can be off; None if nothing is missing.

    Args:
        missed: What can be missing.
        lengths: Of the look-backs, nanoseconds; the period is the last.
        counts: What was counted in each of them.
        objective: The SLO's.
        alert_ns: Length of the first long window, nanoseconds; 0 without windows.
    """
    count, missing = counts[-1], missed.counts[-1]
    sli, remaining = sli_bounds(count, missing), budget_bounds(count, missing, objective)
    if not missing or sli is None or remaining is None:
        return None
    burns: dict[int, BurnBounds] = {}
    for length, one, lost in zip(lengths, counts, missed.counts, strict=True):
        burn = burn_bounds(one, lost, objective)
        if lost and burn is not None:
            burns[length] = BurnBounds(length_ns=length, missing=lost, burn=burn)
    return Incomplete(
        missing=missing,
        of=count.total + missing,
        sources=missed.sources,
        sli=sli,
        budget_remaining=remaining,
        burns=tuple(burns[length] for length in sorted(burns)),
        alert_burn=burns.get(alert_ns),
    )
