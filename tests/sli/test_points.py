"""Metric points in, good and bad events out."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.server.records import read_stream, write_stream
from sloburn.sli.temporality import MAX_INTERVALS, StreamState
from sloburn.slo.budget import Count
from sloburn.slo.conditions import Match, Op, Source
from tests.promises import CODE_5XX, metric_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import DELTA, PointSpec, metric_request

DURATION = "http.server.request.duration"
BOUNDS = (0.1, 0.3, 1.0)
START = NOW - 10 * MINUTE


def histogram(buckets: tuple[int, ...], at: int, start: int = START, **values: str | int) -> PointSpec:
    """Return a histogram point; times are seconds after NOW."""
    return PointSpec(time=NOW + at * SECOND, start=start, bounds=BOUNDS, buckets=buckets, values=values)


def counter(value: float, at: int, start: int = START, **values: str | int) -> PointSpec:
    """Return a counter point; times are seconds after NOW."""
    return PointSpec(time=NOW + at * SECOND, start=start, value=value, values=values)


def counter_bench(epoch: int = 0) -> Bench:
    """Return a bench whose SLO calls points with `outcome=failure` bad."""
    failure = Match(source=Source.ATTRIBUTE, key="outcome", op=Op.EQ, operands=("failure",))
    return Bench(metric_slo(metric="jobs", threshold=None, bad=failure), epoch=epoch)


def test_a_threshold_splits_a_histogram() -> None:
    """`le: 300ms` counts every bucket up to the bound 0.3 as good: bounds are inclusive."""
    bench = Bench(metric_slo())
    bench.metrics(metric_request(DURATION, [histogram((5, 3, 2, 1), 0)]))
    assert bench.count() == Count(good=8, bad=3)


def test_cumulative_points_count_their_increase() -> None:
    """Each point of a cumulative stream adds what is new since the last one."""
    bench = Bench(metric_slo())
    for at, buckets in enumerate([(1, 0, 0, 0), (3, 1, 0, 1), (3, 1, 0, 1), (4, 1, 1, 1)]):
        bench.metrics(metric_request(DURATION, [histogram(buckets, at)]))
    assert bench.count() == Count(good=5, bad=2)


def test_a_point_that_is_sent_again_counts_once() -> None:
    """Points that come twice, or out of order, add nothing."""
    bench = Bench(metric_slo())
    for at in (0, 0, 2, 1):
        bench.metrics(metric_request(DURATION, [histogram((at + 1, 0, 0, 0), at)]))
    assert bench.count() == Count(good=3)
    assert bench.items() == {("metrics", "counted"): 2, ("metrics", "duplicate"): 2}


@pytest.mark.parametrize("restart", [START + MINUTE, START])
def test_a_reset_counts_from_zero(restart: int) -> None:
    """A new start time, or a value that fell, means that the sender began anew: its whole value is new."""
    bench = counter_bench()
    bench.metrics(metric_request("jobs", [counter(10, 0)]))
    bench.metrics(metric_request("jobs", [counter(4, 1, start=restart)]))
    assert bench.count() == Count(good=14)


def test_buckets_that_do_not_add_up_are_refused() -> None:
    """A histogram that counts another number than its buckets hold is refused by name, and what it held is missing."""
    bench = Bench(metric_slo())
    request = metric_request(DURATION, [histogram((5, 3, 2, 1), 0), histogram((1, 0, 0, 0), 0, route="/b")])
    request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0].count = 12
    assert bench.metrics(request) == ["buckets and count differ"]
    status = bench.status()
    assert status.count == Count(good=1)
    assert status.notes[0] == (
        "http.server.request.duration holds points (histogram) whose buckets do not add up to their count, so they are "
        "refused: nobody knows which of the two is right"
    )
    assert status.incomplete is not None
    assert (status.incomplete.missing, status.incomplete.sources) == (1, (("refused by sloburn", 1),))
    assert bench.items()["metrics", "buckets and count differ"] == 1


def test_the_first_point_of_an_older_stream_is_a_base_line() -> None:
    """What a counter held before our history began did not happen now; what it adds later did."""
    bench = counter_bench(epoch=START + 1)
    bench.metrics(metric_request("jobs", [counter(1_000_000, 0)]))
    bench.metrics(metric_request("jobs", [counter(1_000_002, 1)]))
    assert bench.count() == Count(good=2)


def test_the_first_point_of_a_new_stream_counts() -> None:
    """The first increment of a series that began in our time is not lost."""
    bench = counter_bench(epoch=START)
    bench.metrics(metric_request("jobs", [counter(3, 0)]))
    assert bench.count() == Count(good=3)


def test_delta_points_add_up() -> None:
    """Delta points are added, each interval once."""
    bench = counter_bench()
    for at in (1, 2, 2, 3):
        point = counter(5, at, start=NOW + (at - 1) * SECOND)
        bench.metrics(metric_request("jobs", [point], temporality=DELTA))
    assert bench.count() == Count(good=15)


def delta(value: int, begin: int, end: int) -> ExportMetricsServiceRequest:
    """Return a request with one delta point; times are seconds after NOW."""
    return metric_request("jobs", [counter(value, end, start=NOW + begin * SECOND)], temporality=DELTA)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_delta_points_count_in_any_order(order: tuple[int, ...]) -> None:
    """Intervals that do not overlap count once each, at their own time, however they and their copies arrive."""
    bench = counter_bench()
    requests = [delta(500, 0, 1), delta(7, 1, 2), delta(1, 2, 3)]
    for place in (*order, *order):
        assert bench.metrics(requests[place]) == []
    assert bench.count() == Count(good=508)
    assert bench.items() == {("metrics", "counted"): 3, ("metrics", "duplicate"): 3}


def test_what_is_too_old_to_be_told_from_a_copy_is_refused_aloud() -> None:
    """Once the memory of a stream is full, what is older than it is refused by its reason; within it nothing is."""
    bench = counter_bench()
    for at in range(2 * MAX_INTERVALS, 0, -2):
        bench.metrics(delta(1, at, at + 1))
    fates = [bench.metrics(delta(1, begin, begin + 1)) for begin in (0, 0, 5, 2, 6)]
    assert fates == [[], ["out of order"], [], ["out of order"], []]
    assert bench.status().lifetime == Count(good=MAX_INTERVALS + 2)
    assert bench.items()["metrics", "out of order"] == 2


def test_late_delta_points_that_may_be_counted_are_refused_aloud() -> None:
    """An interval that overlaps one that was counted, or that has no beginning, is not proven to be new."""
    bench = counter_bench()
    bench.metrics(delta(7, 1, 3))
    late = [delta(1, 0, 2), delta(1, 2, 3), delta(1, 2, 2)]
    assert [bench.metrics(request) for request in late] == [["out of order"]] * 3
    assert (bench.metrics(delta(2, 3, 4)), bench.count()) == ([], Count(good=9))


def test_the_memory_of_a_delta_stream_is_stored() -> None:
    """What was counted is known after a restart, and a state of an earlier version is the newest interval."""
    bench = counter_bench()
    for begin in (4, 2):
        bench.metrics(delta(5, begin, begin + 1))
    stored = {key: read_stream(write_stream(state)) for key, state in bench.engine.streams.items()}
    assert stored == bench.engine.streams
    bench.engine.streams.update(stored)
    bench.metrics(delta(5, 2, 3))
    bench.metrics(delta(5, 3, 4))
    assert bench.count() == Count(good=15)
    old = StreamState(start_unix_nano=NOW + 4 * SECOND, time_unix_nano=NOW + 5 * SECOND, bounds=(), values=(5,))
    bench.engine.streams.update(dict.fromkeys(stored, read_stream(write_stream(old))))
    fates = [bench.metrics(delta(5, begin, begin + 1)) for begin in (4, 3, 5)]
    assert (fates, bench.count()) == ([[], ["out of order"], []], Count(good=20))


def test_a_stream_that_turns_cumulative_tells_nothing_twice() -> None:
    """After deltas, the first cumulative point of a stream that began before them is a base line."""
    bench = counter_bench()
    bench.metrics(delta(5, 0, 1))
    for value, at in ((5, 2), (7, 3)):
        bench.metrics(metric_request("jobs", [counter(value, at)]))
    assert bench.count() == Count(good=7)


delta_arrivals = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=80)


@settings(max_examples=40, deadline=None)
@given(delta_arrivals)
def test_no_delta_point_is_lost_or_doubled_in_silence(arrivals: list[tuple[int, int]]) -> None:
    """Whatever comes in whatever order: each interval counts at most once, and what never counted was refused."""
    bench = counter_bench()
    counted: set[tuple[int, int]] = set()
    for begin, length in arrivals:
        before, interval = bench.items()["metrics", "counted"], (begin * 3, begin * 3 + length)
        told = bench.metrics(delta(1, *interval))
        did_count = bench.items()["metrics", "counted"] > before
        assert not (did_count and interval in counted)
        counted.update([interval] * did_count)
        assert told or interval in counted
    assert bench.status().lifetime == Count(good=len(counted))


def test_attributes_make_streams_of_their_own() -> None:
    """Points of one metric with other attributes, or from another instance, are other streams."""
    bench = counter_bench()
    points = [counter(5, 0, outcome="success"), counter(2, 0, outcome="failure")]
    bench.metrics(metric_request("jobs", points))
    again = metric_request("jobs", points)
    again.resource_metrics[0].resource.attributes.add(key="service.instance.id").value.string_value = "b"
    bench.metrics(again)
    assert bench.count() == Count(good=10, bad=4)


def test_histograms_can_be_judged_by_attributes() -> None:
    """Without a threshold, a histogram's count is judged by the point's attributes."""
    bench = Bench(metric_slo(threshold=None, bad=CODE_5XX))
    points = [
        histogram((1, 2, 0, 0), 0, **{"http.response.status_code": 200}),
        histogram((0, 0, 0, 4), 0, **{"http.response.status_code": 500}),
    ]
    bench.metrics(metric_request(DURATION, points))
    assert bench.count() == Count(good=3, bad=4)


def test_a_threshold_that_is_no_bound_is_refused_in_words() -> None:
    """Between two bounds nothing can be judged exactly: nothing is counted, and the status says what to do."""
    bench = Bench(metric_slo(threshold="0.25"))
    bench.metrics(metric_request(DURATION, [histogram((5, 3, 2, 1), 0)]))
    status = bench.status()
    assert status.count == Count()
    assert status.notes == (
        f"{DURATION} has no bucket bound at 250ms, so nothing is counted: choose one of its bounds (0.1, 0.3, 1 s), "
        "add the bound to the service's histogram, or let `snap: down` or `snap: up` take the next one",
    )


def test_notes_are_bounded() -> None:
    """A sender that names its unit anew in each point cannot fill memory with notes."""
    bench = Bench(metric_slo(threshold="0.25"))
    bench.now += MINUTE
    for at in range(50):
        bench.metrics(metric_request(DURATION, [histogram((5, 3, 2, 1), at)], unit=f"u{at}"))
    assert len(bench.status().notes) == 20


def test_a_threshold_on_a_counter_is_refused_in_words() -> None:
    """A sum has no buckets to compare a threshold with."""
    bench = Bench(metric_slo(metric="jobs"))
    bench.metrics(metric_request("jobs", [counter(1, 0)]))
    assert "no histogram" in bench.status().notes[0]


def test_thresholds_follow_the_unit() -> None:
    """300 ms is the bound 300 of a histogram in milliseconds."""
    bench = Bench(metric_slo())
    point = PointSpec(time=NOW, start=START, bounds=(100.0, 300.0), buckets=(1, 1, 1))
    bench.metrics(metric_request(DURATION, [point], unit="ms"))
    assert bench.count() == Count(good=2, bad=1)


def test_what_does_not_count_events_is_passed_over() -> None:
    """Sums that can fall and streams without temporality are no events; other metrics are nobody's business."""
    bench = counter_bench()
    bench.metrics(metric_request("jobs", [counter(5, 0)], monotonic=False))
    bench.metrics(metric_request("jobs", [counter(5, 0)], temporality=0))
    bench.metrics(metric_request("other", [counter(5, 0)]))
    assert bench.count() == Count()
    assert bench.items() == {("metrics", "unusable"): 2, ("metrics", "unmatched"): 1}


def test_points_that_count_nothing_are_told() -> None:
    """A metric that counts no events is named in a note, which goes when good points have come for a while."""
    bench = counter_bench()
    bench.metrics(metric_request("jobs", [counter(5, 0)], monotonic=False))
    (note,) = bench.status().notes
    assert note.startswith("jobs holds points (sum) that count no events")
    bench.now += 2 * HOUR
    bench.metrics(metric_request("jobs", [counter(5, 7200)]))
    assert (bench.status().notes, bench.count()) == ((), Count(good=5))


def test_a_malformed_histogram_counts_nothing() -> None:
    """Buckets that do not fit their bounds are passed over."""
    bench = Bench(metric_slo())
    bench.metrics(metric_request(DURATION, [histogram((1, 2), 0)]))
    assert (bench.count(), bench.items()) == (Count(), {("metrics", "unusable"): 1})


def test_streams_are_forgotten_and_never_doubled() -> None:
    """A stream that was silent for more than a day is forgotten; if it goes on, its next point is a base line."""
    bench = counter_bench()
    bench.metrics(metric_request("jobs", [counter(5, 0)]))
    bench.now += 2 * DAY
    assert len(bench.engine.forget_streams(bench.now)) == 1
    days = 2 * DAY // SECOND
    bench.metrics(metric_request("jobs", [counter(7, days)]))
    bench.metrics(metric_request("jobs", [counter(8, days + 1)]))
    assert bench.status().lifetime == Count(good=6)


def test_points_from_the_future_are_refused() -> None:
    """A point that is dated beyond our clock is refused by its reason and leaves its stream alone."""
    bench = counter_bench()
    assert bench.metrics(metric_request("jobs", [counter(5, 600)])) == ["in the future"]
    bench.metrics(metric_request("jobs", [counter(5, 1)]))
    assert bench.count() == Count(good=5)


def test_floating_counters_lose_nothing() -> None:
    """A counter in floating point counts whole events, and fractions once they add up to one."""
    bench = counter_bench()
    for at, value in enumerate([0.5, 1.5, 2.25, 3.0]):
        bench.metrics(metric_request("jobs", [counter(value, at)]))
    assert bench.count() == Count(good=3)
