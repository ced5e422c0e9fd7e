"""Sampled spans: each counts with its weight, and what was kept beside the sample counts nothing."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import HOUR, SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.sdk.sampling import KEPT, KEPT_ATTRIBUTE, encode_threshold, threshold
from sloburn.server.recovery import restore
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.weights import KEPT_KEY, MAX_WEIGHT, weight_of
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request

_IDS = random.Random(7)


def spans(number: int, *, error: bool = False, state: str = "ot=th:8", kept: bool = False) -> list[SpanSpec]:
    """Return spans with random ids and this trace state."""
    values = {KEPT_ATTRIBUTE: KEPT} if kept else {}
    return [
        SpanSpec(number=_IDS.getrandbits(60) | 1, end=NOW, error=error, values=values, state=state)
        for _ in range(number)
    ]


@pytest.mark.parametrize(
    ("state", "weight"),
    [
        ("", 1),
        ("ot=th:0", 1),
        ("ot=th:8", 2),
        ("ot=th:c", 4),
        ("ot=rv:6e6d1a75832a2f;th:e", 8),
        ("vendor=x,ot=th:f;rv:00000000000000,other=y", 16),
        ("ot=p:8;r:62", 1),
        ("other=th:8", 1),
        ("ot=th:", 1),
        ("ot=th:XYZ", 1),
        ("ot=th:123456789012345", 1),
    ],
)
def test_weights(state: str, weight: int) -> None:
    """One in n, for a power of two, is a whole number; what says nothing, or nothing readable, is one."""
    assert weight_of(state.encode(), bytes(range(8))) == weight


@given(rejected=st.integers(0, 2**56 - 2**36), first=st.integers(0, 2**64 - 1))
@settings(max_examples=50, deadline=None)
def test_rounding_is_right_in_the_mean(rejected: int, first: int) -> None:
    """Over many spans the weights add up to what they should, and each is the whole number below or above."""
    encoded = encode_threshold(rejected)
    exact = Fraction(2**56, 2**56 - int(encoded.ljust(14, "0"), 16))
    state = f"ot=th:{encoded}".encode()
    ids = [((first + step) % 2**64).to_bytes(8, "big") for step in range(2000)]
    found = [weight_of(state, one) for one in ids]
    assert set(found) <= {int(exact), int(exact) + 1}
    assert abs(Fraction(sum(found), len(found)) - exact) < Fraction(1, 100)


def test_sampled_spans_count_with_their_weight() -> None:
    """Three of one in two are six events; a span without a trace state is one."""
    bench = Bench(span_slo())
    sent = trace_request([*spans(3), *spans(2, error=True), *spans(1, state="")])
    bench.traces(sent)
    bench.traces(sent)
    assert bench.count() == Count(good=7, bad=4)
    assert bench.items() == {("traces", "counted"): 6, ("traces", "duplicate"): 6}


def test_kept_spans_are_evidence_and_count_nothing() -> None:
    """A failed trace that was kept beside the sample is shown and told apart from a repeat, but is no event."""
    bench = Bench(span_slo())
    kept = trace_request(spans(2, error=True, kept=True))
    bench.traces(kept)
    bench.traces(kept)
    status = bench.status()
    assert (status.count, status.lifetime, len(status.failing)) == (Count(), Count(), 2)
    assert status.suspects == ()
    assert KEPT_KEY == KEPT_ATTRIBUTE


def test_a_span_that_stands_for_millions_is_refused() -> None:
    """One request must not be able to fill a ledger."""
    bench = Bench(span_slo())
    assert bench.traces(trace_request(spans(1, state="ot=th:ffffffffffffff"))) == ["invalid"]
    assert bench.count() == Count()
    assert weight_of(b"ot=th:fffff", bytes(8)) == MAX_WEIGHT


def test_one_heavy_error_does_not_page() -> None:
    """So many bad spans must be there as without sampling; the status says what the figures are worth."""
    bench = Bench(span_slo(min_bad_events=5))
    bench.traces(trace_request([*spans(10, state="ot=th:f"), *spans(4, error=True, state="ot=th:f")]))
    status = bench.status()
    assert status.count == Count(good=160, bad=64)
    assert AlertState.FIRING not in {alert.state for alert in status.alerts}
    assert status.slo.alerting.min_bad_events == 80
    assert "one stands for up to 16 events, so 80 bad events are needed" in status.notes[-1]
    assert "the 64 bad events of the period are an estimate, give or take 62" in status.notes[-1]
    bench.traces(trace_request(spans(1, error=True, state="ot=th:f")))
    bench.now += SECOND
    assert AlertState.FIRING in {alert.state for alert in bench.status().alerts}


def test_the_guard_goes_with_the_sampling() -> None:
    """Once no alert looks back at sampled spans, everything is as it was."""
    bench = Bench(span_slo(min_bad_events=5))
    bench.traces(trace_request(spans(1, state="ot=th:f")))
    assert bench.status().slo.alerting.min_bad_events == 80
    bench.now += 73 * HOUR
    bench.traces(trace_request([SpanSpec(number=3, end=bench.now)]))
    status = bench.status()
    assert (status.slo.alerting.min_bad_events, status.notes) == (5, ())


def test_weights_survive_a_kill(tmp_path: Path) -> None:
    """Counts, guard and evidence are the same after a restart, from the journal and from a checkpoint."""
    for with_checkpoint in (False, True):
        folder = tmp_path / str(with_checkpoint)
        store = Store(folder, NOW)
        engine = Engine([span_slo()], any_value, epoch=store.epoch)
        scribe, _ = restore(engine, store)
        sent = trace_request([*spans(2, state="ot=th:f"), *spans(1, error=True, kept=True)])
        commit = Commit()
        engine.prepare_traces(decode(Signal.TRACES, Encoding.PROTOBUF, sent.SerializeToString()), NOW, commit)
        store.append(NOW, *scribe.write(commit))
        scribe.written()
        engine.apply(commit)
        if with_checkpoint:
            checkpoint = scribe.checkpoint(NOW)
            store.checkpoint(checkpoint, NOW)
            scribe.kept(checkpoint)
        store.close()
        store = Store(folder, NOW)
        engine = Engine([span_slo()], any_value, epoch=store.epoch)
        restore(engine, store)
        (status,) = engine.tick(NOW).statuses
        assert (status.lifetime, status.slo.alerting.min_bad_events) == (Count(good=32), 80)
        assert len(status.failing) == 1
        store.close()


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.013])
def test_a_sample_tells_the_ratio_of_the_whole(ratio: float) -> None:
    """What our SDK samples and keeps gives, without bias, what all spans would give: within four standard errors."""
    rnd = random.Random(f"{ratio}")
    rejected = threshold(ratio)
    state = f"ot=th:{encode_threshold(rejected)}"
    events, bad_share = 40_000, 0.05
    truth, sent = Count(), []
    for _ in range(events):
        trace_id, bad = rnd.getrandbits(128) or 1, rnd.random() < bad_share
        truth = Count(truth.good + (not bad), truth.bad + bad)
        is_sampled = trace_id % 2**56 >= rejected
        if is_sampled or bad:  # our SDK keeps failed traces beside the sample
            values = {} if is_sampled else {KEPT_ATTRIBUTE: KEPT}
            sent.append(
                SpanSpec(number=trace_id, end=NOW, error=bad, values=values, state=state, span_id=rnd.getrandbits(64))
            )
    bench = Bench(span_slo())
    for begin in range(0, len(sent), 1000):
        bench.traces(trace_request(sent[begin : begin + 1000]))
    found = bench.status().lifetime
    weight = 1 / ratio
    for counted, true in ((found.good, truth.good), (found.bad, truth.bad)):
        assert abs(counted - true) < 4 * (true * (weight - 1)) ** 0.5 + 1
