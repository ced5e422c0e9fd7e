"""Spans of time that do not count, put together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sloburn.slo.exclusions import Interval, OneOff, excluded

bounds = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted).filter(lambda pair: pair[0] < pair[1])


def one_off(begin: int, end: int) -> OneOff:
    """Return an exclusion."""
    return OneOff(name="maintenance", interval=Interval(begin, end))


def test_overlaps_are_merged_and_cut() -> None:
    """Overlapping and touching exclusions are one; what lies outside of the span of time is cut off."""
    found = excluded([one_off(5, 10), one_off(8, 12), one_off(12, 14), one_off(30, 99)], 7, 40)
    assert found == (Interval(7, 14), Interval(30, 40))


@given(pairs=st.lists(bounds, max_size=8), span=bounds)
def test_every_moment_is_excluded_once(pairs: list[list[int]], span: list[int]) -> None:
    """A moment is excluded exactly if one of the exclusions covers it, and intervals never overlap."""
    begin, end = span
    found = excluded([one_off(*pair) for pair in pairs], begin, end)
    covered = [moment for one in found for moment in range(one.begin_unix_nano, one.end_unix_nano)]
    expected = [moment for moment in range(begin, end) if any(low <= moment < high for low, high in pairs)]
    assert covered == expected
