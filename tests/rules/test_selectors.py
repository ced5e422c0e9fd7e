"""Every kind of condition, told to the engine as spans and to Prometheus as what span_metrics makes of them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from sloburn.duration import MILLISECOND, SECOND
from sloburn.rules import compile_slos
from sloburn.rules.ordering import at_least, at_most
from sloburn.rules.span_metrics import OURS
from sloburn.slo import naming
from sloburn.spec import parse_slos
from tests.rules.history import ORIGIN
from tests.rules.promtool import Expected, Series, compiled, run_history
from tests.sli.harness import Bench
from tests.telemetry import CLIENT, SERVER, SpanSpec, trace_request

CONDITIONS = {
    "all": ("{}", "bad: {status: error}"),
    "kind": ("{kind: server}", "bad: {http.response.status_code: {gte: 500}}"),
    "order": ("{}", "bad: {http.response.status_code: {gt: 404, lt: 503}}"),
    "below": ("{}", "good: {http.response.status_code: {lte: 404}}"),
    "route": ("{where: {http.route: {not: /health}}}", "bad: {any: [{status: error}, {name: GET /cart}]}"),
    "listed": ("{where: {http.route: [/cart, /health]}}", "bad: {http.response.status_code: {not_in: [200, 404]}}"),
    "pattern": ('{where: {http.route: {regex: "/c.*"}}}', "good: {not: {status: error}}"),
    "anything": ('{where: {http.route: {regex: ".*"}}}', "bad: {status: error}"),
    "no-pattern": ('{where: {not: {http.route: {regex: ".*"}}}}', "bad: {status: error}"),
    "there": ("{where: {http.response.status_code: {exists: true}}}", "bad: {http.route: {exists: false}}"),
    "slow": ("{kind: server}", "good: {duration: {le: 300ms}}"),
    "slower": ("{}", "bad: {duration: {gt: 1s}}"),
    "both": ("{}", "bad: {any: [{duration: {gt: 300ms}}, {status: error}]}"),
    "each": ("{}", "bad: {any: [{duration: {gt: 1s}}, {all: [{duration: {gt: 300ms}}, {http.route: /cart}]}]}"),
    "between": ("{}", "bad: {duration: {gt: 300ms, le: 1s}}"),
    "never": ("{}", "bad: {http.response.status_code: 418}"),
}


def document() -> str:
    """Return a document with one SLO for each condition."""
    slos = [
        f"  - {{name: {name}, service: shop, objective: 99, period: 30d, indicator: {{spans: {spans}, {verdict}}}}}"
        for name, (spans, verdict) in CONDITIONS.items()
    ]
    return "\n".join(["version: sloburn/v1", "slos:", *slos])


def spans() -> list[SpanSpec]:
    """Return one to four spans of every combination of what the conditions look at."""
    routes = (None, "/cart", "/health", "/checkout")
    codes = (None, 200, 404, 418, 499, 500, 503)
    durations = (10, 300, 301, 1000, 2500)
    found: list[SpanSpec] = []
    for number, (kind, route, code, ms) in enumerate(itertools.product((SERVER, CLIENT), routes, codes, durations)):
        if code == 418:  # nobody is a teapot here
            continue
        values = {"http.route": route, "http.response.status_code": code}
        for _ in range(1 + number % 4):
            found.append(
                SpanSpec(
                    number=len(found) + 1,
                    end=ORIGIN + (90 + 8) * SECOND,
                    duration=ms * MILLISECOND,
                    kind=kind,
                    error=number % 3 == 0,
                    name=f"GET {route}",
                    values={key: value for key, value in values.items() if value is not None},
                )
            )
    return found


def span_metrics(found: Sequence[SpanSpec]) -> Iterator[Series]:
    """Yield what the connector makes of the spans: nothing for three steps, and then all of them."""
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    durations: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for span in found:
        labels = tuple(_labels(span).items())
        counts[labels] += 1
        durations.setdefault(labels, []).append(span.duration)
    for labels, count in counts.items():
        yield _series(OURS.calls, dict(labels), count)
        yield _series(f"{OURS.duration}_count", dict(labels), count)
        for bound in sorted(OURS.buckets or ()):
            within = sum(duration <= bound * SECOND for duration in durations[labels])
            yield _series(f"{OURS.duration}_bucket", {**dict(labels), "le": f"{float(bound):g}"}, within)


def _labels(span: SpanSpec) -> dict[str, str]:
    kinds = {SERVER: "SERVER", CLIENT: "CLIENT"}
    return {
        "job": "shop",
        "service_name": "shop",
        "span_name": span.name,
        "span_kind": f"SPAN_KIND_{kinds[span.kind]}",
        "status_code": "STATUS_CODE_ERROR" if span.error else "STATUS_CODE_UNSET",
        **{key.replace(".", "_"): str(value) for key, value in span.values.items()},
    }


def _series(name: str, labels: Mapping[str, str], count: int) -> Series:
    return Series(name=name, labels=labels, values=[0, 0, 0, 0, count, count])


def test_selectors_mean_what_conditions_mean(tmp_path: Path) -> None:
    """For every kind of condition, Prometheus counts the good and bad events that the engine counts."""
    slos = parse_slos(document(), "slos.yaml")
    found = spans()
    bench = Bench(*slos)
    bench.now = ORIGIN + 120 * SECOND
    bench.traces(trace_request(found))
    expected: list[Expected] = []
    for slo in slos:
        counted = bench.count(slo.name)
        for name, value in ((naming.RULE_EVENTS, counted.total), (naming.RULE_BAD_EVENTS, counted.bad)):
            labels = {"__name__": f"{name}:step", "slo": slo.name, "service": "shop"}
            query = f'{name}:step{{slo="{slo.name}"}}'
            expected.append(Expected(at=120, query=query, samples=[(labels, value)]))
    assert {bench.count(slo.name).bad > 0 for slo in slos if slo.name not in ("never", "no-pattern")} == {True}

    run_history(compiled(slos), 30, span_metrics(found), expected, tmp_path)


@pytest.mark.parametrize("limit", [0, 1, 5, 9, 10, 11, 99, 100, 101, 399, 400, 500, 505, 999, 1000, 1234])
def test_order_of_whole_numbers(limit: int) -> None:
    """A pattern of order matches just the numbers on its side."""
    for number in (*range(-3, 1300), 9999, 10000):
        assert bool(re.fullmatch(at_least(limit), str(number))) is (number >= limit)
        assert bool(re.fullmatch(at_most(limit), str(number))) is (number <= limit)


PAIRS = {
    "total and bad": "{total: {metric: jobs}, bad: {metric: jobs.failed}}",
    "total and good": "{total: {metric: jobs}, good: {metric: jobs.done}}",
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_counters(tmp_path: Path, pair: str) -> None:
    """A counter of all events and one of good or bad ones are taken as they are."""
    text = f"{{name: jobs, service: shop, objective: 99, period: 30d, indicator: {{counters: {PAIRS[pair]}}}}}"
    (slo,) = parse_slos(f"version: sloburn/v1\nslos: [{text}]", "slos.yaml")
    counts = {"jobs": [0, 10, 30], "jobs_failed": [0, 1, 4], "jobs_done": [0, 9, 26]}
    series = [Series(name=f"{name}_total", labels={"job": "ns/shop"}, values=it) for name, it in counts.items()]
    labels = {"slo": "jobs", "service": "shop"}
    expected = [
        Expected(at=60, query=f"sum_over_time({name}:step[1d])", samples=[(labels, value)])
        for name, value in ((naming.RULE_EVENTS, 30), (naming.RULE_BAD_EVENTS, 4))
    ]

    run_history(compiled([slo]), 30, series, expected, tmp_path)


REFUSED = {
    "spans: {where: {tenant: a}}, bad: {status: error}": "tenant is no dimension of span_metrics",
    "spans: {}, good: {duration: {le: 200ms}}": "200ms is no bucket bound of span_metrics (5ms, 10ms, 25ms,",
    "spans: {where: {duration: {gt: 1s}}}, bad: {status: error}": "`where` selects by duration",
    'spans: {where: {http.route: {regex: "(?=a)b"}}}, bad: {status: error}': "has '(?=a': RE2 neither looks around",
    'spans: {}, bad: {http.route: ""}': "empty text, which no label can hold",
    "spans: {}, bad: {http.response.status_code: {gt: -5}}": "labels are compared with whole numbers from 0 up",
}


@pytest.mark.parametrize("indicator", REFUSED)
def test_what_has_no_counterpart_is_refused(indicator: str) -> None:
    """An SLO that Prometheus cannot judge is refused by name, with the reason and a way out."""
    text = f"{{name: odd, service: shop, objective: 99, period: 30d, indicator: {{{indicator}}}}}"
    found = compile_slos(parse_slos(f"version: sloburn/v1\nslos: [{text}]", "slos.yaml"))

    ((name, reason),) = found.refused
    assert (name, found.groups) == ("odd", ())
    assert REFUSED[indicator] in reason
