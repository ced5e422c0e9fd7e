"""A sender whose clock is ahead is seen and told of; one whose clock is right is not."""

from __future__ import annotations

import pytest

from sloburn.duration import MINUTE, SECOND
from sloburn.sli.leads import KEEP_NS, Leads
from sloburn.sli.status import SloState
from sloburn.slo.budget import Count
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import PointSpec, SpanSpec, metric_request, trace_request


def send(bench: Bench, *ends: int, service: str = "shop") -> None:
    """Send failing spans that end so many nanoseconds ahead of the bench's clock."""
    first = sum(bench.items().values()) + 1
    spans = [SpanSpec(number=first + n, end=bench.now + end, error=True) for n, end in enumerate(ends)]
    bench.traces(trace_request(spans, service))


def notes(bench: Bench) -> list[str]:
    """Return what the only status says of clocks."""
    return [note for note in bench.status().notes if "clock" in note]


def test_a_lead_is_told() -> None:
    """Fifty failures that end 200 s ahead: no traffic now, and the reason is there in words and as a number."""
    bench = Bench(span_slo())
    send(bench, *[200 * SECOND - n for n in range(50)])
    status = bench.status()
    assert status.state is SloState.NO_TRAFFIC
    assert status.clock_lead_ns == 200 * SECOND
    assert notes(bench) == [
        "shop's clock is 200 s ahead of ours: its events count in their own time, up to 200 s from now"
    ]
    assert bench.snapshot().clock_leads == {"shop": 200 * SECOND}
    bench.now += 200 * SECOND
    assert bench.count() == Count(0, 50)


@pytest.mark.parametrize(
    ("lead", "told"),
    [
        (-MINUTE, 0),
        (0, 0),
        (4_900_000_000, 0),
        (5 * SECOND, 5),
        (5_499_999_999, 5),
        (199_990_000_000, 200),
        (300 * SECOND, 300),
        (301 * SECOND, 0),
    ],
)
@pytest.mark.parametrize("past", [0, 1_700_000_000, 4_999_999_999])
def test_from_five_seconds_on(lead: int, told: int, past: int) -> None:
    """Wherever in a slice our clock is, a lead of 5 s and more is seen, as long as the events are counted."""
    bench = Bench(span_slo())
    bench.now += past
    send(bench, -SECOND, lead, -2 * SECOND)
    assert bench.status().clock_lead_ns == told * SECOND


def test_it_ends() -> None:
    """The largest lead stays for some minutes after it was last seen, without a gap, and is gone then."""
    bench = Bench(span_slo())
    begin = bench.now
    while bench.now < begin + 20 * MINUTE:
        send(bench, 30 * SECOND)
        assert bench.status().clock_lead_ns == 30 * SECOND
        bench.now += MINUTE
    bench.now += KEEP_NS - MINUTE
    send(bench, 0)
    assert notes(bench)
    bench.now += KEEP_NS + 1
    send(bench, 0)
    assert (notes(bench), bench.snapshot().clock_leads) == ([], {})


def test_a_mended_clock_is_believed() -> None:
    """After 200 s come 10 s: the larger number goes when it is old."""
    leads = Leads()
    now = 100 * KEEP_NS
    leads.see({"shop": 200 * SECOND}, now)
    leads.see({"shop": 10 * SECOND}, now + 1)
    assert leads.at(now + KEEP_NS) == {"shop": 200 * SECOND}
    leads.see({"shop": 10 * SECOND}, now + KEEP_NS)
    assert leads.at(now + 2 * KEEP_NS) == {"shop": 10 * SECOND}
    assert leads.at(now + 3 * KEEP_NS) == {}


def test_services_without_an_slo_take_no_room() -> None:
    """Whoever sends under made-up names is not remembered."""
    bench = Bench(span_slo())
    for number in range(50):
        bench.traces(trace_request([SpanSpec(number=number + 1, end=NOW + MINUTE)], service=f"stranger-{number}"))
    assert bench.snapshot().clock_leads == {}


def test_points_tell_it_too() -> None:
    """The time of a data point is its sender's clock as well."""
    bench = Bench(metric_slo("work", metric="jobs", threshold=None), epoch=NOW - 10 * MINUTE)
    point = PointSpec(time=NOW + 42 * SECOND, start=NOW - MINUTE, value=7)
    bench.metrics(metric_request("jobs", [point], monotonic=True))
    assert bench.status().clock_lead_ns == 42 * SECOND


def test_a_reload_does_not_forget_it() -> None:
    """New SLO documents do not make a clock right."""
    old, new = Bench(span_slo()), Bench(span_slo(objective="0.99"))
    send(old, 30 * SECOND)
    new.engine.inherit(old.engine)
    assert new.status().clock_lead_ns == 30 * SECOND
