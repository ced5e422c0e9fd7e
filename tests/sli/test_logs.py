"""Log records in, good and bad events out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import DAY, MINUTE, SECOND
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo
from sloburn.spec import parse_slos
from tests.sli.harness import NOW, Bench
from tests.telemetry import LogSpec, log_request

ERROR, WARN, INFO = 17, 13, 9


def slo(indicator: str, group_by: str = "[]") -> Slo:
    """Return an SLO of the service `shop` whose indicator is written as in a document."""
    text = f"""
version: sloburn/v1
slos:
  - {{name: orders, service: shop, objective: 99.9, period: 30d, group_by: {group_by}, indicator: {indicator}}}
"""
    (found,) = parse_slos(text, "slos.yaml")
    return found


def test_errors_are_bad_and_the_rest_is_good() -> None:
    """`severity: {gte: error}` calls error and fatal bad."""
    bench = Bench(slo("{logs: {}, bad: {severity: {gte: error}}}"))
    severities = [1, INFO, WARN, 16, ERROR, 20, 21, 24]
    bench.logs(log_request([LogSpec(time=NOW, severity=number) for number in severities]))
    assert bench.count() == Count(good=4, bad=4)
    assert bench.items() == {("logs", "counted"): 8}


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("error", {17, 18, 19, 20}),
        ("ERROR", {17, 18, 19, 20}),
        ("error2", {18}),
        ("18", {18}),
        ("[warn, 24]", {13, 14, 15, 16, 24}),
        ("{not: [trace, debug, info, warn, error]}", {0, 21, 22, 23, 24}),
        ("{gt: error}", {21, 22, 23, 24}),
        ("{lte: debug}", set(range(1, 9))),
        ("{lt: debug}", {1, 2, 3, 4}),
        ("{gte: 10, lt: warn}", {10, 11, 12}),
    ],
)
def test_severities(text: str, bad: set[int]) -> None:
    """A word is the range that OpenTelemetry gives it; a record without a severity is in no range."""
    bench = Bench(slo(f"{{logs: {{}}, bad: {{severity: {text}}}}}"))
    bench.logs(log_request([LogSpec(time=NOW, severity=number) for number in range(25)]))
    assert bench.count().bad == len(bad)


def test_a_severity_may_be_text_only() -> None:
    """Where the number is missing the text says what the severity is."""
    bench = Bench(slo("{logs: {}, bad: {severity: {gte: error}}}"))
    texts = ["ERROR", "critical", "Warning", "whatever"]
    bench.logs(log_request([LogSpec(time=NOW, severity=0, text=text) for text in texts]))
    assert bench.count() == Count(good=2, bad=2)


def test_records_are_selected_by_event_body_and_attributes() -> None:
    """What the selection passes over is nobody's event; conditions read the body, the event name and attributes."""
    bench = Bench(slo("{logs: {event: order, where: {shop.test: {not: true}}}, bad: {body: {regex: '.*refused.*'}}}"))
    records = [
        LogSpec(time=NOW, event="order", body="order 1 paid"),
        LogSpec(time=NOW, event="order", body="order 2 refused by the bank"),
        LogSpec(time=NOW, event="order", body="order 3 refused", values={"shop.test": True}),
        LogSpec(time=NOW, event="login", body="refused"),
        LogSpec(time=NOW, body="order 4 refused", values={"event.name": "order"}),
    ]
    bench.logs(log_request(records))
    assert bench.count() == Count(good=1, bad=2)
    assert bench.items() == {("logs", "counted"): 3, ("logs", "unmatched"): 2}


def test_groups() -> None:
    """`group_by` splits by an attribute of the record or of its resource."""
    bench = Bench(slo("{logs: {}, bad: {severity: error}}", "[tenant, region]"))
    records = [LogSpec(time=NOW, values={"tenant": name}, body=name) for name in ("a", "b")]
    bench.logs(log_request(records, resource={"region": "eu"}))
    groups = {status.group: status.count for status in bench.snapshot().statuses}
    assert groups == {
        (("tenant", "a"), ("region", "eu")): Count(good=1),
        (("tenant", "b"), ("region", "eu")): Count(good=1),
    }


def test_equal_lines_of_one_request_count_and_a_repeat_does_not() -> None:
    """Two equal lines in a batch are two events; the same batch once more is none; another instance's are its own."""
    bench = Bench(slo("{logs: {}, bad: {severity: error}}"))
    request = log_request([LogSpec(time=NOW), LogSpec(time=NOW), LogSpec(time=NOW, body="other")])
    bench.logs(request)
    bench.logs(request, request)
    assert bench.count() == Count(good=3)
    assert bench.items() == {("logs", "counted"): 3, ("logs", "duplicate"): 6}
    bench.logs(log_request([LogSpec(time=NOW)], resource={"service.instance.id": "b"}))
    assert bench.count() == Count(good=4)


def test_the_order_of_attributes_makes_no_other_record() -> None:
    """A Collector may write attributes in another order than the sender did."""
    bench = Bench(slo("{logs: {}, bad: {severity: error}}"))
    bench.logs(log_request([LogSpec(time=NOW, values={"a": 1, "b": 2})]))
    bench.logs(log_request([LogSpec(time=NOW, values={"b": 2, "a": 1})]))
    assert bench.count() == Count(good=1)


def test_time_decides() -> None:
    """Where a record has no time, the time of its observation stands in; without either, or far off, it is refused."""
    bench = Bench(slo("{logs: {}, bad: {severity: error}}"))
    records = [
        LogSpec(time=0, observed=NOW - 20 * DAY),
        LogSpec(time=0),
        LogSpec(time=NOW - 31 * DAY, observed=NOW),
        LogSpec(time=NOW + 6 * MINUTE),
    ]
    assert bench.logs(log_request(records)) == ["invalid", "too late", "in the future"]
    (month,) = (burn.count for burn in bench.status().burns if burn.length_ns == 30 * DAY)
    assert (month, bench.count()) == (Count(good=1), Count(good=1))


def test_evidence_shows_the_line() -> None:
    """A bad record is shown with its text, its severity, its exception and its trace."""
    bench = Bench(slo("{logs: {}, bad: {severity: error}}"))
    values = {"exception.type": "ValueError", "exception.message": "no such card"}
    bench.logs(log_request([LogSpec(time=NOW, severity=ERROR, text="ERROR", body="charge failed", values=values)]))
    (shown,) = bench.status().failing
    assert (shown.name, shown.status, shown.exception) == ("charge failed", "ERROR", "ValueError")
    assert (shown.message, shown.trace_id) == ("no such card", bytes(range(16)).hex())


lines = st.tuples(st.integers(0, 3), st.sampled_from([INFO, ERROR]), st.sampled_from(["a", "b"]))
requests = st.lists(st.lists(lines, max_size=6), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(requests=requests, order=st.lists(st.integers(0, 7), max_size=20))
def test_the_count_equals_the_oracle(requests: list[list[tuple[int, int, str]]], order: list[int]) -> None:
    """Requests in any order, as often as may be: of equal records so many count as one request ever held."""
    bench = Bench(slo("{logs: {}, bad: {severity: error}}"))
    most: Counter[tuple[int, int, str]] = Counter()
    for place in order:
        request = requests[place % len(requests)]
        most |= Counter(request)
        bench.logs(log_request([LogSpec(time=NOW - age * SECOND, severity=s, body=b) for age, s, b in request]))
    bad = sum(count for (_, severity, _), count in most.items() if severity == ERROR)
    assert bench.status().lifetime == Count(most.total() - bad, bad)
