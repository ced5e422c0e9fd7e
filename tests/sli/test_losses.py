"""What was lost on its way makes every number an interval that holds the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.sdk.exporters.self_metrics import measure_exports
from sloburn.sdk.exporters.worker import SignalStatus
from sloburn.sli.incomplete import Incomplete
from sloburn.sli.loss_points import counter_of
from sloburn.slo.budget import Count
from sloburn.slo.conditions import AllOf, AnyOf
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.missing import Bounds
from sloburn.slo.model import LogIndicator
from tests.promises import metric_slo, span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import DELTA, PointSpec, SpanSpec, metric_request, trace_request

SDK_EXPORT = "otel.sdk.exporter.span.exported"
SDK_QUEUE = "otel.sdk.processor.span.processed"
SENT = "otelcol_exporter_send_failed_spans"
START = NOW - 10 * MINUTE
LOST = {"error.type": "queue_full"}


def sdk(bench: Bench, value: int, at: int = 0, name: str = SDK_QUEUE, **values: str) -> None:
    """Send a cumulative drop counter of the service; `at` is seconds after NOW."""
    point = PointSpec(time=NOW + at * SECOND, start=START, value=value, values={**LOST, **values})
    bench.metrics(metric_request(name, [point]))


def collector(bench: Bench, value: int, name: str = SENT, **values: str) -> None:
    """Send a cumulative drop counter of a Collector."""
    point = PointSpec(time=NOW, start=START, value=value, values=values)
    bench.metrics(metric_request(name, [point], service="otelcol-contrib"))


def spans(bench: Bench, good: int, bad: int, service: str = "shop") -> None:
    """Send spans that end at NOW."""
    specs = [SpanSpec(number=number + 1, end=NOW, error=number < bad) for number in range(good + bad)]
    bench.traces(trace_request(specs, service=service))


def found(bench: Bench, name: str | None = None) -> Incomplete:
    """Return how incomplete an SLO is; it is."""
    incomplete = bench.status(name).incomplete
    assert incomplete is not None
    return incomplete


def test_lost_events_make_an_interval() -> None:
    """90 good and 10 bad events with 100 lost: between 10 and 110 bad of 200."""
    bench = Bench(span_slo(objective="0.9"))
    spans(bench, 90, 10)
    sdk(bench, 100)
    incomplete = found(bench)
    assert (incomplete.missing, incomplete.of) == (100, 200)
    assert incomplete.sli == Bounds(low=Fraction(90, 200), high=Fraction(190, 200))
    assert incomplete.budget_remaining == Bounds(low=1 - Fraction(110, 20), high=1 - Fraction(10, 20))
    assert incomplete.alert_burn is not None
    assert incomplete.alert_burn.burn == Bounds(low=Fraction(10, 20), high=Fraction(110, 20))
    assert incomplete.sources == (("dropped by the SDK before export", 100),)


def test_the_observed_numbers_and_alerts_stay() -> None:
    """Losses change neither the counts nor an alert: they are told beside them."""
    bench = Bench(span_slo(objective="0.9"))
    spans(bench, 100, 0)
    sdk(bench, 1_000_000)
    status = bench.status()
    assert status.count == Count(good=100)
    assert [alert.state.value for alert in status.alerts] == ["inactive"] * len(status.alerts)
    assert status.notes == (
        "incomplete: up to 1,000,000 of 1,000,100 events are missing (1,000,000 dropped by the SDK before export); "
        "burn over 1 h between 0 and 10",
    )


def test_nothing_lost_is_complete() -> None:
    """Points without an error count what arrived, and a counter of zero counts nothing."""
    bench = Bench(span_slo())
    spans(bench, 10, 0)
    bench.metrics(metric_request(SDK_EXPORT, [PointSpec(time=NOW, start=START, value=500)]))
    sdk(bench, 0)
    collector(bench, 0, exporter="otlp_http/sloburn")
    status = bench.status()
    assert (status.incomplete, status.notes) == (None, ())
    assert bench.snapshot().lost == {}


def test_only_slos_of_the_service_and_signal_are_concerned() -> None:
    """A service's lost spans concern its SLOs on spans, its lost records those on logs; neither concerns metrics."""
    records = replace(span_slo("records"), indicator=LogIndicator(where=AllOf(), bad=AnyOf()))
    bench = Bench(span_slo(), span_slo("other", service="bank"), metric_slo("points"), records)
    sdk(bench, 7)
    assert [one.incomplete is not None for one in bench.snapshot().statuses] == [True, False, False, False]
    sdk(bench, 8, name="otel.sdk.processor.log.processed")
    assert (found(bench, "availability").missing, found(bench, "records").missing) == (7, 8)


def test_what_a_collector_lost_may_be_anybodys() -> None:
    """A Collector does not say whose spans it lost, so they may have been those of every service."""
    bench = Bench(span_slo(), span_slo("other", service="bank"))
    collector(bench, 30, exporter="otlp_http/sloburn")
    collector(bench, 4, name="otelcol_receiver_refused_spans", receiver="otlp", transport="http")
    for name in ("availability", "other"):
        assert found(bench, name).sources == (
            ("not sent by a Collector", 30),
            ("refused by a Collector's receiver", 4),
        )
    assert bench.snapshot().lost == {
        ("", "traces", "not sent by a Collector"): 30,
        ("", "traces", "refused by a Collector's receiver"): 4,
    }


def test_what_other_exporters_lose_is_not_lost_to_us() -> None:
    """Only exporters that send to us matter: what did not reach Jaeger did reach us."""
    bench = Bench(span_slo())
    collector(bench, 30, exporter="otlp_grpc/jaeger")
    assert bench.status().incomplete is None


def test_spans_that_are_refused_here_are_missing_too() -> None:
    """A span from the future and one that ends before it begins are events that nobody can count."""
    bench = Bench(span_slo())
    late = SpanSpec(number=3, end=NOW - 40 * DAY)
    future, backward = SpanSpec(number=1, end=NOW + HOUR), SpanSpec(number=2, end=NOW, duration=-1)
    refused = bench.traces(trace_request([future, backward, late]))
    assert len(refused) == 3
    assert found(bench).sources == (("refused by sloburn", 2),)  # the late one is older than every window


def test_counters_are_read_as_counters() -> None:
    """Resets, restarts, repeated points and several instances add up to what was lost."""
    bench = Bench(span_slo())
    for value, at in [(5, 0), (5, 0), (9, 1), (2, 2), (6, 3)]:
        sdk(bench, value, at)
    sdk(bench, 100, 3, instance="b")
    assert found(bench).missing == 5 + 4 + 2 + 4 + 100


def test_delta_counters_add_up() -> None:
    """Delta points add what they say, each interval once."""
    bench = Bench(span_slo())
    for at in (1, 2, 2, 3):
        point = PointSpec(time=NOW + at * SECOND, start=NOW + (at - 1) * SECOND, value=5, values=LOST)
        bench.metrics(metric_request(SDK_EXPORT, [point], temporality=DELTA))
    bench.now += 5 * SECOND
    assert found(bench).missing == 15


@given(st.permutations(range(1, 9)))
def test_delta_counters_add_up_in_any_order(order: list[int]) -> None:
    """What several Collectors bring out of order is added once each, and what is sent again is not."""
    bench = Bench(span_slo())
    for at in (*order, *order):
        point = PointSpec(time=NOW + at * SECOND, start=NOW + (at - 1) * SECOND, value=at, values=LOST)
        bench.metrics(metric_request(SDK_EXPORT, [point], temporality=DELTA))
    bench.now += 10 * SECOND
    assert found(bench).missing == sum(order)


def test_a_delta_that_is_too_old_to_tell_is_added() -> None:
    """Of what was lost the most is told: an interval that is remembered no more counts."""
    bench = Bench(span_slo())
    for at in (*range(2, 40), 1):
        point = PointSpec(time=NOW + at * SECOND, start=NOW + (at - 1) * SECOND, value=1, values=LOST)
        bench.metrics(metric_request(SDK_EXPORT, [point], temporality=DELTA))
    bench.now += MINUTE
    assert found(bench).missing == 39


def test_what_was_lost_before_our_time_is_not_missing() -> None:
    """A counter that began before the store is a base line; what it gains later is lost."""
    bench = Bench(span_slo(), epoch=START + 1)
    sdk(bench, 1_000)
    assert bench.status().incomplete is None
    sdk(bench, 1_003, at=1)
    bench.now += SECOND
    assert found(bench).missing == 3


def test_old_losses_leave_the_windows() -> None:
    """Two hours later the hour is complete again, and the period is not; after the period all is."""
    bench = Bench(span_slo())
    spans(bench, 10, 0)
    sdk(bench, 10)
    bench.now += 2 * HOUR
    incomplete = found(bench)
    assert (incomplete.alert_burn, incomplete.missing) == (None, 10)
    assert "between 50 % and 100 % of the period's were good" in incomplete.text
    bench.now += 30 * DAY
    assert bench.status().incomplete is None


def test_losses_in_excluded_time_do_not_count() -> None:
    """What was lost during maintenance is excluded like what was counted during it."""
    maintenance = OneOff(name="move", interval=Interval(NOW - HOUR, NOW + MINUTE))
    bench = Bench(span_slo(), replace(span_slo("maintained"), exclusions=(maintenance,)))
    sdk(bench, 10)
    bench.now += 5 * MINUTE
    assert (found(bench, "availability").missing, bench.status("maintained").incomplete) == (10, None)


def test_losses_told_early_in_excluded_time_count() -> None:
    """What was told in the first minutes of a maintenance may have been lost before it: then it counts."""
    maintenance = OneOff(name="move", interval=Interval(NOW - 4 * MINUTE, NOW + HOUR))
    bench = Bench(replace(span_slo("maintained"), exclusions=(maintenance,)))
    sdk(bench, 10)
    bench.now += 5 * MINUTE
    assert found(bench, "maintained").missing == 10


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 2.0**60])
def test_counters_that_count_nothing_are_passed_over(value: float) -> None:
    """A drop counter that is no number of items loses nothing and stops nothing."""
    bench = Bench(span_slo())
    bench.metrics(metric_request(SDK_EXPORT, [PointSpec(time=NOW, start=START, value=value, values=LOST)]))
    bench.metrics(metric_request(SENT, [PointSpec(time=NOW, start=START, bounds=(1.0,), buckets=(1, 1))]))
    assert bench.status().incomplete is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("otel.sdk.processor.span.processed", ("dropped by the SDK before export", "traces")),
        ("otel.sdk.exporter.log.exported", ("not exported by the SDK", "logs")),
        ("otelcol_exporter_send_failed_spans", ("not sent by a Collector", "traces")),
        ("otelcol_exporter_send_failed_spans_total", ("not sent by a Collector", "traces")),
        ("otelcol_exporter_enqueue_failed_log_records__records__total", ("refused by a Collector's queue", "logs")),
        ("otelcol_receiver_failed_spans", ("refused by a Collector's receiver", "traces")),
        ("otelcol_processor_dropped_spans", ("dropped by a Collector's processor", "traces")),
        ("otelcol_exporter_send_failed_metric_points", ("not sent by a Collector", "metrics")),
        ("otel.sdk.exporter.metric_data_point.exported", ("not exported by the SDK", "metrics")),
        ("otel.sdk.exporter.span.inflight", None),
        ("otelcol_exporter_sent_spans", None),
    ],
)
def test_names_of_drop_counters(name: str, says: tuple[str, str] | None) -> None:
    """The counters of SDKs and Collectors are known by name, also as Prometheus writes them."""
    counter = counter_of(name)
    assert (counter and (counter.source.value, counter.signal.value)) == says


def test_our_sdk_is_understood() -> None:
    """What our own SDK exports about its losses is read under the names that it has there."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=Resource({"service.name": "shop"}))
    lost = {"queue_full": 5, "refused": 2, "shutdown": 1}
    status = SignalStatus(sent=10, waiting=0, lost=lost, problem="")
    measure_exports(provider.get_meter("sloburn"), lambda: {"traces": status, "logs": status})
    data = reader.get_metrics_data()
    assert data is not None
    provider.shutdown()
    bench = Bench(span_slo())
    bench.now = time.time_ns()
    bench.metrics(encode_metrics(data))
    assert found(bench).sources == (("dropped by the SDK before export", 5), ("not exported by the SDK", 3))


# --- against an oracle that knows the truth ---

WINDOWS = (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR)


@dataclass
class Sender:
    """A process that sends spans, loses some, and tells now and then how many: the truth about both.

    Args:
        bench: Where it sends.
        counter: Name of the drop counter.
        values: Its attributes.
        service: Whose metrics they are.
    """

    bench: Bench
    counter: str
    values: Mapping[str, str]
    service: str
    start: int = NOW
    lost: int = 0
    told: int = 0
    truth: list[tuple[int, bool]] = field(default_factory=list)
    reports: list[tuple[int, int]] = field(default_factory=list)

    def lose(self, at: int, good: int, bad: int) -> None:
        """Lose spans that ended at a moment."""
        self.truth += [(at, False)] * good + [(at, True)] * bad
        self.lost += good + bad

    def tell(self, at: int) -> None:
        """Report the counter."""
        point = PointSpec(time=at, start=self.start, value=self.lost, values=self.values)
        self.bench.metrics(metric_request(self.counter, [point], service=self.service))
        self.reports.append((at, self.lost - self.told))
        self.told = self.lost

    def restart(self, at: int) -> None:
        """Tell the rest and begin anew."""
        self.tell(at)
        self.start, self.lost, self.told = at + 1, 0, 0


STEP = st.tuples(
    st.sampled_from(["count", "lose", "lose", "tell", "tell", "tell again", "restart"]),
    st.integers(0, 1),  # which of the two senders
    st.integers(0, 40),  # good
    st.integers(0, 40),  # bad
    st.integers(1, 3000),  # seconds until the next step
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=25), st.integers(0, 7 * 3600))
def test_the_truth_lies_in_the_interval(steps: list[tuple[str, int, int, int, int]], after: int) -> None:
    """Whatever an SDK and a Collector lost, whenever they tell it: bounds are exact and hold what really happened."""
    bench = Bench(span_slo(objective="0.9"), epoch=NOW)
    senders = (
        Sender(bench, SDK_QUEUE, LOST, "shop"),
        Sender(bench, SENT, {"exporter": "otlp_http/sloburn"}, "otelcol"),
    )
    counted: list[tuple[int, bool]] = []
    at = NOW
    for what, which, good, bad, seconds in steps:
        at += seconds * SECOND
        bench.now = at
        if what == "count":
            _count(bench, counted, at, good, bad)
        elif what == "lose":
            senders[which].lose(at, good, bad)
        else:
            {"tell": senders[which].tell, "restart": senders[which].restart}.get(what, senders[which].tell)(at)
    for sender in senders:
        sender.tell(at + SECOND)
    bench.now = at + (after + 1) * SECOND
    _compare(bench, counted, senders)


def _count(bench: Bench, counted: list[tuple[int, bool]], at: int, good: int, bad: int) -> None:
    specs = [SpanSpec(number=len(counted) + n + 1, end=at, error=n < bad) for n in range(good + bad)]
    bench.traces(trace_request(specs))
    counted += [(at, number < bad) for number in range(good + bad)]


def _compare(bench: Bench, counted: list[tuple[int, bool]], senders: tuple[Sender, ...]) -> None:
    """Work every window out from single events, in fractions."""
    budget = Fraction(1, 10)
    incomplete = bench.status().incomplete
    bounds = {one.length_ns: one for one in incomplete.burns} if incomplete else {}
    lost = [event for sender in senders for event in sender.truth]
    for length in WINDOWS:
        slice_ns = 5 * SECOND
        begin = (bench.now - length) // slice_ns * slice_ns
        missing = sum(count for sender in senders for at, count in sender.reports if at >= begin)
        here = [is_bad for at, is_bad in counted if at >= begin]
        if not missing:
            assert length not in bounds
            continue
        total = len(here) + missing
        expected = Bounds(low=sum(here) / budget / total, high=(sum(here) + missing) / budget / total)
        assert (bounds[length].missing, bounds[length].burn) == (missing, expected)
        real = [*here, *(is_bad for at, is_bad in lost if at >= begin)]
        if real:
            assert expected.low <= sum(real) / budget / len(real) <= expected.high
