"""Spans in, good and bad events out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sloburn.duration import DAY, MILLISECOND, MINUTE, SECOND
from sloburn.sli.groups import MAX_GROUPS
from sloburn.sli.series import OVERFLOW
from sloburn.slo.budget import Count
from sloburn.slo.conditions import AllOf, Match, Not, Op, Source
from tests.promises import CODE_5XX, EVERYTHING, SERVER_SPANS, STATUS_ERROR, span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import CLIENT, SpanSpec, Value, trace_request


def slower_than(milliseconds: int) -> Match:
    """Return the condition that a span took longer."""
    return Match(source=Source.DURATION, op=Op.GT, operands=(milliseconds * MILLISECOND,))


def test_counts_good_and_bad() -> None:
    """A 500 and an error status are bad, everything else of the service is good."""
    bench = Bench(span_slo())
    spans = [
        SpanSpec(number=1, end=NOW, values={"http.response.status_code": 200}),
        SpanSpec(number=2, end=NOW, values={"http.response.status_code": 503}),
        SpanSpec(number=3, end=NOW, error=True),
        SpanSpec(number=4, end=NOW, values={"http.response.status_code": "503"}),
    ]
    bench.traces(trace_request(spans))
    assert bench.count() == Count(good=2, bad=2)


def test_other_services_do_not_count() -> None:
    """Spans of a service without SLOs change nothing, and are seen to have come."""
    bench = Bench(span_slo())
    bench.traces(trace_request([SpanSpec(number=1, end=NOW)], service="other"))
    assert bench.count() == Count()
    assert bench.items() == {("traces", "unmatched"): 1}


def test_other_kinds_do_not_count() -> None:
    """An indicator of server spans passes client spans over."""
    bench = Bench(span_slo())
    bench.traces(trace_request([SpanSpec(number=1, end=NOW, kind=CLIENT)]))
    assert bench.count() == Count()


def test_a_threshold_need_not_be_a_bucket_bound() -> None:
    """Durations are compared exactly: 137 ms is not slower than 137 ms, one nanosecond more is."""
    bench = Bench(span_slo(bad=slower_than(137)))
    durations = [137 * MILLISECOND, 137 * MILLISECOND + 1, 136 * MILLISECOND]
    bench.traces(trace_request([SpanSpec(number=n, end=NOW, duration=d) for n, d in enumerate(durations, 1)]))
    assert bench.count() == Count(good=2, bad=1)


def test_several_slos_judge_one_span() -> None:
    """One span is an event of every SLO that selects it, each with its own verdict."""
    bench = Bench(span_slo("up"), span_slo("fast", bad=slower_than(10)), span_slo("faster", bad=slower_than(1)))
    bench.traces(trace_request([SpanSpec(number=1, end=NOW, duration=5 * MILLISECOND)]))
    assert [bench.count(name) for name in ("up", "fast", "faster")] == [Count(1, 0), Count(1, 0), Count(0, 1)]


def test_a_missing_attribute_is_not_equal() -> None:
    """`not /health` selects a span without a route; `exists` tells the two apart."""
    route = Match(source=Source.ATTRIBUTE, key="http.route", op=Op.EQ, operands=("/health",))
    exists = Match(source=Source.ATTRIBUTE, key="http.route", op=Op.EXISTS, operands=(True,))
    bench = Bench(span_slo("not", where=Not(route)), span_slo("exists", where=exists))
    bench.traces(trace_request([SpanSpec(number=1, end=NOW), SpanSpec(number=2, end=NOW, values={"http.route": "/"})]))
    assert (bench.count("not"), bench.count("exists")) == (Count(2, 0), Count(1, 0))


def test_resource_attributes_stand_in() -> None:
    """An attribute that the span lacks is looked up in its resource; the span's own wins."""
    version = Match(source=Source.ATTRIBUTE, key="service.version", op=Op.EQ, operands=("2",))
    bench = Bench(span_slo(where=EVERYTHING, bad=version))
    spans = [SpanSpec(number=1, end=NOW), SpanSpec(number=2, end=NOW, values={"service.version": "1"})]
    bench.traces(trace_request(spans, resource={"service.version": "2"}))
    assert bench.count() == Count(good=1, bad=1)


def test_an_empty_attribute_says_nothing() -> None:
    """An attribute that a span has without a value is looked up in its resource, as one that the span lacks."""
    version = Match(source=Source.ATTRIBUTE, key="service.version", op=Op.EQ, operands=("2",))
    bench = Bench(span_slo(where=EVERYTHING, bad=version))
    request = trace_request([SpanSpec(number=1, end=NOW)], resource={"service.version": "2"})
    request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="service.version")
    bench.traces(request)
    assert bench.count() == Count(good=0, bad=1)


def test_an_empty_attribute_of_a_resource_hides_nothing() -> None:
    """What explains a failure is read from the span when its resource has it without a value."""
    bench = Bench(span_slo())
    request = trace_request([SpanSpec(number=1, end=NOW, error=True, values={"http.request.method": "PUT"})])
    request.resource_spans[0].resource.attributes.add(key="http.request.method")
    bench.traces(request)
    assert bench.status().failing[0].attributes == (("http.request.method", "PUT"),)


def test_resources_of_a_service_are_counted_together() -> None:
    """One request may carry many processes of a service: each is read by its own values, none counts a span twice."""
    bench = Bench(span_slo(group_by=("service.instance.id",)))
    request = trace_request([SpanSpec(number=1, end=NOW - 1)], resource={"service.instance.id": "a"})
    for pod, numbers in (("b", (1, 2)), ("a", (3, 4)), ("b", (4, 5))):
        spans = [SpanSpec(number=number, end=NOW - number, error=number == 5) for number in numbers]
        request.MergeFrom(trace_request(spans, resource={"service.instance.id": pod}))
    bench.traces(request)
    found = {status.group[0][1]: status.count for status in bench.snapshot().statuses}
    assert found == {"a": Count(3, 0), "b": Count(1, 1)}
    assert bench.items() == {("traces", "counted"): 5, ("traces", "duplicate"): 2}


@pytest.mark.parametrize(
    ("op", "operands", "matching"),
    [
        (Op.EQ, (7,), [7]),
        (Op.IN, (7, "x"), [7, "x"]),
        (Op.GT, (7,), [8]),
        (Op.GTE, (7,), [7, 8]),
        (Op.LT, (8,), [7]),
        (Op.LTE, (8,), [7, 8]),
        (Op.REGEX, ("x+",), ["x"]),
        (Op.EQ, (True,), [True]),
    ],
)
def test_operators(op: Op, operands: tuple[int | str | bool, ...], matching: list[int | str | bool]) -> None:
    """Operators compare values of their own type and match nothing else."""
    match = Match(source=Source.ATTRIBUTE, key="a", op=op, operands=operands)
    bench = Bench(span_slo(where=EVERYTHING, bad=match))
    values: list[int | str | bool] = [7, 8, "x", "xy", True]
    bench.traces(trace_request([SpanSpec(number=n, end=NOW, values={"a": v}) for n, v in enumerate(values, 1)]))
    assert bench.count().bad == len(matching)


def test_a_span_that_is_sent_again_counts_once() -> None:
    """The same span counts once: in one request, in a second one, regrouped, and in the same batch."""
    bench = Bench(span_slo())
    one, two = SpanSpec(number=1, end=NOW), SpanSpec(number=2, end=NOW, error=True)
    bench.traces(trace_request([one, one]), trace_request([two, one]))
    bench.traces(trace_request([two]))
    assert bench.count() == Count(good=1, bad=1)
    assert bench.items() == {("traces", "counted"): 2, ("traces", "duplicate"): 3}


def test_a_span_that_keeps_coming_counts_once() -> None:
    """Each time that it comes it is held for another 15 minutes."""
    bench = Bench(span_slo())
    for turn in range(6):
        bench.traces(trace_request([SpanSpec(number=1, end=NOW)]))
        bench.traces(trace_request([SpanSpec(number=2 + turn, end=bench.now)]))  # of another slice: time is told
        bench.now += 4 * MINUTE
    assert bench.items() == {("traces", "counted"): 7, ("traces", "duplicate"): 5}


def test_memory_of_spans_is_bounded() -> None:
    """Beyond its capacity the oldest half is forgotten, never the newest."""
    bench = Bench(span_slo(), seen_capacity=8)
    for number in range(1, 100):
        bench.traces(trace_request([SpanSpec(number=number, end=NOW)]))
        bench.traces(trace_request([SpanSpec(number=number, end=NOW)]))
    assert bench.count() == Count(99, 0)


def test_events_count_in_their_own_time() -> None:
    """A late span moves the hour that it belongs to, not this one."""
    bench = Bench(span_slo())
    bench.traces(trace_request([SpanSpec(number=1, end=NOW - 2 * 60 * MINUTE, error=True)]))
    by_length = {burn.length_ns: burn.count for burn in bench.status().burns}
    assert (by_length[60 * MINUTE], by_length[6 * 60 * MINUTE]) == (Count(), Count(0, 1))


def test_what_cannot_be_placed_is_refused_and_counted() -> None:
    """Spans from the future, from before the period, and without proper ids are refused, each by its reason."""
    bench = Bench(span_slo())
    request = trace_request(
        [
            SpanSpec(number=1, end=NOW + 6 * MINUTE),
            SpanSpec(number=2, end=NOW - 31 * DAY),
            SpanSpec(number=3, end=NOW),
            SpanSpec(number=4, end=NOW, duration=-SECOND),
            SpanSpec(number=5, end=NOW + 4 * MINUTE),
            SpanSpec(number=0, end=NOW),
        ]
    )
    request.resource_spans[0].scope_spans[0].spans[2].span_id = b""
    assert bench.traces(request) == ["in the future", "too late", "invalid", "invalid", "invalid"]
    assert bench.status().lifetime == Count(1, 0)


def test_groups_have_counts_of_their_own() -> None:
    """`group_by` splits an SLO; the groups add up to the whole."""
    bench = Bench(span_slo(group_by=("http.route",)))
    routes = ["/a", "/a", "/b"]
    bench.traces(
        trace_request([SpanSpec(number=n, end=NOW, values={"http.route": r}) for n, r in enumerate(routes, 1)])
    )
    found = {status.group: status.count for status in bench.snapshot().statuses}
    assert found == {(("http.route", "/a"),): Count(2, 0), (("http.route", "/b"),): Count(1, 0)}


def test_groups_are_bounded() -> None:
    """Values beyond the limit share one group, so nothing is lost and memory has an end."""
    bench = Bench(span_slo(group_by=("http.route",)))
    extra = 50
    spans = [SpanSpec(number=n + 1, end=NOW, values={"http.route": f"/{n}"}) for n in range(MAX_GROUPS + extra)]
    bench.traces(trace_request(spans))
    statuses = bench.snapshot().statuses
    assert len(statuses) == MAX_GROUPS + 1
    assert sum(status.count.total for status in statuses) == MAX_GROUPS + extra
    assert next(s.count.good for s in statuses if s.group == (("http.route", OVERFLOW),)) == extra


def test_bad_events_leave_evidence() -> None:
    """The newest bad spans are kept with ids, exception and attributes, newest first."""
    bench = Bench(span_slo())
    values: dict[str, Value] = {"http.route": "/pay", "http.response.status_code": 500}
    bench.traces(trace_request([SpanSpec(number=7, end=NOW, values=values, exception="GatewayTimeout")]))
    bench.traces(trace_request([SpanSpec(number=8, end=NOW, error=True, name="POST /cart")]))
    newest, oldest = bench.status().failing
    assert (newest.trace_id, newest.name, newest.status) == (f"{8:032x}", "POST /cart", "error")
    assert (oldest.span_id, oldest.exception, oldest.message) == (f"{8:016x}", "GatewayTimeout", "it broke")
    assert dict(oldest.attributes)["http.route"] == "/pay"


def test_the_newest_of_many_bad_events_are_kept() -> None:
    """Of a batch with many bad spans the last ones are shown, newest first."""
    bench = Bench(span_slo())
    bench.traces(trace_request([SpanSpec(number=n, end=NOW, error=True) for n in range(1, 41)]))
    assert [failing.trace_id for failing in bench.status().failing] == [f"{n:032x}" for n in range(40, 35, -1)]


def test_what_is_bad_in_many_ways_is_shown_in_each() -> None:
    """However many groups a batch is bad for, each shows a bad span, and a rare one is not crowded out."""
    bench = Bench(span_slo(group_by=("http.route",)))
    routes = ["/rare", *(f"/{n % 20}" for n in range(400))]
    spans = [SpanSpec(number=n, end=NOW, values={"http.route": r}, error=True) for n, r in enumerate(routes, 1)]
    bench.traces(trace_request(spans))
    shown = {status.group[0][1]: status.failing for status in bench.snapshot().statuses}
    assert set(shown) == set(routes)
    assert all(shown.values())
    assert [failing.trace_id for failing in shown["/19"]] == [f"{401:032x}"]  # the newest


ONLY_BAD = (Count(0, 10), Fraction(1), Fraction(0))


def test_suspects_stand_out() -> None:
    """A value that bad events share and good ones do not is named first; one that all share is not named."""
    bench = Bench(span_slo())
    shared = {"service.version": "1.2"}
    good = [SpanSpec(number=n, end=NOW, values={"http.route": "/", **shared}) for n in range(1, 91)]
    bad = [
        SpanSpec(number=n, end=NOW, error=True, values={"http.route": "/pay", **shared}, exception="Timeout")
        for n in range(91, 101)
    ]
    bench.traces(trace_request([*good, *bad]))
    found = {(s.key, s.value): (s.count, s.bad_share, s.good_share) for s in bench.status().suspects}
    assert found["http.route", "/pay"] == ONLY_BAD
    assert found["exception", "Timeout"] == ONLY_BAD
    assert not [key for key, _ in found if key == "service.version"]


def test_conditions_nest() -> None:
    """All, any and not nest as written."""
    bad = AllOf((CODE_5XX, Not(STATUS_ERROR)))
    bench = Bench(span_slo(where=SERVER_SPANS, bad=bad))
    codes = {"http.response.status_code": 500}
    bench.traces(
        trace_request(
            [SpanSpec(number=1, end=NOW, values=codes), SpanSpec(number=2, end=NOW, values=codes, error=True)]
        )
    )
    assert bench.count() == Count(good=1, bad=1)
