"""SLOs over slices of time and over other SLOs, as documents write them."""

from __future__ import annotations

from fractions import Fraction

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.slo.conditions import AnyOf
from sloburn.slo.model import (
    FreshnessIndicator,
    JourneyIndicator,
    LogIndicator,
    MetricIndicator,
    NoEvents,
    SlicedIndicator,
    SpanIndicator,
    WeightedIndicator,
)
from sloburn.spec import parse_slos
from tests.spec.documents import INDICATOR, document, read

PLAIN = read().indicator
CART = """\
version: sloburn/v1
slos:
  - {name: cart, service: shop, objective: 99, period: 30d, indicator: {spans: {}, bad: {status: error}}}
  - {name: pay, service: bank, objective: 99, period: 30d, indicator: {spans: {}, bad: {status: error}}}
"""


def test_slices_keep_the_indicator_of_their_events() -> None:
    """``slices`` puts the events of any indicator into slices; empty ones are ignored unless it says otherwise."""
    slo = read(slices="{length: 1m, target: 95%}")
    assert slo.indicator == SlicedIndicator(source=PLAIN, slice_ns=MINUTE, target=Fraction(95, 100))  # type: ignore[arg-type]
    other = read(slices="{length: 30s, target: 99.5, no_events: bad}").indicator
    assert isinstance(other, SlicedIndicator)
    assert (other.slice_ns, other.target, other.no_events) == (30 * SECOND, Fraction(995, 1000), NoEvents.BAD)


def test_silent_groups_may_be_bad() -> None:
    """A slice in which a group says nothing may be bad: one that was silent for a period is gone and counts no more."""
    slo = read(slices="{length: 1m, target: 95%, no_events: bad}", group_by="[http.route]")
    assert isinstance(slo.indicator, SlicedIndicator)
    assert (slo.indicator.no_events, slo.group_by) == (NoEvents.BAD, ("http.route",))


def test_two_bad_slices_page_unless_the_document_says_otherwise() -> None:
    """A slice stands for many events, so two of them are enough; what is written holds."""
    assert read(slices="{length: 1m, target: 95%}").alerting.min_bad_events == 2
    assert read(slices="{length: 1m, target: 95%}", alerting="{min_bad_events: 7}").alerting.min_bad_events == 7


def test_short_windows_are_lengthened_with_a_note() -> None:
    """A window of 5 min holds one slice of 5 min at the most: it is lengthened, and a note says so."""
    alerting = read(slices="{length: 5m, target: 95%}").alerting
    assert alerting.windows[0].short_ns == 10 * MINUTE
    assert "lengthened to 10m" in alerting.notes[0]


def test_freshness_of_all_events() -> None:
    """Where nothing says which events are good, every event that comes keeps it fresh."""
    slo = read(indicator="{freshness: {of: {spans: {kind: consumer}}, within: 15m}}")
    assert isinstance(slo.indicator, FreshnessIndicator)
    assert isinstance(slo.indicator.source, SpanIndicator)
    assert slo.indicator.source.bad == AnyOf()
    assert (slo.indicator.within_ns, slo.indicator.slice_ns, slo.indicator.every_ns) == (15 * MINUTE, MINUTE, 0)


def test_freshness_of_good_events_of_every_signal() -> None:
    """Spans, metrics and log records can keep something fresh, all of them or the good ones."""
    logs = read(indicator="{freshness: {of: {logs: {event: import.done}}, within: 15m, slice: 30s}}").indicator
    metric = read(indicator="{freshness: {of: {metric: jobs.done, bad: {outcome: failed}}, within: 1h}}").indicator
    assert isinstance(logs, FreshnessIndicator)
    assert isinstance(metric, FreshnessIndicator)
    assert isinstance(logs.source, LogIndicator)
    assert isinstance(metric.source, MetricIndicator)
    assert metric.source.bad != AnyOf()


def test_a_heartbeat_is_overdue_after_interval_and_grace() -> None:
    """Interval and grace together are the age that an event may have; old ones are told apart in slices of 5 min."""
    slo = read(indicator=f"{{heartbeat: {{of: {INDICATOR}, every: 7d, grace: 2h}}}}")
    expected = FreshnessIndicator(
        source=PLAIN,  # type: ignore[arg-type]
        within_ns=7 * DAY + 2 * HOUR,
        slice_ns=5 * MINUTE,
        every_ns=7 * DAY,
    )
    assert slo.indicator == expected


def test_a_journey_needs_no_service() -> None:
    """A journey names its members and what they must keep; a service would be only a label."""
    text = (
        CART + "  - {name: buy, objective: 99, period: 30d, indicator: {journey: {members: [cart, pay], target: 95%}}}"
    )
    *_, slo = parse_slos(text, "slos.yaml")
    assert slo.indicator == JourneyIndicator(members=("cart", "pay"), slice_ns=MINUTE, target=Fraction(95, 100))
    assert (slo.service, slo.alerting.min_bad_events) == ("", 2)


def test_weights_are_exact() -> None:
    """Weights are decimals that stay what they are."""
    text = CART + "  - {name: all, objective: 99, period: 7d, indicator: {weighted: {members: {cart: 0.1, pay: 2}}}}"
    *_, slo = parse_slos(text, "slos.yaml")
    assert slo.indicator == WeightedIndicator(members=(("cart", Fraction(1, 10)), ("pay", Fraction(2))))


def test_members_may_stand_in_any_order() -> None:
    """A composite SLO may stand before its members."""
    entry = "  - {name: buy, objective: 99, period: 30d, indicator: {journey: {members: [cart, pay]}}}\n"
    head, entries = CART.split("slos:\n")
    assert [slo.name for slo in parse_slos(f"{head}slos:\n{entry}{entries}", "slos.yaml")] == ["buy", "cart", "pay"]


def test_several_objectives_share_one_indicator() -> None:
    """Each objective becomes an SLO of its own, whose name does not change with the number."""
    objectives = "[{name: strict, objective: 99.9}, {name: loose, objective: 99, alerting: {min_bad_events: 9}}]"
    text = document(objectives=objectives).replace("    objective: 99.9\n", "")
    strict, loose = parse_slos(text, "slos.yaml")
    assert (strict.name, strict.objective) == ("checkout-availability-strict", Fraction(999, 1000))
    assert (loose.name, loose.objective) == ("checkout-availability-loose", Fraction(99, 100))
    assert strict.indicator == loose.indicator == PLAIN
    assert (strict.alerting.min_bad_events, loose.alerting.min_bad_events) == (5, 9)


def test_several_thresholds_of_one_indicator() -> None:
    """An objective may have a threshold of its own; what is selected stays the same."""
    objectives = "[{name: fast, objective: 90, good: {le: 300ms}}, {name: slow, objective: 99, good: {le: 1s}}]"
    text = document(indicator="{metric: http.server.request.duration}", objectives=objectives)
    fast, slow = parse_slos(text.replace("    objective: 99.9\n", ""), "slos.yaml")
    assert isinstance(fast.indicator, MetricIndicator)
    assert isinstance(slow.indicator, MetricIndicator)
    assert (fast.indicator.threshold, slow.indicator.threshold) == (Fraction(3, 10), Fraction(1))
