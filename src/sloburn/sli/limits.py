"""Where a threshold cuts the buckets of a histogram: at a bound, or not at all.

One rule for all histograms: a bound is exact, and anything between two bounds cannot be told from the buckets, so it is
refused in words, unless the document lets the threshold move to the next bound (``snap``).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from math import floor, inf, log2

from sloburn.duration import SECOND, format_duration
from sloburn.sli.exponential import Layout, bound_below, exact_bound
from sloburn.sli.readings import Reading
from sloburn.slo.model import MetricIndicator, Snap

Edge = int | float
"""Explicit buckets: how many there are below the cut. Exponential ones: k, where the cut is at base^k. Or infinite."""

ALL_GOOD, ALL_BAD = inf, -inf

# UCUM units of time in which OpenTelemetry instruments measure, per second.
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": SECOND}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where the good buckets end.

    Args:
        edge: The first bad bucket; None if the points cannot be judged.
        note: What the user must know of it.
    """

    edge: Edge | None
    note: str = ""


def place_of(edge: Edge, layout: Layout | None, buckets: int) -> int:
    """Return how many of the values lie below an edge."""
    if edge == ALL_BAD:
        return 0
    if edge == ALL_GOOD:
        return buckets
    # What is not above zero comes first and is good to every threshold.
    return int(edge) if layout is None else max(1, min(int(edge) - layout.offset + 1, buckets))


def cut_of(rule: MetricIndicator, reading: Reading) -> Cut:
    """Return where the rule's threshold cuts the buckets of a stream."""
    threshold = rule.threshold or Fraction(0)
    limit = threshold * _PER_SECOND.get(reading.unit, 1) if rule.is_duration else threshold
    if reading.state.layout is not None:
        return _cut_exponential(rule, reading, limit, reading.state.layout)
    if reading.state.bounds:
        return _cut_explicit(rule, reading, float(limit))
    return Cut(edge=None, note=f"{rule.metric} is no histogram with buckets: a threshold cannot be judged on it")


def _cut_explicit(rule: MetricIndicator, reading: Reading, limit: float) -> Cut:
    bounds = reading.state.bounds
    # OTLP: a bucket holds (lower, upper], so `le` includes its bound.
    if limit in bounds:
        return Cut(edge=bounds.index(limit) + 1)
    below = bisect_left(bounds, limit)
    found = {Snap.DOWN: below - 1, Snap.UP: below}.get(rule.snap, -1)
    if 0 <= found < len(bounds):
        return Cut(edge=found + 1, note=_snapped(rule, reading.unit, bounds[found]))
    listed = ", ".join(f"{bound:g}" for bound in bounds)
    return Cut(
        edge=None,
        note=f"{_missing(rule)}, so nothing is counted: choose one of its bounds ({_with_unit(listed, reading.unit)}), "
        "add the bound to the service's histogram, or let `snap: down` or `snap: up` take the next one",
    )


def _cut_exponential(rule: MetricIndicator, reading: Reading, limit: Fraction, layout: Layout) -> Cut:
    if limit < layout.zero_threshold:
        zero = f"its zero bucket holds everything up to {_with_unit(f'{layout.zero_threshold:g}', reading.unit)}"
        return Cut(edge=None, note=f"{_missing(rule)}, so nothing is counted: {zero}")
    exact = exact_bound(limit, layout.scale)
    if exact is not None:
        return Cut(edge=exact)
    below = bound_below(limit, layout.scale)
    found = {Snap.DOWN: below, Snap.UP: below + 1}.get(rule.snap)
    if found is not None:
        return Cut(edge=found, note=_snapped(rule, reading.unit, layout.bound(found)))
    power = floor(log2(limit))
    powers = _with_unit(f"{2.0**power:g} or {2.0 ** (power + 1):g}", reading.unit)
    return Cut(
        edge=None,
        note=f"{_missing(rule)}, so nothing is counted: its buckets are exponential, with bounds at powers of two: "
        f"choose {powers}, or let `snap: down` or `snap: up` take the next bound",
    )


def _missing(rule: MetricIndicator) -> str:
    threshold = rule.threshold or 0
    wanted = format_duration(int(threshold * SECOND)) if rule.is_duration else str(float(threshold))
    return f"{rule.metric} has no bucket bound at {wanted}"


def _snapped(rule: MetricIndicator, unit: str, bound: float) -> str:
    side = "below" if rule.snap is Snap.DOWN else "above"
    return f"{_missing(rule)}: it is judged by {_with_unit(f'{bound:.4g}', unit)}, the next one {side}"


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text
