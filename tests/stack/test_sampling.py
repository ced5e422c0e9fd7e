"""Tail sampling by the real Collector: what it keeps is what the engine counts as bad, and what has failed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sloburn.cli import main
from sloburn.duration import MILLISECOND
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.rules.sampling import compile_sampling, read_sampler
from sloburn.sli.commit import Commit
from sloburn.slo.model import Slo
from sloburn.spec import load_slos
from tests.sli.harness import NOW, Bench
from tests.stack.collecting import BASE, TO_FILES, collecting, parts_of, program
from tests.telemetry import CLIENT, SpanSpec, Value, trace_request

HERE = Path(__file__).parent
SLOS = HERE / "sampling-slos.yaml"
INTERNAL = Span.SPAN_KIND_INTERNAL

# Our SLOs' policies alone, so that what they keep can be held against the engine's judgement, span by span.
ROUTES = ("/pay", "/pay/42", "/účet/7", "/health", "/a$b", 'say "x"', "line\nbreak", 5, True)
NUMBERS = (199, 200, 404, 499, 500, 503, 499.5, -1, "500", True)
LIMIT = 250 * MILLISECOND
DURATIONS = (0, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT)
KINDS = (0, 1, 2, 3, 4, 5)


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program()


def some_request(dice: random.Random, number: int) -> ExportTraceServiceRequest:
    """Return one span of a trace of its own, by chance near everything that the SLOs look at."""
    values: dict[str, Value] = {}
    for key, choices in (("http.route", ROUTES), ("http.response.status_code", NUMBERS), ("tenant.id", ROUTES)):
        if dice.random() < 0.8:
            values[key] = dice.choice(choices)
    resource: dict[str, Value] = {"http.route": "/pay"} if dice.random() < 0.3 else {}
    span = SpanSpec(
        number=number,
        end=NOW,
        duration=dice.choice(DURATIONS),
        kind=dice.choice(KINDS),  # type: ignore[arg-type]
        name=dice.choice(("GET /pay", "pay", "")),
        values=values,
    )
    request = trace_request([span], service=dice.choice(("shop", "shop", "worker")), resource=resource)
    (built,) = request.resource_spans[0].scope_spans[0].spans
    built.status.code = dice.choice((0, 1, 2))  # type: ignore[assignment]
    # What is there and empty is as good as not there; a list is there and equals nothing.
    if "http.route" not in values and dice.random() < 0.5:
        built.attributes.add(key="http.route")
    if "tenant.id" not in values and dice.random() < 0.5:
        built.attributes.add(key="tenant.id").value.array_value.values.add(string_value="/a$b")
    return request


def judged_bad(slo: Slo, requests: Mapping[str, ExportTraceServiceRequest]) -> set[str]:
    """Return the traces in which the engine counts a bad event."""
    engine = Bench(slo).engine
    found = set()
    for trace, request in requests.items():
        commit = Commit()
        assert not engine.prepare_traces(
            decode(Signal.TRACES, Encoding.PROTOBUF, request.SerializeToString()),
            NOW,
            commit,
        )
        if any(outcome.bad for outcome, _ in commit.counts):
            found.add(trace)
    return found


def together(requests: Iterable[ExportTraceServiceRequest]) -> ExportTraceServiceRequest:
    """Return one request of many."""
    found = ExportTraceServiceRequest()
    for request in requests:
        found.MergeFrom(request)
    return found


def kept(documents: Sequence[dict[str, Any]]) -> set[str]:
    """Return the ids of the traces that came through."""
    return {span["traceId"] for span in parts_of(documents, "resourceSpans", "scopeSpans", "spans")}


def test_kept_is_what_the_engine_judges_bad(tmp_path: Path) -> None:
    """Of two thousand traces, policies of SLOs keep exactly those with a span that the engine counts as bad."""
    slos = load_slos([SLOS])
    sampler = read_sampler(BASE)
    compiled = compile_sampling(slos, sampler)
    dice = random.Random(6)
    requests = {f"{number:032x}": some_request(dice, number) for number in range(1, 2001)}
    bad = {slo.name: judged_bad(slo, requests) for slo in slos}
    assert (compiled.refused, compiled.notes) == ((), ())
    assert {name for name, traces in bad.items() if len(traces) < 5} == set()

    alone = {"processors": {"tail_sampling": {"policies": list(compiled.policies)}}}
    with collecting(tmp_path, TO_FILES, alone) as collector:
        collector.send("traces", together(requests.values()))
        collector.stop()

    assert kept(collector.told("jaeger")) == set().union(*bad.values())


def a_trace(number: int, *spans: SpanSpec) -> ExportTraceServiceRequest:
    """Return a trace: the first span is its root, the others are that one's children."""
    request = trace_request([replace(span, number=number, span_id=place + 1) for place, span in enumerate(spans)])
    for span in request.resource_spans[0].scope_spans[0].spans[1:]:
        span.parent_span_id = (1).to_bytes(8, "big")
    return request


def on(route: str, status: int = 200, **settings: Any) -> SpanSpec:
    """Return a request's span."""
    values: dict[str, Value] = {"http.route": route, "http.response.status_code": status}
    return SpanSpec(number=0, end=NOW, values=values, **settings)


CALL = SpanSpec(number=0, end=NOW, kind=CLIENT, name="SELECT")
FAILED = on("/checkout", 500, error=True)
ALWAYS = {
    "failed": a_trace(1, FAILED),
    "failed beside a health check": a_trace(2, FAILED, on("/health")),
    "a failed health check": a_trace(3, on("/health", error=True)),
    "a health check that answers 503": a_trace(4, on("/readyz", 503)),
    "a slow health check": a_trace(5, on("/health", duration=400 * MILLISECOND)),
    "marked as an exemplar": a_trace(6, replace(on("/t"), values={"sloburn.exemplar": True})),
    "sent by the doctor": a_trace(7, replace(on("/t"), values={"sloburn.doctor.mark": "x"})),
    "slower than an SLO allows": a_trace(8, on("/t", duration=201 * MILLISECOND)),
    "404, which an SLO counts as bad": a_trace(9, on("/t", 404)),
}
BY_CHANCE = {
    "ordinary": a_trace(11, on("/t")),
    "as fast as an SLO allows": a_trace(12, on("/t", duration=200 * MILLISECOND)),
    "with a health check inside": a_trace(13, on("/checkout"), on("/health")),
    "a part without its root": a_trace(14, replace(CALL, kind=INTERNAL)),
}
NEVER = {
    "a health check": a_trace(21, on("/health")),
    "a health check that asks its database": a_trace(22, on("/readyz"), CALL),
}
OF_A_USER = """
version: sloburn/v1
slos:
  - {name: fast, service: shop, objective: 99, period: 7d, indicator: {spans: {}, good: {duration: {le: 200ms}}}}
  - {name: right, service: shop, objective: 99, period: 7d,
     indicator: {spans: {}, bad: {http.response.status_code: {gte: 400}}}}
"""


@pytest.mark.parametrize(("percent", "expected"), [("0", {*ALWAYS}), ("100", {*ALWAYS, *BY_CHANCE})])
def test_what_matters_is_kept_whatever_it_touches(tmp_path: Path, percent: str, expected: set[str]) -> None:
    """What failed, was slow, was marked or broke a promise is always kept; of the rest, a share without probes."""
    (tmp_path / "slos.yaml").write_text(OF_A_USER)
    sampling = tmp_path / "sampling.yaml"
    assert main(["sampling", str(tmp_path / "slos.yaml"), "--collector", str(BASE), "-o", str(sampling)]) == 0
    sent = {**ALWAYS, **BY_CHANCE, **NEVER}
    (sent["a part without its root"].resource_spans[0].scope_spans[0].spans[0]).parent_span_id = bytes(range(8))

    with collecting(tmp_path, sampling, TO_FILES, environment={"TRACES_KEPT_PERCENT": percent}) as collector:
        collector.send("traces", together(sent.values()))
        collector.stop()

    names = {request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex(): name for name, request in sent.items()}
    assert {names[trace] for trace in kept(collector.told("jaeger"))} == expected
