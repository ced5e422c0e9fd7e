"""The early page's bound: the thresholds against Bennett's inequality, and what a judgement promises."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.slo.budget import Count
from sloburn.slo.early import FLOOR_SLICES, WINDOWS, Slice, judge, thresholds, tolerated_burst
from tests.slo.test_early import rule

objectives = st.integers(9_000, 99_999).map(lambda part: Fraction(part, 100_000 if part > 9_999 else 10_000))
slices = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 30), st.integers(0, 30)).filter(lambda cell: cell[1] + cell[2] > 0),
    min_size=1,
    max_size=80,
)


@settings(deadline=None)
@given(objective=objectives)
def test_all_windows_together_are_crossed_at_most_once_a_year(objective: Fraction) -> None:
    """Bennett's bound at every threshold, over all windows and every second of a leap year, sums to one at the most."""
    burst = float(tolerated_burst(objective))
    expected = 0.0
    for size, needed in thresholds(objective):
        mean = float(1 - objective) * (size + burst) / burst
        bursts = needed / 1e6 / burst
        assert bursts > mean
        expected += 366 * 86_400 * math.exp(-(bursts * math.log(bursts / mean) - bursts + mean))
    assert expected <= 1


@settings(deadline=None)
@given(objective=objectives)
def test_longer_windows_need_no_less(objective: Fraction) -> None:
    """Thresholds grow with the window and never go below the floor."""
    needed = [micro for _, micro in thresholds(objective)]
    assert needed == sorted(needed)
    assert all(micro >= FLOOR_SLICES * 10**6 for micro in needed)


def build(cells: list[tuple[int, int, int]]) -> list[Slice]:
    """Return slices from gaps, bad and good events."""
    number, made = 0, []
    for gap, bad, good in cells:
        number += gap
        made.append(Slice(number, bad, bad + good))
    return made


@settings(max_examples=300, deadline=None)
@given(cells=slices, objective=st.sampled_from(["0.99", "0.999", "0.9999"]))
def test_evidence_is_what_it_says(cells: list[tuple[int, int, int]], objective: str) -> None:
    """Evidence names a suffix of the slices whose counts it repeats, worth more than needed and burning fast enough."""
    made, test = build(cells), rule(objective)
    evidence = judge(test, made, Count(1_000, 0))
    if evidence is None:
        return
    sizes = [size for size in WINDOWS if sum(one.total for one in made[-size:]) == evidence.total]
    assert any(sum(one.bad for one in made[-size:]) == evidence.bad for size in sizes)
    assert evidence.bad_slices > evidence.needed_slices
    assert evidence.bad_slices <= min(evidence.bad, WINDOWS[-1])
    assert Fraction(evidence.bad, evidence.total) > test.allowed_ratio


@settings(max_examples=300, deadline=None)
@given(cells=slices, index=st.integers(0, 79))
def test_good_events_are_never_evidence(cells: list[tuple[int, int, int]], index: int) -> None:
    """Good events added to an old slice of three or more never make evidence out of none."""
    made = build(cells)
    place = index % len(made)
    if judge(rule(), made, Count()) is not None or made[place].total < 3 or place == len(made) - 1:
        return
    fuller = [*made]
    fuller[place] = made[place]._replace(total=made[place].total + 7)
    assert judge(rule(), fuller, Count()) is None
