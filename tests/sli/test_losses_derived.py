"""What was lost of metrics, in slices of time and behind composite SLOs: an interval that holds the truth, or words."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.outputs.api import head_document
from sloburn.sli.doubt import TOLD_NS
from sloburn.sli.incomplete import Incomplete, Lack
from sloburn.slo.budget import Count
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.missing import Bounds, mean_bounds, slice_ratio_bounds
from sloburn.slo.model import (
    EventIndicator,
    FreshnessIndicator,
    Indicator,
    JourneyIndicator,
    NoEvents,
    SlicedIndicator,
    Slo,
    WeightedIndicator,
)
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import DELTA, PointSpec, SpanSpec, metric_request, trace_request

SPANS: EventIndicator = span_slo().indicator  # type: ignore[assignment]
POINTS: EventIndicator = metric_slo(metric="jobs", threshold=None).indicator  # type: ignore[assignment]
LOST_SPANS = "otel.sdk.processor.span.processed"
LOST_POINTS = "otel.sdk.exporter.metric_data_point.exported"
START = NOW - HOUR


def promise(name: str, indicator: Indicator) -> Slo:
    """Return an SLO with a budget of a tenth."""
    return replace(span_slo(name, objective="0.9"), indicator=indicator)


def minutes(source: EventIndicator = SPANS, no_events: NoEvents = NoEvents.IGNORED) -> Slo:
    """Return an SLO whose events are minutes in which at least half of the events are good."""
    indicator = SlicedIndicator(source=source, slice_ns=MINUTE, target=Fraction(1, 2), no_events=no_events)
    return promise("minutes", indicator)


FRESH = promise("fresh", FreshnessIndicator(source=SPANS, within_ns=3 * MINUTE, slice_ns=30 * SECOND))
PLAIN = promise("plain", SPANS)
JOURNEY = promise("journey", JourneyIndicator(members=("plain", "minutes"), slice_ns=2 * MINUTE))
BOTH = promise("both", WeightedIndicator(members=(("plain", Fraction(3)), ("minutes", Fraction(1)))))


def send(bench: Bench, at: int, *, good: int = 0, bad: int = 0) -> None:
    """Send spans that end at a moment."""
    first = at // SECOND * 1000
    specs = [SpanSpec(number=first + n, end=at, error=n < bad) for n in range(good + bad)]
    bench.traces(trace_request(specs))


def tell(bench: Bench, value: int, at: int, name: str = LOST_SPANS) -> None:
    """Tell how many items were lost since the start."""
    point = PointSpec(time=at, start=START, value=value, values={"error.type": "queue_full"})
    bench.metrics(metric_request(name, [point]))


def wait(bench: Bench, until: int) -> None:
    """Let time pass with a look every half minute."""
    while bench.now < until:
        bench.now = min(until, bench.now + 30 * SECOND)
        bench.snapshot()


def found(bench: Bench, name: str) -> Incomplete:
    """Return how incomplete an SLO is; it is."""
    incomplete = bench.status(name).incomplete
    assert incomplete is not None
    return incomplete


def an_hour(*slos: Slo) -> Bench:
    """Return a bench that got a good span in every minute of an hour, and was told of 1,000 lost ones half-way."""
    bench = Bench(*slos, epoch=START)
    for minute in range(60):
        send(bench, bench.now, good=1)
        if minute == 30:
            tell(bench, 1000, bench.now)
        wait(bench, bench.now + MINUTE)
    wait(bench, bench.now + MINUTE)
    return bench


def test_a_slice_in_which_something_was_lost_counts_both_ways() -> None:
    """A thousand spans lost within a minute put the slices of seven minutes in doubt, and no more."""
    bench = an_hour(minutes())
    incomplete, count = found(bench, "minutes"), bench.count("minutes")
    assert count == Count(60, 0)
    assert (incomplete.lack, incomplete.missing, incomplete.of) == (Lack.SLICES, 11, 60)  # in cells of five minutes
    hour = next(one for one in incomplete.burns if one.length_ns == HOUR)
    assert (hour.missing, hour.burn) == (7, Bounds(low=Fraction(0), high=Fraction(7, 59) * 10))
    assert incomplete.remark == "up to 11 slices in doubt"
    assert incomplete.text == (
        "incomplete: up to 11 of 60 slices may be good or bad, as 1,000 items behind them may be missing "
        "(1,000 dropped by the SDK before export); burn over 1 h between 0 and 1.19"
    )


def test_few_lost_items_move_few_slices() -> None:
    """Two lost spans can have moved two slices, wherever they were."""
    bench = Bench(minutes(), epoch=START)
    send(bench, NOW - 20 * MINUTE, good=3)
    wait(bench, NOW + 10 * MINUTE)
    for _ in range(20):
        send(bench, bench.now, good=1)
        wait(bench, bench.now + MINUTE)
    tell(bench, 2, bench.now)
    wait(bench, bench.now + 2 * MINUTE)
    assert found(bench, "minutes").missing == 2


@pytest.mark.parametrize(("no_events", "doubtful"), [(NoEvents.IGNORED, 2), (NoEvents.BAD, 14)])
def test_the_first_of_all_spans_may_have_been_lost(no_events: NoEvents, doubtful: int) -> None:
    """Before anything came the share is anything; then slices before the first span are in doubt, empty ones too.

    What was told at 08:53 was lost from 08:44 on, in cells of five minutes; the first span came at 08:57.
    """
    bench = Bench(minutes(no_events=no_events), epoch=START)
    tell(bench, 2, bench.now)
    wait(bench, bench.now + 4 * MINUTE)
    assert found(bench, "minutes").sli == Bounds(low=Fraction(0), high=Fraction(1))
    send(bench, bench.now, good=1)
    wait(bench, bench.now + 2 * MINUTE)
    assert (bench.count("minutes").good, found(bench, "minutes").missing) == (1, doubtful)
    assert found(bench, "minutes").sli == Bounds(low=Fraction(0), high=Fraction(1))


def test_what_was_lost_before_an_slo_was_read_is_not_its_own() -> None:
    """An SLO that is new in the documents has no doubt about the days before."""
    bench = Bench(minutes(), epoch=START)
    tell(bench, 9, bench.now)
    bench.engine.begin(dict.fromkeys(bench.engine.generations(), NOW + HOUR))
    wait(bench, NOW + HOUR + MINUTE)
    send(bench, bench.now, good=1)
    wait(bench, bench.now + 2 * MINUTE)
    assert bench.status("minutes").incomplete is None


def test_what_is_lost_keeps_nothing_from_being_fresh() -> None:
    """A lost span may have kept a slice fresh that counts as stale, and can make none stale."""
    bench = Bench(FRESH, epoch=START)
    send(bench, NOW, good=1)
    wait(bench, NOW + 20 * MINUTE)
    tell(bench, 1, bench.now)
    wait(bench, bench.now + MINUTE)
    count, incomplete = bench.count("fresh"), found(bench, "fresh")
    assert incomplete.lack is Lack.STALE_SLICES
    assert incomplete.sli is not None
    assert incomplete.sli.low == Fraction(count.good, count.total) < incomplete.sli.high
    assert "may be good though they count as bad" in incomplete.text


def test_a_journey_is_in_doubt_where_a_member_is() -> None:
    """What one member lost may have been good or bad for the whole way."""
    bench = an_hour(PLAIN, minutes(), JOURNEY)
    incomplete = found(bench, "journey")
    hour = next(one for one in incomplete.burns if one.length_ns == HOUR)
    assert hour.missing == 4  # slices of two minutes that touch six minutes and five seconds
    assert (hour.burn.low, incomplete.lack) == (Fraction(0), Lack.SLICES)


def test_a_weighted_slo_has_the_mean_of_its_members_intervals() -> None:
    """Each end of the interval is the weighted mean of the members' ends."""
    bench = an_hour(PLAIN, minutes(), BOTH)
    incomplete, parts = found(bench, "both"), [found(bench, name).sli for name in ("plain", "minutes")]
    assert None not in parts
    low, high = ([getattr(part, end) for part in parts] for end in ("low", "high"))
    assert incomplete.sli == Bounds(low=(3 * low[0] + low[1]) / 4, high=(3 * high[0] + high[1]) / 4)
    assert incomplete.lack is Lack.MEMBERS
    assert incomplete.sources == (("dropped by the SDK before export", 2000),)  # once for each member


def test_lost_points_are_told_in_words() -> None:
    """Nobody knows how many events a lost data point held: no interval, but how many points at the most."""
    bench = Bench(metric_slo(metric="jobs", threshold=None), epoch=START)
    bench.metrics(metric_request("jobs", [PointSpec(time=NOW, start=START, value=100)]))
    tell(bench, 3, NOW, LOST_POINTS)
    status = bench.status()
    incomplete = status.incomplete
    assert incomplete is not None
    assert (incomplete.lack, incomplete.missing) == (Lack.POINTS, 3)
    assert (incomplete.sli, incomplete.budget_remaining, incomplete.burns) == (None, None, ())
    assert incomplete.remark == "up to 3 data points missing"
    assert status.notes[-1] == (
        "incomplete: up to 3 data points of metrics are missing (3 not exported by the SDK); the next point of a "
        "cumulative counter brings what a lost one held, but not that of a delta counter or of a process that ended: "
        "how many events are missing is not known"
    )
    document = head_document(status, 1)["incomplete"]
    assert (document["lack"], document["missing"], document["sli"]) == ("data points", 3, None)


def test_points_that_are_refused_here_are_missing() -> None:
    """A delta point that is too old to tell whether it was counted is lost with all that it held."""
    bench = Bench(metric_slo(metric="jobs", threshold=None), epoch=START)
    for second in (*range(1, 40), 2):
        at = NOW - HOUR // 2 + second * SECOND
        bench.metrics(metric_request("jobs", [PointSpec(time=at, start=at - SECOND // 2, value=1)], temporality=DELTA))
    late = PointSpec(time=NOW - HOUR // 2 + SECOND // 4, start=NOW - HOUR // 2, value=1)
    assert bench.metrics(metric_request("jobs", [late], temporality=DELTA)) == ["out of order"]
    assert found(bench, "latency").sources == (("refused by sloburn", 2),)


def test_a_weighted_slo_over_a_metric_has_no_interval() -> None:
    """Where one member's events cannot be bounded, neither can the whole's."""
    member = replace(metric_slo("jobs", metric="jobs", threshold=None), objective=Fraction(9, 10))
    whole = promise("whole", WeightedIndicator(members=(("plain", Fraction(1)), ("jobs", Fraction(1)))))
    bench = Bench(PLAIN, member, whole, epoch=START)
    send(bench, NOW, good=5)
    tell(bench, 2, NOW)
    assert found(bench, "whole").sli is not None
    tell(bench, 3, NOW, LOST_POINTS)
    incomplete = found(bench, "whole")
    assert (incomplete.sli, incomplete.missing) == (None, 5)
    assert "data points among them" in incomplete.text


def test_slices_over_a_metric() -> None:
    """What a lost point held counts in the slice of the next one: both are in doubt."""
    bench = Bench(minutes(POINTS), epoch=START)
    for minute in range(20):
        bench.metrics(metric_request("jobs", [PointSpec(time=bench.now, start=START, value=minute)]))
        wait(bench, bench.now + MINUTE)
    tell(bench, 1, bench.now, LOST_POINTS)
    wait(bench, bench.now + MINUTE)
    assert found(bench, "minutes").missing == 2


def test_doubt_in_excluded_time_does_not_count() -> None:
    """Slices that do not count are not in doubt."""
    maintenance = OneOff(name="move", interval=Interval(NOW, NOW + 40 * MINUTE))
    bench = an_hour(minutes(), replace(minutes(), name="maintained", exclusions=(maintenance,)))
    assert found(bench, "minutes").missing
    assert bench.status("maintained").incomplete is None


def test_bounds_of_slices() -> None:
    """Doubtful slices move as many as there are, and lone ones everything."""
    assert slice_ratio_bounds(Count(6, 4), 3, can_worsen=True) == Bounds(low=Fraction(1, 10), high=Fraction(7, 10))
    assert slice_ratio_bounds(Count(1, 1), 3, can_worsen=True) == Bounds(low=Fraction(0), high=Fraction(1))
    assert slice_ratio_bounds(Count(6, 4), 3, can_worsen=False) == Bounds(low=Fraction(1, 10), high=Fraction(4, 10))
    assert slice_ratio_bounds(Count(), 3, can_worsen=True) == Bounds(low=Fraction(0), high=Fraction(1))
    assert slice_ratio_bounds(Count(), 0, can_worsen=True) is None
    assert mean_bounds([(2, None), (0, None)]) is None


# --- against an oracle that gets everything ---

STEP = st.tuples(
    st.sampled_from(["arrive", "arrive", "arrive", "drop", "tell"]),
    st.integers(0, 3),  # good
    st.integers(0, 3),  # bad
    st.integers(1, 170),  # seconds until the next step
)


@pytest.mark.parametrize("no_events", NoEvents)
@settings(max_examples=10, deadline=None)
@given(steps=st.lists(STEP, min_size=1, max_size=20), begins_with_one=st.booleans())
def test_the_truth_lies_in_the_interval(
    no_events: NoEvents, steps: list[tuple[str, int, int, int]], begins_with_one: bool
) -> None:
    """Of two processors one gets every span, the other is told later what was dropped: its intervals hold the truth."""
    slos = (PLAIN, minutes(no_events=no_events), FRESH, JOURNEY, BOTH)
    whole, lossy = Bench(*slos, epoch=START), Bench(*slos, epoch=START)
    for bench in (whole, lossy):
        send(bench, NOW, good=int(begins_with_one))
        wait(bench, NOW + MINUTE)
    dropped, untold_since = 0, 0
    for what, good, bad, seconds in [*steps, ("tell", 0, 0, 1)]:
        at = lossy.now
        if what in ("arrive", "drop"):
            send(whole, at, good=good, bad=bad)
        if what == "arrive":
            send(lossy, at, good=good, bad=bad)
        elif what == "drop" and good + bad:
            dropped, untold_since = dropped + good + bad, untold_since or at
        if what == "tell" or (untold_since and at + seconds * SECOND - untold_since > TOLD_NS - 3 * MINUTE):
            tell(lossy, dropped, at)
            untold_since = 0
        for bench in (whole, lossy):
            wait(bench, at + seconds * SECOND)
    for slo in slos:
        _compare(lossy, whole, slo.name)


def _compare(lossy: Bench, whole: Bench, name: str) -> None:
    incomplete = lossy.status(name).incomplete
    bounds = {one.length_ns: one.burn for one in incomplete.burns} if incomplete else {}
    for seen, truth in zip(lossy.status(name).burns, whole.status(name).burns, strict=True):
        within = bounds.get(seen.length_ns)
        if within is None:
            assert seen.burn == truth.burn, (name, seen.length_ns)
        elif truth.burn is not None:
            assert within.low <= truth.burn <= within.high, (name, seen.length_ns)
