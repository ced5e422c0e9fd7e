"""Exponential histograms: buckets whose bounds are powers of a base that the sender widens when its values need it.

Bucket i holds what is above base^i and at most base^(i+1), with base = 2^(2^-scale). One scale less puts two buckets
together. A count is kept as the zero bucket (with everything below zero), then the buckets from `offset` on.

Source: OpenTelemetry metrics data model, "ExponentialHistogram".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, log2
from operator import lt, sub

LOWEST_SCALE, HIGHEST_SCALE = -10, 20
"""Scales that are read; SDKs begin at 20 and end at -10."""

MOST_BUCKETS = 4_000
"""Buckets of one point; SDKs keep 160 unless told otherwise."""

Values = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the numbers of a point stand for.

    Args:
        scale: Of the base.
        offset: Index of the first bucket.
        zero_threshold: The zero bucket holds what is at most this.
    """

    scale: int
    offset: int
    zero_threshold: float = 0.0

    def bound(self, index: int) -> float:
        """Return base^index; infinite or zero where a float cannot say it."""
        exponent = index * 2.0**-self.scale
        return 2.0**exponent if -1074 <= exponent < 1024 else float("inf") if exponent > 0 else 0.0

    def coarser(self, values: Values, scale: int) -> tuple[Layout, Values]:
        """Return the same counts at a scale that is not higher."""
        step = self.scale - scale
        if step == 0:
            return self, values
        offset = self.offset >> step
        cells = [0] * (((self.offset + len(values) - 2) >> step) - offset + 1) if len(values) > 1 else []
        for place, events in enumerate(values[1:]):
            cells[((self.offset + place) >> step) - offset] += events
        return Layout(scale=scale, offset=offset, zero_threshold=self.zero_threshold), (values[0], *cells)

    def with_zero(self, values: Values, zero_threshold: float) -> Values:
        """Return the counts with every bucket that begins below the threshold put into the zero bucket."""
        swallowed = 0
        while swallowed < len(values) - 1 and self.bound(self.offset + swallowed) < zero_threshold:
            swallowed += 1
        zero = sum(values[: swallowed + 1])
        return (zero, *(0 for _ in range(swallowed)), *values[swallowed + 1 :])

    def between(self, values: Values, first: int, last: int) -> Values:
        """Return the counts of the zero bucket and of the buckets from index `first` to `last`, padded with zeros."""
        found = dict(enumerate(values[1:], self.offset))
        return (values[0], *(found.get(index, 0) for index in range(first, last + 1)))


def exact_bound(limit: Fraction, scale: int) -> int | None:
    """Return k with base^k = limit; None where the limit lies inside of a bucket.

    A power of the base is a fraction only where it is a power of two.
    """
    exponent = _log2(limit)
    if exponent is None:
        return None
    if scale >= 0:
        return exponent << scale
    return None if exponent % (1 << -scale) else exponent >> -scale


def bound_below(limit: Fraction, scale: int) -> int:
    """Return the highest k with base^k at most the limit."""
    exact = exact_bound(limit, scale)
    return floor(log2(limit) * 2.0**scale) if exact is None else exact


def added(layout: Layout, values: Values, last_layout: Layout, last_values: Values) -> tuple[Layout, Values]:
    """Return what a cumulative point holds beyond the last one of its stream; all of it where it began anew."""
    if layout == last_layout and len(values) == len(last_values):  # nearly always
        return layout, (values if any(map(lt, values, last_values)) else tuple(map(sub, values, last_values)))
    scale = min(layout.scale, last_layout.scale)
    new_layout, new = layout.coarser(values, scale)
    old_layout, old = last_layout.coarser(last_values, scale)
    old = old_layout.with_zero(old, layout.zero_threshold)
    aligned = old_layout.between(old, new_layout.offset, new_layout.offset + len(new) - 2)
    if sum(aligned) != sum(old) or any(map(lt, new, aligned)):
        return layout, values
    return new_layout, tuple(map(sub, new, aligned))


def _log2(value: Fraction) -> int | None:
    top, bottom = value.numerator, value.denominator
    if top & (top - 1) or bottom & (bottom - 1):
        return None
    return top.bit_length() - bottom.bit_length()
