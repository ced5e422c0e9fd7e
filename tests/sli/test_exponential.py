"""Exponential histograms: a threshold at a bound is exact, whatever the scale does; any other is refused or moved."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from sloburn.duration import MINUTE, SECOND
from sloburn.server.records import read_stream, write_stream
from sloburn.sli.exponential import Layout, added, bound_below, exact_bound
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo
from sloburn.spec import parse_slos
from tests.sli.harness import NOW, Bench
from tests.telemetry import CUMULATIVE, DELTA, PointSpec, metric_request

DURATION = "http.server.request.duration"
START = NOW - 10 * MINUTE
STEPS = 16  # values are powers of 2 ** (1 / 16): at no scale from -1 to 3 does a float decide about their bucket


def slo(limit: str) -> Slo:
    """Return an SLO whose threshold is written as in a document."""
    text = f"""
version: sloburn/v1
slos:
  - name: fast
    service: shop
    objective: 99
    period: 30d
    indicator: {{metric: {DURATION}, good: {{{limit}}}}}
"""
    (found,) = parse_slos(text, "slos.yaml")
    return found


def index(step: int, scale: int) -> int:
    """Return the bucket of the value 2 ** (step / 16); bounds belong to the bucket below."""
    return -(-(step << scale) // STEPS) - 1 if scale >= 0 else -(-step // (STEPS << -scale)) - 1


def request(
    steps: list[int], scale: int, *, at: int = 0, zeros: int = 0, start: int = START, temporality: int = CUMULATIVE
) -> ExportMetricsServiceRequest:
    """Return a request with one point that holds these values; `at` is seconds after NOW."""
    made = metric_request(DURATION, ())
    metric = made.resource_metrics[0].scope_metrics[0].metrics[0]
    metric.exponential_histogram.aggregation_temporality = temporality  # type: ignore[assignment]
    cells = Counter(index(step, scale) for step in steps)
    point = metric.exponential_histogram.data_points.add(
        start_time_unix_nano=start,
        time_unix_nano=NOW + at * SECOND,
        count=len(steps) + zeros,
        scale=scale,
        zero_count=zeros,
    )
    if cells:
        point.positive.offset = min(cells)
        point.positive.bucket_counts.extend(cells[number] for number in range(min(cells), max(cells) + 1))
    return made


def test_a_power_of_two_is_exact() -> None:
    """250 ms is a bound at every scale: what lies on it is good, what lies above is bad, and zeros are good."""
    bench = Bench(slo("le: 250ms"))
    bench.metrics(request([-40, -33, -32, -31, 0, 5], scale=3, zeros=2))
    assert bench.count() == Count(good=5, bad=3)
    assert bench.status().notes == ()


def test_a_threshold_inside_of_a_bucket_is_refused_in_words() -> None:
    """300 ms is a bound of no exponential histogram: nothing is counted, and the status says what to do."""
    bench = Bench(slo("le: 300ms"))
    bench.metrics(request([-40, 5], scale=3))
    status = bench.status()
    assert status.count == Count()
    assert status.notes == (
        f"{DURATION} has no bucket bound at 300ms, so nothing is counted: its buckets are exponential, with bounds at "
        "powers of two: choose 0.25 or 0.5 s, or let `snap: down` or `snap: up` take the next bound",
    )


@pytest.mark.parametrize(("snap", "bound", "good"), [("down", "0.2973", 1), ("up", "0.3242", 2)])
def test_a_threshold_may_move_to_the_next_bound(snap: str, bound: str, good: int) -> None:
    """`snap` judges by the next bound, exactly, and the status names it."""
    bench = Bench(slo(f"le: 300ms, snap: {snap}"))
    bench.metrics(request([-29, -27, 5], scale=3))  # up to 0.297 s, up to 0.324 s, above
    side = "below" if snap == "down" else "above"
    status = bench.status()
    assert status.notes == (f"{DURATION} has no bucket bound at 300ms: it is judged by {bound} s, the next one {side}",)
    assert status.count == Count(good=good, bad=3 - good)


@pytest.mark.parametrize(("snap", "good"), [("down", 1), ("up", 2)])
def test_explicit_buckets_follow_the_same_rule(snap: str, good: int) -> None:
    """`snap` works for explicit bounds alike."""
    bench = Bench(slo(f"le: 250ms, snap: {snap}"))
    point = PointSpec(time=NOW, start=START, bounds=(0.1, 0.3), buckets=(1, 1, 1))
    bench.metrics(metric_request(DURATION, [point]))
    assert bench.count() == Count(good=good, bad=3 - good)


def test_beyond_the_last_bound_nothing_is_above() -> None:
    """A threshold above all explicit bounds cannot move up."""
    bench = Bench(slo("le: 250ms, snap: up"))
    bench.metrics(metric_request(DURATION, [PointSpec(time=NOW, start=START, bounds=(0.1,), buckets=(1, 1))]))
    assert (bench.count(), len(bench.status().notes)) == (Count(), 1)


def test_a_wide_zero_bucket_cannot_be_cut() -> None:
    """Where everything up to a second is called zero, 250 ms cannot be judged."""
    bench = Bench(slo("le: 250ms"))
    made = request([5], scale=3, zeros=9)
    made.resource_metrics[0].scope_metrics[0].metrics[0].exponential_histogram.data_points[0].zero_threshold = 1.0
    bench.metrics(made)
    assert bench.count() == Count()
    assert "its zero bucket holds everything up to 1 s" in bench.status().notes[0]


def test_a_zero_bucket_that_grows_adds_nothing() -> None:
    """A sender may widen its zero bucket over small values: they were counted before."""
    low, high = Layout(scale=0, offset=-4), Layout(scale=0, offset=-1, zero_threshold=0.25)
    # Two zeros, then values up to 1/8, 1/4, 1/2, 1 and 2; one more of each later on.
    layout, gained = added(high, (9, 2, 3), low, (2, 1, 2, 0, 1, 2))
    assert (layout.offset, gained) == (-1, (4, 1, 1))


def test_hostile_shapes_are_passed_over() -> None:
    """Scales and buckets that no sender has cost nothing and count nothing."""
    bench = Bench(slo("le: 250ms"))
    for scale, offset, buckets in ((99, 0, 1), (-99, 0, 1), (3, 2**31 - 1, 1), (3, -(2**31), 5000)):
        made = request([], scale=3)
        point = made.resource_metrics[0].scope_metrics[0].metrics[0].exponential_histogram.data_points[0]
        point.scale, point.positive.offset, point.count = scale, offset, buckets
        point.positive.bucket_counts.extend([1] * buckets)
        bench.metrics(made)
    assert bench.count() == Count(bad=1)
    assert bench.items() == {("metrics", "unusable"): 3, ("metrics", "counted"): 1}


@pytest.mark.parametrize(("limit", "scale"), [("1/4", 0), ("3/10", 3), ("7", -2), ("16", -2), ("1/1000", 20)])
def test_the_bound_below_is_the_highest_that_is_not_above(limit: str, scale: int) -> None:
    """base^k is at most the limit and base^(k+1) is above it."""
    value, layout = Fraction(limit), Layout(scale=scale, offset=0)
    k = bound_below(value, scale)
    assert layout.bound(k) <= float(value) < layout.bound(k + 1)
    assert (exact_bound(value, scale) is not None) is (layout.bound(k) == float(value))


lives = st.lists(
    st.tuples(
        st.lists(st.integers(-80, 80), max_size=8),  # values since the last point
        st.integers(0, 2),  # zeros
        st.integers(0, 2),  # by how much the scale falls
        st.integers(0, 5),  # 0: the sender begins anew
        st.booleans(),  # the point is sent twice
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(lives=lives, exponent=st.sampled_from([-2, 0, 2]), delta=st.booleans())
def test_counts_equal_the_oracle(
    lives: list[tuple[list[int], int, int, int, bool]],
    exponent: int,
    delta: bool,
) -> None:
    """Scales that fall, senders that begin anew, points that come twice, cumulative or delta: every value once."""
    bench = Bench(slo(f"le: {float(Fraction(2) ** exponent)}"))
    held: list[int] = []
    nothing, good, bad, scale, start = 0, 0, 0, 3, START
    for at, (steps, zeros, fall, anew, twice) in enumerate(lives):
        if not anew:
            held, nothing, scale, start = [], 0, 3, START + (at + 1) * SECOND
        scale = max(-1, scale - fall)
        held, nothing = [*held, *steps], nothing + zeros
        good += zeros + sum(step <= exponent * STEPS for step in steps)
        bad += sum(step > exponent * STEPS for step in steps)
        if delta:
            made = request(steps, scale, at=at, zeros=zeros, start=start, temporality=DELTA)
        else:
            made = request(held, scale, at=at, zeros=nothing, start=start)
        bench.metrics(*([made, made] if twice else [made]))
    assert bench.status().lifetime == Count(good, bad)


def test_a_stream_survives_the_store() -> None:
    """The last point of an exponential stream is read back as it was written."""
    bench = Bench(slo("le: 250ms"))
    bench.metrics(request([-40, 5], scale=-1, zeros=3))
    (state,) = bench.engine.streams.values()
    assert state.layout is not None
    assert read_stream(write_stream(state)) == state
