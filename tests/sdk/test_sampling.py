"""Sampling that does not lie: metrics see everything, spans say what they stand for, failures are kept and marked."""

from __future__ import annotations

import gc
import random
import weakref
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, TraceState

from sloburn.sdk.config import Arguments, Sampling
from sloburn.sdk.environment import resolve
from sloburn.sdk.providers import SpanQueue
from sloburn.sdk.sampling import KEPT, KEPT_ATTRIBUTE, WeighingSampler, encode_threshold, threshold
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_TRACES = 2**56


@pytest.fixture(autouse=True)
def same_ids() -> None:
    """Draw the same trace ids in every run: which of them are sampled is chance otherwise."""
    random.seed(0)


class Sampled:
    """A tracer whose sampled and kept spans are collected."""

    def __init__(self, sampling: Sampling) -> None:
        self.spans: list[ReadableSpan] = []
        self.queue = SpanQueue(self.spans.append)
        self.sampler = WeighingSampler(sampling)
        provider = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        provider.add_span_processor(self.queue)
        self.tracer = provider.get_tracer("test")

    def names(self) -> list[str]:
        """Return the names of the collected spans."""
        return [span.name for span in self.spans]

    def run(self, count: int, failing: int = 0) -> None:
        """Run traces of a root and a child; so many of them fail."""
        for number in range(count):
            with self.tracer.start_as_current_span("root") as root:
                with self.tracer.start_as_current_span("child"):
                    pass
                if number < failing:
                    root.set_status(StatusCode.ERROR)


def context_of(span: ReadableSpan) -> SpanContext:
    """Return the context of a span, which every finished one has."""
    context = span.get_span_context()
    assert context is not None
    return context


def weight(span: ReadableSpan) -> float:
    """Weigh a span the way whoever counts spans must: kept ones count nothing, others by their threshold."""
    if (span.attributes or {}).get(KEPT_ATTRIBUTE) == KEPT:
        return 0.0
    state = context_of(span).trace_state.get("ot") or ""
    encoded = next((part[3:] for part in state.split(";") if part.startswith("th:")), "0")
    return _TRACES / (_TRACES - int(encoded.ljust(14, "0"), 16))


@pytest.mark.parametrize(
    ("ratio", "encoded"), [(1.0, "0"), (0.5, "8"), (0.25, "c"), (0.125, "e"), (0.1, "e6666666666667"), (0.75, "4")]
)
def test_threshold(ratio: float, encoded: str) -> None:
    """A ratio is written as the specification writes it (tracestate probability sampling, examples)."""
    written = encode_threshold(threshold(ratio))
    assert written[:13] == encoded[:13]


def test_everything_is_sampled_without_a_word() -> None:
    """At a ratio of one nothing is added to the trace state."""
    sampled = Sampled(Sampling())
    sampled.run(3)
    assert sampled.names() == ["child", "root"] * 3
    assert not any(context_of(span).trace_state for span in sampled.spans)


def test_weights_sum_up_to_what_happened() -> None:
    """Of 4,000 traces, 400 of which failed, a tenth is sent, and the weights estimate all and the failed ones."""
    sampled = Sampled(Sampling(ratio=0.1))
    sampled.run(4000, failing=400)
    roots = [span for span in sampled.spans if span.name == "root"]
    failed = [span for span in roots if span.status.status_code is StatusCode.ERROR]
    assert len(failed) == 400
    assert sum(map(weight, roots)) == pytest.approx(4000, rel=0.25)
    assert sum(map(weight, failed)) == pytest.approx(400, rel=0.75)


def test_failed_trace_is_kept_whole_and_marked() -> None:
    """Of a trace that was not sampled and failed, all local spans are sent and marked; of others none."""
    sampled = Sampled(Sampling(ratio=1e-9))
    sampled.run(2, failing=1)
    assert sampled.names() == ["child", "root"]
    assert {(span.attributes or {}).get(KEPT_ATTRIBUTE) for span in sampled.spans} == {KEPT}
    assert len({context_of(span).trace_id for span in sampled.spans}) == 1


def test_trace_that_is_slower_than_an_slo_allows_is_kept(tmp_path: Path) -> None:
    """The smallest threshold of the SLO files decides; a faster trace that did not fail is not sent."""
    (tmp_path / "slos.yaml").write_text("slos: [{good: {le: 300ms}}, {good: {le: 2s}}]")
    config, _ = resolve(Arguments(slo_files=[str(tmp_path)]), {})
    assert config.web.tightest_seconds == 0.3
    sampled = Sampled(Sampling(ratio=1e-9))
    sampled.queue.failed_traces.tightest_seconds = config.web.tightest_seconds
    for seconds in (0.3, 0.31):
        sampled.tracer.start_span(f"took {seconds}", start_time=0).end(round(seconds * 1e9))
    assert sampled.names() == ["took 0.31"]


def test_failed_trace_of_an_unsampled_caller() -> None:
    """The local part of a trace whose caller decided against it is kept when its local root failed."""
    sampled = Sampled(Sampling())
    caller = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(0))
    with sampled.tracer.start_as_current_span("root", trace.set_span_in_context(NonRecordingSpan(caller))) as root:
        root.set_status(StatusCode.ERROR)
    assert sampled.names() == ["root"]


def test_callers_decision_and_weight_are_passed_on() -> None:
    """A sampled caller is followed and its threshold stays; without parents one's own threshold replaces it."""
    state = TraceState([("ot", "th:8;rv:0123456789abcd"), ("vendor", "x")])
    caller = SpanContext(2**56 - 1, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    context = trace.set_span_in_context(NonRecordingSpan(caller))
    for parent_based, expected in ((True, "th:8;rv:0123456789abcd"), (False, "th:c;rv:0123456789abcd")):
        sampled = Sampled(Sampling(ratio=0.25, parent_based=parent_based))
        sampled.tracer.start_span("root", context).end()
        (span,) = sampled.spans
        assert context_of(span).trace_state == TraceState([("ot", expected), ("vendor", "x")])


def test_no_traces_at_all() -> None:
    """At a ratio of zero nothing is recorded, failed or not."""
    sampled = Sampled(Sampling(ratio=0.0))
    sampled.run(2, failing=2)
    assert sampled.spans == []
    assert not sampled.tracer.start_span("root").is_recording()


def test_failed_traces_may_be_unwanted() -> None:
    """With keep_failed=False what is not sampled is not recorded."""
    sampled = Sampled(Sampling(ratio=1e-9, keep_failed=False))
    sampled.run(2, failing=2)
    assert sampled.spans == []


def test_held_spans_are_bounded() -> None:
    """Spans of unsampled traces whose root never ends, and of endless traces, do not fill memory."""
    sampled = Sampled(Sampling(ratio=1e-9))
    alive = []
    for _ in range(2000):
        root = sampled.tracer.start_span("root")
        child = sampled.tracer.start_span("child", trace.set_span_in_context(root))
        child.end()
        alive.append(weakref.ref(root))
    assert len(sampled.queue.failed_traces._traces) <= 512
    with sampled.tracer.start_as_current_span("long") as root:
        for _ in range(1000):
            sampled.tracer.start_span("child").end()
        root.set_status(StatusCode.ERROR)
    assert len(sampled.spans) == 129
    gc.collect()


def test_metrics_see_every_request() -> None:
    """At any sampling ratio the request metrics count all requests, and failed ones by their error."""
    with Collector() as collector:
        succeed(
            """
import asyncio, sys
import httpx
from sloburn import init_telemetry
init_telemetry(endpoint=sys.argv[1], sample_ratio=0.01, libraries=False)
from fastapi import FastAPI, HTTPException
app = FastAPI()
@app.get("/{n}")
async def read(n: int):
    if n < 5: raise HTTPException(500)
async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for n in range(100): await client.get(f"/{n}")
asyncio.run(main())
""",
            collector.endpoint,
        )
        points = collector.arrivals.points.values()
        failed = [point.value for point in points if point.attributes.get("error.type") == "500"]
        assert (collector.total("http.server.request.duration"), failed) == (100, [5])
        kept = [span for span in collector.arrivals.spans if span.attributes["http.response.status_code"] == 500]
    assert len(kept) == 5
