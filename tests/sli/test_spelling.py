"""Values of senders that become groups and traits: bounded in length, whatever is sent."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sloburn.sli.spelling import MAX_VALUE, load_of, spelled
from sloburn.slo.budget import Count
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import PointSpec, SpanSpec, Value, metric_request, trace_request

MIB = 1024 * 1024
TENANT = "tenant"


def bench_of(*values: Value) -> Bench:
    """Return a bench that counted one failing span for each tenant."""
    bench = Bench(span_slo(group_by=(TENANT,)))
    for number, value in enumerate(values, start=1):
        bench.traces(trace_request([SpanSpec(number=number, end=NOW, error=True, values={TENANT: value})]))
    return bench


def tenants(bench: Bench) -> dict[str, Count]:
    """Return the events of every group."""
    return {value: status.count for status in bench.snapshot().statuses for _, value in status.group}


@given(st.text(alphabet=st.characters(), max_size=400))
def test_text_is_bounded_and_stays_what_it_is(text: str) -> None:
    """Short text is kept as it is; longer text is cut, and cutting it again changes nothing."""
    found = spelled(text)
    assert len(found) <= MAX_VALUE
    assert spelled(found) == found
    assert (found == text) is (len(text) <= MAX_VALUE)


def test_half_a_surrogate_pair_is_no_error() -> None:
    """JSON lets a sender smuggle in what UTF-8 cannot carry."""
    assert len(spelled("\ud83d" * 300)) <= MAX_VALUE


def test_the_same_in_every_life() -> None:
    """The digest is no hash that changes with the process: a restart finds the stored group again."""
    assert spelled("x" * 201) == "x" * 180 + "…4b947e1e32c12ad3"


def test_long_values_are_two_groups() -> None:
    """Two values that differ far behind the cut are counted apart, the same one twice is one group."""
    long = "x" * 5_000
    found = tenants(bench_of(long + "1", long + "2", long + "1", "short"))
    assert sorted(count.bad for count in found.values()) == [1, 1, 2]
    assert max(map(len, found)) <= MAX_VALUE
    assert found["short"] == Count(0, 1)


def test_points_are_grouped_alike() -> None:
    """The attributes of a data point are cut as those of a span are."""
    slo = replace(metric_slo("work", metric="jobs", threshold=None), group_by=(TENANT,))
    bench = Bench(slo, epoch=NOW - 10**12)
    long = "x" * 5_000
    points = [PointSpec(time=NOW, start=NOW - 10**9, value=7, values={TENANT: long})]
    bench.metrics(metric_request("jobs", points, monotonic=True))
    assert list(tenants(bench)) == [spelled(long)]


def test_a_boolean_is_written_as_senders_write_it() -> None:
    """A flag and its name in text are one group."""
    flags: tuple[Value, ...] = (True, "true", False)
    assert tenants(bench_of(*flags)) == {"true": Count(0, 2), "false": Count(0, 1)}


def test_what_the_autopsy_keeps_is_bounded() -> None:
    """Suspects and failing traces hold no long value either."""
    (status,) = bench_of("x" * 5_000).snapshot().statuses
    assert {one.value for one in status.suspects if one.key == TENANT} == {spelled("x" * 5_000)}
    assert all(len(value) <= 300 for trace in status.failing for _, value in trace.attributes)


def test_long_values_are_not_remembered_by_the_thousand() -> None:
    """What is known of combinations of values is bounded in bytes, not only in number."""
    assert load_of(("GET", b"\x0a" * 100, None, 7)) == 1
    assert load_of(("x" * 5 * MIB, b"x" * MIB)) == 6 * 1024 + 1
    bench = bench_of("x")
    tracemalloc.start()
    try:
        for number in range(60):
            spans = [SpanSpec(number=1_000 + number, end=NOW, values={TENANT: f"{number}" + "x" * MIB})]
            bench.traces(trace_request(spans))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50 * MIB  # 20 MiB of combinations, as sent and as read; without a bound it is 180 MiB
