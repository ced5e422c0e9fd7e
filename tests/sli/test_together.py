"""Groups that alert together: each has a budget of its own, all of them one alert."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import MINUTE, SECOND
from sloburn.sli.status import SloState, SloStatus
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import PointSpec, SpanSpec, metric_request, trace_request


def grouped(*, together: bool) -> Slo:
    """Return an SLO with a budget for each route, which stands for a tenant here."""
    slo = span_slo(group_by=("http.route",))
    return replace(slo, alerting=replace(slo.alerting, together=together))


def send(bench: Bench, events: Iterable[tuple[str, bool]]) -> None:
    """Send one span for each tenant and whether it fails."""
    spans = [
        SpanSpec(number=number, end=NOW - SECOND, error=error, values={"http.route": tenant})
        for number, (tenant, error) in enumerate(events, start=1)
    ]
    bench.traces(trace_request(spans))


def by_group(bench: Bench) -> dict[str, SloStatus]:
    """Return every status by its tenant; the whole by nothing."""
    return {",".join(value for _, value in status.group): status for status in bench.snapshot().statuses}


@pytest.mark.parametrize("together", [True, False])
def test_an_outage_that_no_group_can_tell(together: bool) -> None:
    """Ten tenants with a request each, all failing: no group has failures enough, all of them together page."""
    bench = Bench(grouped(together=together))
    send(bench, [(f"t{number}", True) for number in range(10)])
    found = by_group(bench)
    firing = {name for name, one in found.items() if any(a.state is AlertState.FIRING for a in one.alerts)}
    assert firing == ({""} if together else set())
    assert found["t1"].state is SloState.EXHAUSTED
    assert found["t1"].count == Count(0, 1)


def test_only_the_whole_speaks() -> None:
    """One loud group raises one alert, not two."""
    bench = Bench(grouped(together=True))
    send(bench, [("loud", True)] * 20 + [("calm", False)] * 20)
    found = by_group(bench)
    assert (found["loud"].alerts, found["calm"].alerts) == ((), ())
    assert [alert.state for alert in found[""].alerts] == [AlertState.FIRING, AlertState.FIRING]
    assert found[""].suspects[0].value == "loud"
    assert found[""].failing == found["loud"].failing


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.booleans()), max_size=60))
def test_the_whole_is_the_sum(events: list[tuple[str, bool]]) -> None:
    """Whatever comes, the whole counts exactly what its groups count together."""
    bench = Bench(grouped(together=True))
    send(bench, events)
    statuses = bench.snapshot().statuses
    whole = sum((one.count for one in statuses if not one.group), Count())
    parts = sum((one.count for one in statuses if one.group), Count())
    assert whole == parts == Count(sum(not bad for _, bad in events), sum(bad for _, bad in events))


def test_more_groups_than_fit() -> None:
    """Events of the overflow group are in the whole, too."""
    bench = Bench(grouped(together=True))
    send(bench, [(f"t{number}", False) for number in range(300)])
    assert by_group(bench)[""].count == Count(300)


def test_metrics_too() -> None:
    """The points of a metric are counted into the whole as well."""
    slo = metric_slo("work", metric="jobs", threshold=None)
    slo = replace(slo, group_by=("queue",), alerting=replace(slo.alerting, together=True))
    bench = Bench(slo, epoch=NOW - 10 * MINUTE)
    for queue in ("a", "b"):
        point = PointSpec(time=NOW, start=NOW - MINUTE, value=7, values={"queue": queue})
        bench.metrics(metric_request("jobs", [point]))
    found = by_group(bench)
    assert (found["a"].count, found["b"].count, found[""].count.total) == (found["b"].count, found["a"].count, 14)


def test_a_full_outage_of_a_small_service_pages_within_ten_minutes() -> None:
    """One request a minute is enough for the guarded rules: the fifth failure pages."""
    bench = Bench(span_slo())
    history = [SpanSpec(number=10**6 + n, end=NOW - n * MINUTE) for n in range(1, 7 * 60)]
    bench.traces(trace_request(history))
    minutes = 0
    while bench.status().alerts[0].state is not AlertState.FIRING:
        minutes += 1
        bench.now += MINUTE
        bench.traces(trace_request([SpanSpec(number=minutes, end=bench.now, error=True)]))
    assert minutes == 5


def test_the_autopsy_compares_what_groups_are_made_of() -> None:
    """The attribute that splits an SLO, and one that its document names, stand out like the usual ones."""
    slo = replace(grouped(together=True), group_by=("tenant.id",), autopsy=("cloud.zone",))
    bench = Bench(slo)
    spans = [
        SpanSpec(number=n, end=NOW, error=n % 2 == 0, values={"tenant.id": f"t{n % 2}", "cloud.zone": f"z{n % 2}"})
        for n in range(1, 41)
    ]
    bench.traces(trace_request(spans, resource={"deployment.ring": "1"}))
    whole = by_group(bench)[""]
    found = {(one.key, one.value): one for one in whole.suspects}
    assert found["tenant.id", "t0"].count == found["cloud.zone", "z0"].count == Count(0, 20)
    assert ("deployment.ring", "1") not in found
    assert dict(whole.failing[0].attributes) == {"tenant.id": "t0", "cloud.zone": "z0"}
