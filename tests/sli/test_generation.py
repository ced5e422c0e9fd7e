"""What an SLO counts, as a digest: stores of earlier versions are read on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import pytest

from sloburn.duration import DAY
from sloburn.sli.generation import earlier, generation, generations
from sloburn.slo.conditions import Match, Not, Op, Source
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import JourneyIndicator, Period, Slo, SpanIndicator
from tests.promises import metric_slo, span_slo


@pytest.mark.parametrize(
    ("slo", "digest"),
    [
        (span_slo(), "f5e8845e33af6565"),
        (span_slo("by-route", group_by=("http.route",)), "e321b056e2e87d1c"),
        (metric_slo(), "f293db5be526c7d8"),
        (metric_slo("work", metric="jobs", threshold=None), "01c5f5ac66c548ed"),
    ],
)
def test_digests_stay_what_they_are(slo: Slo, digest: str) -> None:
    """The digests of the first stores hold for ever: a change here loses everybody's history."""
    assert generation(slo, 1) == digest


def test_a_promise_may_change() -> None:
    """Objective, period, alerts, texts and exclusions say nothing of what is counted."""
    slo = span_slo()
    changed = replace(
        slo,
        name="other",
        objective=Fraction(1, 2),
        period=Period(length_ns=7 * DAY),
        alerting=replace(slo.alerting, min_bad_events=1, early_page=True),
        description="new",
        exclusions=(OneOff(name="move", interval=Interval(0, 1)),),
    )
    assert generation(changed, 1) == generation(slo, 1)


def test_what_is_counted_may_not() -> None:
    """Another service, condition, group or clock is another history."""
    slo = span_slo()
    others = [
        generation(span_slo(service="other"), 1),
        generation(span_slo(bad=Not(Match(source=Source.STATUS, op=Op.EQ, operands=("ok",)))), 1),
        generation(span_slo(group_by=("http.route",)), 1),
        generation(slo, 60),
        generation(slo, 1),
    ]
    assert len(set(others)) == len(others)


def journey_digest(member: Slo, target: Fraction | None = None) -> str:
    """Return the digest of a journey of journeys over a member."""
    inner = JourneyIndicator(members=(member.name,), slice_ns=60, target=target)
    outer = JourneyIndicator(members=("inner",), slice_ns=60, target=Fraction(1, 2))
    slos = [member, replace(span_slo("inner"), indicator=inner), replace(span_slo("outer"), indicator=outer)]
    return generations({slo.name: slo for slo in slos}, 1)["outer"]


def test_a_journey_is_what_its_members_are() -> None:
    """Another definition of a member is another journey, over journeys too; its alerts are not a part of it."""
    slo = span_slo()
    other = span_slo(bad=Not(Match(source=Source.STATUS, op=Op.EQ, operands=("ok",))))
    stricter = replace(slo, objective=Fraction(99999, 100000))
    digests = [journey_digest(one) for one in (slo, other, stricter)]
    assert len(set(digests)) == len(digests)
    assert journey_digest(replace(slo, description="new", alerting=replace(slo.alerting, for_ns=1))) == digests[0]
    targeted = [journey_digest(one, Fraction(1, 2)) for one in (slo, stricter)]
    assert targeted[0] == targeted[1] != digests[0]


def test_journeys_of_the_first_stores_are_found() -> None:
    """Their digests named the members and not what those count; all others are what they were."""
    journey = replace(span_slo("both"), indicator=JourneyIndicator(members=("availability",), slice_ns=60))
    slos = {"availability": span_slo(), "both": journey}
    assert earlier(slos, 1) == {("both", generation(journey, 1)): generations(slos, 1)["both"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Later(SpanIndicator):
    """A span indicator as a later version may have it."""

    weight: int = 1


_Later.__name__ = SpanIndicator.__name__


def test_a_new_field_counts_only_where_it_is_used() -> None:
    """An indicator that a later version gives another field goes on, unless the field says something."""
    slo = span_slo()
    assert isinstance(slo.indicator, SpanIndicator)
    where, bad = slo.indicator.where, slo.indicator.bad
    same, other = (replace(slo, indicator=_Later(where=where, bad=bad, weight=weight)) for weight in (1, 2))
    assert generation(same, 1) == generation(slo, 1)
    assert generation(other, 1) != generation(slo, 1)
