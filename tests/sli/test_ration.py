"""Under load only so many bad events of one kind are put into words in a second; every one of them is counted."""

from __future__ import annotations

from sloburn.duration import SECOND
from sloburn.sli.pending import PLENTY, Ration
from sloburn.sli.series import MAX_FAILING
from sloburn.slo.budget import Count
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request


def storm(bench: Bench, first: int, count: int, service: str = "shop") -> None:
    """Send bad spans, each in a batch of its own."""
    for number in range(first, first + count):
        bench.traces(trace_request([SpanSpec(number=number, end=bench.now, error=True)], service))


def shown(bench: Bench) -> list[int]:
    """Return the numbers of the bad spans that are shown, newest first."""
    return [int(failing.trace_id, 16) for failing in bench.status().failing]


def test_a_storm_shows_its_first_events_until_the_next_second() -> None:
    """In one second as many are kept as a page shows; the next second's are newer and take their places."""
    bench = Bench(span_slo())
    storm(bench, 1, 50)
    assert shown(bench) == [*range(MAX_FAILING, 0, -1)]
    bench.now += SECOND
    storm(bench, 51, 5)
    assert shown(bench)[:6] == [55, 54, 53, 52, 51, MAX_FAILING]
    assert bench.count() == Count(0, 55)


def test_what_is_rare_shows_in_the_storm_of_another() -> None:
    """A second that is full of one kind of failure still has room for the first of every other kind."""
    bench = Bench(*(span_slo(name, service=name) for name in ("loud", "quiet")))
    storm(bench, 1, 99, "loud")
    storm(bench, 100, 1, "quiet")
    assert [len(bench.status(name).failing) for name in ("loud", "quiet")] == [MAX_FAILING, 1]


def test_plenty_leaves_one_for_each_kind() -> None:
    """Where a second has plenty of kinds, one of each has to do; a clock that was set back begins a new second."""
    bench, ration = Bench(span_slo()), Ration()
    kinds = [bench.engine.outcome([], [number]) for number in range(PLENTY + 1)]
    storm(bench, 1, 1)
    (event,) = bench.status().failing
    ration.take({kind: [event] for kind in kinds[:-1]}, NOW)
    assert [ration.is_spent(NOW, kind) for kind in (kinds[0], kinds[-1])] == [True, False]
    assert not ration.is_spent(NOW - 1, kinds[0])
    assert not ration.is_spent(NOW + SECOND, kinds[0])
