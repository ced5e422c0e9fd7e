"""The weighted mean of SLOs, exact over every look-back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import SECOND
from sloburn.sli.blend import weigh
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo, WeightedIndicator
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.sli.lives import spans
from tests.telemetry import trace_request

events = st.tuples(st.integers(0, 1000), st.integers(0, 1000))


@settings(deadline=None)
@given(st.lists(st.tuples(events, st.integers(1, 50)), min_size=1, max_size=8))
def test_the_weighted_share_is_exact(parts: list[tuple[tuple[int, int], int]]) -> None:
    """The share is the sum of weight x bad / total over members with events, by the sum of their weights."""
    voting = [(Fraction(bad, good + bad), weight) for (good, bad), weight in parts if good + bad]
    good, bad = weigh(parts)
    if not voting:
        assert (good, bad) == (0, 0)
    else:
        expected = sum(share * weight for share, weight in voting) / sum(weight for _, weight in voting)
        assert Fraction(bad, good + bad) == expected


def weighted() -> tuple[Slo, Slo, Slo]:
    """Return two SLOs of two services and one over both: the second weighs three times as much."""
    indicator = WeightedIndicator(members=(("availability", Fraction(1, 2)), ("bank", Fraction(3, 2))))
    both = replace(span_slo("both", objective="0.9"), service="", indicator=indicator)
    return span_slo(), replace(span_slo("bank"), service="bank"), both


def test_weights_and_not_traffic_decide() -> None:
    """Of 100 events 10 are bad here, of 2 events 1 there: 1/4 x 1/10 + 3/4 x 1/2 is bad, however much comes."""
    bench = Bench(*weighted())
    bench.traces(trace_request([*spans([NOW] * 90), *spans([NOW] * 10, first=91, error=True)]))
    bench.traces(trace_request([*spans([NOW], first=501), *spans([NOW], first=502, error=True)], "bank"))
    status = bench.status("both")
    bad = Fraction(1, 4) * Fraction(1, 10) + Fraction(3, 4) * Fraction(1, 2)
    assert status.sli == 1 - bad
    assert status.budget_remaining == 1 - bad / Fraction(1, 10)
    assert {burn.burn for burn in status.burns} == {bad / Fraction(1, 10)}
    assert status.count == Count(91, 11)
    assert status.lifetime == Count(91, 11)
    assert status.budget[-1].remaining == status.budget_remaining


def test_a_member_without_events_does_not_vote() -> None:
    """While one member is silent, the other one is the whole."""
    bench = Bench(*weighted())
    assert bench.status("both").sli is None
    bench.traces(trace_request([*spans([NOW] * 3), *spans([NOW], first=9, error=True)]))
    assert bench.status("both").sli == Fraction(3, 4)


def test_a_weighted_slo_alerts_by_its_own_windows() -> None:
    """Both members fail for half an hour: the weighted share burns at 5, above 3 and below 6, so the ticket fires."""
    bench = Bench(*weighted())
    for second in range(0, 3600, 30):
        bench.now = NOW + second * SECOND
        fails = second >= 1800
        bench.traces(trace_request(spans([bench.now], first=10 * second + 1, error=fails)))
        bench.traces(trace_request(spans([bench.now], first=10 * second + 5, error=fails), "bank"))
        bench.snapshot()
    status = bench.status("both")
    assert status.pairs[0].long_burn == 5
    page, ticket = status.alerts
    assert (page.state, ticket.state) == (AlertState.INACTIVE, AlertState.FIRING)
