"""What a status says: states, alerts, the budget and its curve."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.sli.commit import Commit
from sloburn.sli.status import SloState
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import BudgetLevel, Severity
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import PointSpec, SpanSpec, metric_request, trace_request


class Traffic:
    """Sends one span a second."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.number = 0

    def run(self, seconds: int, *, error: bool = False, per_second: int = 1) -> None:
        """Send spans and move the clock along."""
        for _ in range(seconds):
            self.bench.now += SECOND
            self.number += per_second
            ends = range(self.number - per_second + 1, self.number + 1)
            self.bench.traces(trace_request([SpanSpec(number=n, end=self.bench.now, error=error) for n in ends]))


def test_states_follow_the_telemetry() -> None:
    """Nothing heard is no data; heard without events is no traffic; with events it is ok."""
    bench = Bench(span_slo())
    assert bench.status().state is SloState.NO_DATA
    bench.metrics(metric_request("other", [PointSpec(time=NOW, start=NOW)]))
    assert bench.status().state is SloState.NO_TRAFFIC
    Traffic(bench).run(1)
    assert bench.status().state is SloState.OK
    bench.now += 6 * MINUTE
    assert bench.status().state is SloState.NO_DATA


def test_a_total_outage_pages_when_the_workbook_says() -> None:
    """After six clean hours of steady traffic a total outage at 99.9 % fires after 51.84 s, within one evaluation."""
    bench = Bench(span_slo())
    traffic = Traffic(bench)
    history = 6 * HOUR // SECOND + 5
    bench.traces(trace_request([SpanSpec(number=10**6 + age, end=NOW - age * SECOND) for age in range(history)]))
    began = bench.now
    while bench.status().alerts[0].state is not AlertState.FIRING:
        traffic.run(1, error=True)
    assert (bench.now - began) / SECOND == 52


def test_alerts_freeze_without_data() -> None:
    """Silence neither resolves an alert that fires nor fires one: the state says so instead."""
    bench = Bench(span_slo())
    Traffic(bench).run(60, error=True)
    assert bench.status().alerts[0].state is AlertState.FIRING
    bench.now += 2 * HOUR
    status = bench.status()
    assert (status.state, status.alerts[0].state) == (SloState.NO_DATA, AlertState.FIRING)


def test_an_alert_resolves_after_good_traffic() -> None:
    """When the short window holds good events again the page resolves, and the state is no longer burning for it."""
    bench = Bench(span_slo(objective="0.99"))
    traffic = Traffic(bench)
    traffic.run(300, error=True)
    assert bench.status().state is SloState.BURNING
    traffic.run(40 * 60, per_second=2)
    assert [alert.state for alert in bench.status().alerts] == [AlertState.RESOLVED, AlertState.FIRING]


def test_few_errors_are_pending_only() -> None:
    """Four errors on an idle service leave the page pending: one error never pages."""
    bench = Bench(span_slo())
    Traffic(bench).run(4, error=True)
    assert bench.status().alerts[0].state is AlertState.PENDING


def test_budget_and_exhaustion() -> None:
    """Half the budget is left at a burn of a half: it lasts until the period is full, and then as long again."""
    bench = Bench(span_slo(objective="0.99"))
    spans = [SpanSpec(number=n, end=NOW, error=n <= 5) for n in range(1, 1001)]
    bench.traces(trace_request(spans))
    status = bench.status()
    assert (status.count, status.budget_remaining, status.sli) == (Count(995, 5), Fraction(1, 2), Fraction(199, 200))
    assert status.exhaustion_ns == 60 * DAY


def test_the_time_to_exhaustion_of_a_young_slo() -> None:
    """After nine good hours every tenth event fails for an hour: the budget grows as events come, and is gone soon."""
    bench = Bench(span_slo(objective="0.98"))
    for minute in range(1, 601):
        at, fails = NOW - minute * MINUTE, minute <= 60
        numbers = range(20 * minute, 20 * minute + 10)
        bench.traces(trace_request([SpanSpec(number=n, end=at, error=fails and n % 10 == 0) for n in numbers]))
    # 60 of the 120 that 6,000 events allow; at 600 events an hour bad ones gain 60 - 12 an hour on what is allowed.
    assert bench.status().exhaustion_ns == pytest.approx((120 - 60) / (60 - 12) * HOUR, rel=0.001)


def test_an_exhausted_budget_is_a_state() -> None:
    """Once the budget is overspent and no alert fires any more, the state is exhausted."""
    bench = Bench(span_slo())
    bench.traces(trace_request([SpanSpec(number=n, end=NOW - 5 * DAY, error=True) for n in range(1, 11)]))
    Traffic(bench).run(10)
    assert bench.status().state is SloState.EXHAUSTED


def test_the_budget_curve_ends_at_what_is_left() -> None:
    """The curve begins full, never rises, and ends at the budget that is left."""
    bench = Bench(span_slo(objective="0.5"))
    ages = [20 * DAY, 10 * DAY, 9 * DAY, HOUR, 0]
    bench.traces(
        trace_request([SpanSpec(number=n, end=NOW - age, error=n % 2 == 0) for n, age in enumerate(ages * 4, 1)])
    )
    status = bench.status()
    remaining = [point.remaining for point in status.budget]
    assert (remaining[0], remaining[-1]) == (Fraction(1), status.budget_remaining)
    assert remaining == sorted(remaining, reverse=True)
    assert sum((point.count for point in status.budget), Count()) == status.count


def test_scaled_windows_keep_their_factors() -> None:
    """On a clock that runs 60 times as fast one hour is one minute; the burn factors stay."""
    bench = Bench(span_slo(), time_scale=60)
    window = bench.status().pairs[0].window
    assert (window.long_ns, window.short_ns, window.factor) == (MINUTE, 5 * SECOND, Fraction("14.4"))
    assert bench.snapshot().time_scale == 60


def test_a_snapshot_never_changes() -> None:
    """A status that is read late says what it would have said at once, whatever was counted meanwhile."""
    early, late = Bench(span_slo(objective="0.5")), Bench(span_slo(objective="0.5"))
    for bench in (early, late):
        spans = [SpanSpec(number=n, end=NOW - n * HOUR, error=n % 3 == 0, values={"a": n}) for n in range(1, 200)]
        bench.traces(trace_request(spans))
    read_late = late.status()
    more = [SpanSpec(number=n, end=NOW - n % 99 * HOUR, error=True, exception="Timeout") for n in range(200, 900)]
    late.traces(trace_request(more))
    late.snapshot()
    read_early = early.status()
    for name in ("count", "lifetime", "sli", "budget_remaining", "burns", "pairs", "failing", "suspects", "budget"):
        assert getattr(read_late, name) == getattr(read_early, name), name


def test_a_status_can_be_replaced() -> None:
    """`dataclasses.replace` gives a plain status that differs in what was asked for only."""
    status = Bench(span_slo()).status()
    changed = replace(status, count=Count(1, 2))
    assert (changed.count, changed.slo, changed.burns) == (Count(1, 2), status.slo, status.burns)


def test_what_did_not_change_is_not_evaluated_again() -> None:
    """While neither events nor slices change, the status stays the same object."""
    bench = Bench(span_slo())
    bench.now = NOW // (5 * SECOND) * 5 * SECOND
    Traffic(bench).run(1)
    first = bench.status()
    bench.now += SECOND
    assert bench.status() is first
    bench.now += 5 * SECOND
    assert bench.status() is not first


def test_many_slos_share_one_outcome() -> None:
    """What a request leaves to be stored does not grow with the number of SLOs that read it alike."""
    sizes = []
    for number in (1, 200):
        bench = Bench(*(span_slo(f"slo-{n}") for n in range(number)))
        commit = Commit()
        request = trace_request([SpanSpec(number=n, end=NOW, error=n % 2 == 0) for n in range(1, 50)])
        message = decode(Signal.TRACES, Encoding.PROTOBUF, request.SerializeToString())
        bench.engine.prepare_traces(message, NOW, commit)
        bench.engine.apply(commit)
        sizes.append(len(commit.counts))
        assert {status.count for status in bench.snapshot().statuses} == {Count(25, 24)}
    assert sizes == [2, 2]


def test_a_budget_alert_fires_and_is_no_burn() -> None:
    """A budget that trickles away is told, the state stays what it is, and the early page is not held back by it."""
    level = BudgetLevel(severity=Severity.PAGE, left=Fraction(1, 10), clear=Fraction(15, 100))
    plain = span_slo(objective="0.9")
    bench = Bench(replace(plain, alerting=replace(plain.alerting, windows=(), budget=(level,))))
    spans = [SpanSpec(number=n, end=NOW - HOUR, error=n <= 9) for n in range(1, 101)]
    bench.traces(trace_request(spans))
    status = bench.status()
    assert [(alert.kind, alert.state) for alert in status.alerts if alert.left is not None] == [
        ("budget-10%", AlertState.FIRING)
    ]
    assert status.state is SloState.OK
    bench.traces(trace_request([SpanSpec(number=n, end=NOW) for n in range(101, 111)]))
    assert bench.status().alerts[2].state is AlertState.RESOLVED
