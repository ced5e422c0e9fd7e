"""The early page in the engine: fed by telemetry, frozen by silence, made anew from the ledger after a restart."""

from __future__ import annotations

from dataclasses import replace

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.sli.early_watch import EarlyWatch
from sloburn.sli.ledger import Ledger, tiers
from sloburn.sli.status import SloState
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import Slo
from tests.promises import span_slo
from tests.sli.harness import Bench
from tests.sli.test_evaluate import Traffic
from tests.slo.test_early import rule
from tests.telemetry import SpanSpec, trace_request


def early_slo(objective: str = "0.999") -> Slo:
    """Return an SLO that asks for an early page."""
    slo = span_slo(objective=objective)
    return replace(slo, alerting=replace(slo.alerting, early_page=True))


def paged(bench: Bench) -> bool:
    """Tell whether the page fires now."""
    return bench.status().alerts[0].state is AlertState.FIRING


def seconds_to_page(bench: Bench, traffic: Traffic) -> int:
    """Fail everything until the page fires; return after how many seconds that was."""
    for second in range(1, 30):
        traffic.run(1, error=True, per_second=5)
        if paged(bench):
            return second
    return -1


def test_an_outage_pages_after_seconds_and_the_page_stays_with_the_workbook() -> None:
    """At 99.9 % and 5 events a second the page fires with the fourth failing second and is the same page later on."""
    bench = Bench(early_slo())
    traffic = Traffic(bench)
    assert bench.status().early is None
    hour = [SpanSpec(number=10**6 + age, end=bench.now - age * SECOND // 5) for age in range(18_000)]
    bench.traces(trace_request(hour))  # so that no pair of the workbook's is over at the same time
    traffic.run(10, per_second=5)
    assert seconds_to_page(bench, traffic) == 4
    status = bench.status()
    assert status.early is not None
    assert status.early.text.startswith("20 of the last 20 events failed; ")
    assert status.state is SloState.BURNING
    fired = status.alerts[0].fired_unix_nano
    traffic.run(60, error=True, per_second=5)
    assert bench.status().alerts[0].fired_unix_nano == fired


def test_without_the_option_nothing_changes() -> None:
    """An SLO that does not ask for it waits for the workbook's windows."""
    bench = Bench(replace(span_slo(), alerting=replace(span_slo().alerting, min_bad_events=1_000)))
    traffic = Traffic(bench)
    traffic.run(60, per_second=5)
    assert seconds_to_page(bench, traffic) == -1
    assert bench.status().early is None


def test_a_blip_does_not_page() -> None:
    """Three failing seconds in good traffic are no page at 99 %."""
    bench = Bench(early_slo("0.99"))
    traffic = Traffic(bench)
    traffic.run(120, per_second=5)
    traffic.run(3, error=True, per_second=5)
    traffic.run(60, per_second=5)
    assert bench.status().alerts[0].fired_unix_nano == 0


def test_old_failures_do_not_begin_a_page() -> None:
    """A backlog of an outage that ended minutes ago is counted and does not page early."""
    bench = Bench(early_slo("0.99"))
    late = [SpanSpec(number=n, end=bench.now - 10 * MINUTE + n * SECOND // 5, error=True) for n in range(1, 60)]
    bench.traces(trace_request(late))
    status = bench.status()
    assert (status.early, status.count.bad) == (None, 59)


def test_a_running_page_survives_quiet_seconds() -> None:
    """Once it fires at slow traffic, a minute without an event does not end it."""
    bench = Bench(early_slo())
    for number in range(1, 6):
        bench.now += MINUTE
        bench.traces(trace_request([SpanSpec(number=number, end=bench.now, error=True)]))
        bench.status()
    assert paged(bench)
    bench.now += 2 * MINUTE
    assert paged(bench)


def watch_and_ledger() -> tuple[EarlyWatch, Ledger]:
    """Return a watch that knows nothing and the ledger of twenty failing seconds after a good minute."""
    ledger = Ledger(tiers(30 * 24 * HOUR))
    for second in range(1_000, 1_080):
        ledger.add(
            second * SECOND // (5 * SECOND) * 5 * SECOND, 0 if second >= 1_060 else 5, 5 if second >= 1_060 else 0
        )
    return EarlyWatch(rule()), ledger


def test_a_restart_makes_the_slices_anew_from_the_ledger() -> None:
    """What the ledger's slices hold is evidence again, without having been stored."""
    watch, ledger = watch_and_ledger()
    evidence = watch.look(ledger, Count(300, 100), 1_079 * SECOND, firing=False)
    assert evidence is not None
    assert (evidence.bad, evidence.total) == (20, 20)


def test_excluded_time_is_no_evidence() -> None:
    """Seconds inside a maintenance window are passed over."""
    watch, ledger = watch_and_ledger()
    hidden = [Interval(1_055 * SECOND, 1_078 * SECOND)]
    assert watch.look(ledger, Count(300, 0), 1_079 * SECOND, firing=False, hidden=hidden) is None


def test_what_the_journal_brought_is_not_counted_twice() -> None:
    """Seconds that were fed already keep their own resolution when the rest is made from the ledger."""
    watch, ledger = watch_and_ledger()
    for second in range(1_075, 1_080):
        watch.add(second * SECOND, 0, 5)
    evidence = watch.look(ledger, Count(300, 100), 1_079 * SECOND, firing=False)
    assert evidence is not None
    assert evidence.total == evidence.bad == 20
