"""The Prometheus exposition: metric families made of a snapshot, in the format that the scraper asks for.

A series without a value is absent: NaN would poison every sum over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Timestamp

from sloburn.duration import SECOND, format_duration
from sloburn.outputs.wording import clean
from sloburn.sli.status import SloState, SloStatus, Snapshot
from sloburn.slo import naming
from sloburn.slo.alerting import AlertState
from sloburn.slo.model import WeightedIndicator
from sloburn.slo.timed import slice_ns_of

_SLO_LABELS = (naming.LABEL_SLO, naming.LABEL_SERVICE, naming.LABEL_GROUP)
BUILD = "sloburn_build"
_TRACE_ID, _SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")


class TallyKind(StrEnum):
    """What a tally's value may do."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class TallySample:
    """One number that something other than the engine counts: the receiver, the store.

    Args:
        name: Metric name from `slo.naming`; a counter's ends in ``_total``.
        kind: Counter or gauge.
        help: What it counts; the first sample of a name decides.
        labels: Names and values; every sample of a name has the same names in the same order.
        value: The number; never NaN.
    """

    name: str
    kind: TallyKind
    help: str
    labels: tuple[tuple[str, str], ...] = ()
    value: float


def render_metrics(
    snapshot: Snapshot | None, tally_samples: Iterable[TallySample] = (), *, accept: str = ""
) -> tuple[str, bytes]:
    """Write every metric.

    Args:
        snapshot: What is known; None before the engine's first evaluation.
        tally_samples: What else is counted.
        accept: The scraper's ``Accept`` header: OpenMetrics if it names it, else the classic text format.

    Returns:
        Content type and body.
    """
    encode, content_type = choose_encoder(accept)
    return content_type, encode(_Families(snapshot, tuple(tally_samples)))


@dataclass(frozen=True, slots=True)
class _Families(Collector):
    snapshot: Snapshot | None
    tally_samples: Sequence[TallySample]

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(BUILD, "Which sloburn this is.", {"version": installed_version()})
        if self.snapshot is not None:
            yield from _slo_families(self.snapshot.statuses)
            yield _items(self.snapshot)
            yield from [_lost(self.snapshot)] if self.snapshot.lost else []
            yield from [_leads(self.snapshot)] if self.snapshot.clock_leads else []
        yield from _tally_families(self.tally_samples)


@cache
def installed_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("sloburn")
    except PackageNotFoundError:  # a checkout on the path, not installed
        return "unknown"


def _slo_families(statuses: Sequence[SloStatus]) -> Iterator[Metric]:
    yield _events(statuses)
    yield from _promises(statuses)
    yield from _ratios(statuses)
    yield _burns(statuses)
    yield _alert_states(statuses)
    yield _slo_states(statuses)
    yield from _gaps(statuses)


def _labels(status: SloStatus) -> list[str]:
    return [clean(status.slo.name), clean(status.slo.service), naming.group_label(status.group)]


def _events(statuses: Sequence[SloStatus]) -> Metric:
    labels = (*_SLO_LABELS, naming.LABEL_OUTCOME)
    family = CounterMetricFamily(naming.EVENTS_TOTAL, "Events ever counted.", labels=labels)
    for status in statuses:
        if isinstance(status.slo.indicator, WeightedIndicator):
            continue  # the sum of its members' events has another ratio than the SLO
        family.add_metric([*_labels(status), "good"], status.lifetime.good)
        family.add_metric([*_labels(status), "bad"], status.lifetime.bad, exemplar=exemplar_of(status))
    return family


def exemplar_of(status: SloStatus) -> Exemplar | None:
    """Return the newest failing trace as an exemplar of the bad events; None if none is known.

    Only ids of W3C Trace Context are let through, so names and values together have 63 characters: OpenMetrics 1.0,
    "Exemplars", allows 128. The classic text format has no exemplars and leaves them out.
    """
    for trace in status.failing:
        if _TRACE_ID.fullmatch(trace.trace_id) and _SPAN_ID.fullmatch(trace.span_id):
            seconds, rest = divmod(trace.at_unix_nano, SECOND)
            return Exemplar({"trace_id": trace.trace_id, "span_id": trace.span_id}, 1, Timestamp(seconds, rest))
    return None


def _promises(statuses: Sequence[SloStatus]) -> Iterator[Metric]:
    objective = _gauge(naming.OBJECTIVE_RATIO, "Share of events that must be good.")
    period = _gauge(naming.PERIOD_SECONDS, "Length of the period that runs.")
    slices = _gauge(naming.SLICE_SECONDS, "Length of the slices of time that are counted; absent where events are.")
    for status in statuses:
        _add(slices, _labels(status), Fraction(slice_ns_of(status.slo.indicator), SECOND) or None)
        objective.add_metric(_labels(status), float(status.slo.objective))
        period.add_metric(_labels(status), status.slo.period.length_ns / SECOND)
    yield objective
    yield period
    yield slices


def _ratios(statuses: Sequence[SloStatus]) -> Iterator[Metric]:
    sli = _gauge(naming.SLI_RATIO, "Share of the period's events that were good; absent without events.")
    remaining = _gauge(
        naming.BUDGET_REMAINING_RATIO,
        "Share of the error budget that is left, below zero once overspent; absent without events.",
    )
    seconds = _gauge(
        naming.BUDGET_REMAINING_SECONDS,
        "How long a total outage may still last at the current traffic, or time may still be bad; absent if unknown.",
    )
    for status in statuses:
        _add(sli, _labels(status), status.sli)
        _add(remaining, _labels(status), status.budget_remaining)
        _add(seconds, _labels(status), None if status.outage_ns is None else Fraction(status.outage_ns, SECOND))
    yield sli
    yield remaining
    yield seconds


def _burns(statuses: Sequence[SloStatus]) -> Metric:
    text = "How many times faster than allowed the budget goes, by look-back; absent without events."
    family = _gauge(naming.BURN_RATE, text, naming.LABEL_WINDOW)
    for status in statuses:
        for burn in status.burns:
            _add(family, [*_labels(status), format_duration(burn.length_ns)], burn.burn)
    return family


def _alert_states(statuses: Sequence[SloStatus]) -> Metric:
    family = _gauge(
        naming.ALERT_STATE,
        "1 for the state of the alert, else 0.",
        naming.LABEL_SEVERITY,
        naming.LABEL_ALERT,
        naming.LABEL_STATE,
    )
    for status in statuses:
        for alert in status.alerts:
            for state in AlertState:
                labels = [*_labels(status), alert.severity.value, alert.kind, state.value]
                family.add_metric(labels, float(alert.state is state))
    return family


def _slo_states(statuses: Sequence[SloStatus]) -> Metric:
    family = _gauge(naming.SLO_STATE, "1 for the state of the SLO, else 0.", naming.LABEL_STATE)
    for status in statuses:
        for state in SloState:
            family.add_metric([*_labels(status), state.value], float(status.state is state))
    return family


def _gaps(statuses: Sequence[SloStatus]) -> Iterator[Metric]:
    """Yield what is missing and how far it can move the burn rates; absent where nothing is known to be missing."""
    missing = _gauge(naming.MISSING_EVENTS, "The most events lost, or slices in doubt.", naming.LABEL_WINDOW)
    low = _gauge(naming.BURN_RATE_LOW, "Burn rate if every missing event was good.", naming.LABEL_WINDOW)
    high = _gauge(naming.BURN_RATE_HIGH, "Burn rate if every missing event was bad.", naming.LABEL_WINDOW)
    for status in statuses:
        for one in status.incomplete.burns if status.incomplete else ():
            labels = [*_labels(status), format_duration(one.length_ns)]
            missing.add_metric(labels, one.missing)
            low.add_metric(labels, float(one.burn.low))
            high.add_metric(labels, float(one.burn.high))
    yield from (family for family in (missing, low, high) if family.samples)


def _lost(snapshot: Snapshot) -> Metric:
    family = CounterMetricFamily(
        naming.LOST_EVENTS_TOTAL,
        "Spans, records and data points that never came, by service (empty if not known), signal and who lost them.",
        labels=(naming.LABEL_SERVICE, naming.LABEL_SIGNAL, naming.LABEL_SOURCE),
    )
    for labels, count in sorted(snapshot.lost.items()):
        family.add_metric([clean(label) for label in labels], count)
    return family


def _leads(snapshot: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        naming.SENDER_CLOCK_LEAD_SECONDS,
        "How far a service's clock was ahead of ours in the last minutes; absent below a few seconds.",
        labels=(naming.LABEL_SERVICE,),
    )
    for service, lead_ns in sorted(snapshot.clock_leads.items()):
        family.add_metric([clean(service)], lead_ns / SECOND)
    return family


def _items(snapshot: Snapshot) -> Metric:
    labels = (naming.LABEL_SIGNAL, naming.LABEL_OUTCOME)
    family = CounterMetricFamily(
        naming.ITEMS_TOTAL, "Spans, data points and log records by what became of them.", labels=labels
    )
    for (signal, fate), count in sorted(snapshot.items.items()):
        family.add_metric([clean(signal), clean(fate)], count)
    return family


def _tally_families(samples: Sequence[TallySample]) -> Iterator[Metric]:
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for sample in samples:
        family = families.get(sample.name)
        if family is None:
            kind: Any = CounterMetricFamily if sample.kind is TallyKind.COUNTER else GaugeMetricFamily
            family = families[sample.name] = kind(sample.name, sample.help, labels=[key for key, _ in sample.labels])
        family.add_metric([clean(value) for _, value in sample.labels], sample.value)
    yield from families.values()


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=(*_SLO_LABELS, *labels))


def _add(family: GaugeMetricFamily, labels: Sequence[str], value: Fraction | None) -> None:
    if value is not None:
        family.add_metric(labels, float(value))
