"""Where an SLO's events are in Prometheus: the selectors of all its events, and of the bad ones.

Latency is a difference of buckets. For the thresholds t1 < t2 < ... a condition is worked out for each range of
durations between two of them; the events of a range are those up to its end without those up to its begin, so bad
events are a sum of series to add without a sum of series to subtract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from sloburn.duration import SECOND, format_duration
from sloburn.rules.matching import ALWAYS, alternatives, assume, comparisons
from sloburn.rules.otel_names import label_name, le_matcher, metric_name, per_second
from sloburn.rules.promql import How, Matcher, Selector, literal
from sloburn.rules.refusals import CannotCompile
from sloburn.rules.span_metrics import OURS, SpanMetrics
from sloburn.slo import naming
from sloburn.slo.conditions import AllOf, Condition, Match, Source
from sloburn.slo.model import (
    Counter,
    CounterIndicator,
    FreshnessIndicator,
    JourneyIndicator,
    LogIndicator,
    MetricIndicator,
    SlicedIndicator,
    Slo,
    Snap,
    SpanIndicator,
    WeightedIndicator,
)

Selectors = tuple[Selector, ...]

_WEIGHTED = "the weighted mean of other SLOs is no ratio of sums; compile its members instead"
_NOT_IN_METRICS: dict[type, str] = {
    LogIndicator: "single log records",
    SlicedIndicator: "slices of time",
    FreshnessIndicator: "the time of the last good event",
    JourneyIndicator: "a journey through other SLOs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The series that an SLO's events are counted in.

    Args:
        known: Tells that their target was scraped before, so that a series which is new there began at 0.
        total: Add up to all events.
        bad: Add up to the bad events, once those of `not_bad` are taken off.
        not_bad: To be subtracted.
        group: The labels that split the SLO, each with the name of its attribute.
    """

    known: Selector
    total: Selectors
    bad: Selectors
    not_bad: Selectors = ()
    group: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSource:
    """Metrics that a Collector exposes: span_metrics for SLOs of spans, the services' own for SLOs of metrics.

    Args:
        spans: How span_metrics is configured.
        metrics: Prometheus names of metrics whose names do not follow from the instrument's, by instrument; a counter
            ends in ``_total``, a histogram has no ``_bucket``.
        job: The label that holds ``service.name`` of a service's own metrics, after its namespace and a slash.
    """

    spans: SpanMetrics = OURS
    metrics: Mapping[str, str] = field(default_factory=dict)
    job: str = "job"

    def events(self, slo: Slo) -> Events:
        """Return the series of an SLO.

        Raises:
            CannotCompile: The metrics do not tell these events apart.
        """
        match slo.indicator:
            case SpanIndicator():
                return _SpanEvents(self.spans, slo, slo.indicator).events()
            case MetricIndicator():
                return _metric_events(self, slo, slo.indicator)
            case CounterIndicator():
                return _counter_events(self, slo, slo.indicator)
            case WeightedIndicator():
                raise CannotCompile(_WEIGHTED)
            case other:
                what = _NOT_IN_METRICS.get(type(other), type(other).__name__)
                raise CannotCompile(f"no metric of the Collector tells of {what}; compile with --source sloburn")


@dataclass(frozen=True, slots=True, kw_only=True)
class SloburnSource:
    """The exact counters that processors expose; works for every indicator but weights, and sums over shards."""

    def events(self, slo: Slo) -> Events:
        """Return the series of an SLO.

        Raises:
            CannotCompile: The SLO weights others: the sums of their events have another ratio.
        """
        if isinstance(slo.indicator, WeightedIndicator):
            raise CannotCompile(_WEIGHTED)
        mine = Matcher(naming.LABEL_SLO, How.EQUAL, slo.name)
        total = Selector(naming.EVENTS_TOTAL, (mine,))
        bad = Selector(naming.EVENTS_TOTAL, (mine, Matcher(naming.LABEL_OUTCOME, How.EQUAL, "bad")))
        group = ((naming.LABEL_GROUP, ""),) if slo.group_by else ()
        return Events(known=Selector(naming.BUILD_INFO, ()), total=(total,), bad=(bad,), group=group)


@dataclass(frozen=True, slots=True)
class _SpanEvents:
    spans: SpanMetrics
    slo: Slo
    indicator: SpanIndicator

    def events(self) -> Events:
        group = tuple((self._dimension(key), key) for key in self.slo.group_by)
        limits = self._limits()
        where, bad = self.indicator.where, AllOf((self.indicator.where, self.indicator.bad))
        total, not_total = self._signed(where, limits)
        if not_total:
            raise CannotCompile("`where` selects by duration; select by attributes, and judge by duration")
        bad_terms, not_bad = self._signed(bad, limits)
        metric = f"{self.spans.duration}_count" if limits else self.spans.calls
        return Events(
            known=Selector(metric, (self._service,)), total=total, bad=bad_terms, not_bad=not_bad, group=group
        )

    @property
    def _service(self) -> Matcher:
        return Matcher("service_name", How.EQUAL, self.slo.service)

    def _limits(self) -> tuple[int, ...]:
        durations = (m for part in (self.indicator.where, self.indicator.bad) for m in comparisons(part))
        limits = sorted({int(match.operands[0]) for match in durations if match.source is Source.DURATION})
        for limit_ns in limits:
            self._require_bucket(limit_ns)
        return tuple(limits)

    def _require_bucket(self, limit_ns: int) -> None:
        buckets = self.spans.buckets
        if buckets is None or Fraction(limit_ns, SECOND) not in buckets:
            listed = ", ".join(format_duration(int(bound * SECOND)) for bound in sorted(buckets or ()))
            raise CannotCompile(
                f"{format_duration(limit_ns)} is no bucket bound of span_metrics ({listed or 'exponential'}); "
                "add it to `buckets` of the Collector's configuration and name that file with --collector"
            )

    def _signed(self, condition: Condition, limits: tuple[int, ...]) -> tuple[Selectors, Selectors]:
        """Return what to add and what to subtract; at each limit the range below it ends and the one above begins."""
        if not limits:
            return self._select(self.spans.calls, condition), ()
        bounds = (*limits, None)
        ranges = [tuple(alternatives(assume(condition, bound), self._label)) for bound in bounds]
        plus: list[Selector] = []
        minus: list[Selector] = []
        for place, bound in enumerate(bounds):
            following = ranges[place + 1] if bound is not None else ()
            if following == ranges[place]:
                continue
            plus += [self._cumulative(bound, matchers) for matchers in ranges[place]]
            minus += [self._cumulative(bound, matchers) for matchers in following]
        return tuple(plus), tuple(minus)

    def _select(self, metric: str, condition: Condition) -> Selectors:
        return tuple(Selector(metric, (self._service, *matchers)) for matchers in alternatives(condition, self._label))

    def _cumulative(self, limit_ns: int | None, matchers: tuple[Matcher, ...]) -> Selector:
        """Return the spans up to a limit, or all of them."""
        if limit_ns is None:
            return Selector(f"{self.spans.duration}_count", (self._service, *matchers))
        bound = Fraction(limit_ns, SECOND) * per_second(self.spans.duration)
        return Selector(f"{self.spans.duration}_bucket", (self._service, *matchers, le_matcher(bound)))

    def _label(self, match: Match) -> str:
        match match.source:
            case Source.NAME:
                return "span_name"
            case Source.KIND:
                return "span_kind"
            case Source.STATUS:
                return "status_code"
            case _:
                return self._dimension(match.key)

    def _dimension(self, key: str) -> str:
        if key in self.spans.dimensions:
            return label_name(key)
        known = ", ".join(sorted(self.spans.dimensions))
        raise CannotCompile(
            f"{key} is no dimension of span_metrics ({known}); add it to `dimensions` of the Collector's configuration "
            "and name that file with --collector, or compile from the processor's counters: --source sloburn"
        )


def _metric_events(source: CollectorSource, slo: Slo, indicator: MetricIndicator) -> Events:
    if indicator.snap:
        raise CannotCompile("a threshold with `snap` has no bucket of its own in metrics; use --source sloburn")
    judged, timed = indicator.threshold is not None, indicator.is_duration
    name = source.metrics.get(indicator.metric) or _usual_name(indicator.metric, judged=judged, timed=timed)
    counter = name if name.endswith("_total") else f"{name}_count"
    service = Matcher(source.job, How.MATCHES, f"(.+/)?{literal(slo.service)}")
    where = indicator.where
    total = _select(counter, service, where)
    group = tuple((label_name(key), key) for key in slo.group_by)
    known = Selector(counter, (service,))
    if indicator.threshold is None:
        bad = _select(counter, service, AllOf((where, indicator.bad or ALWAYS)))
        return Events(known=known, total=total, bad=bad, group=group)
    if name.endswith("_total"):
        raise CannotCompile(f"{name} is a counter: a threshold needs a histogram")
    if indicator.snap is not Snap.REFUSED:
        raise CannotCompile(
            "its threshold snaps to a bound that only the histogram knows; write that bound, or use --source sloburn"
        )
    le = le_matcher(indicator.threshold * (per_second(name) if indicator.is_duration else 1))
    good = tuple(Selector(f"{name}_bucket", (*one.matchers, le)) for one in total)
    return Events(known=known, total=total, bad=total, not_bad=good, group=group)


def _counter_events(source: CollectorSource, slo: Slo, indicator: CounterIndicator) -> Events:
    if indicator.total is None:
        raise CannotCompile(
            "two counters, of good and of bad events, have no third one of all; name a total, or use --source sloburn"
        )
    service = Matcher(source.job, How.MATCHES, f"(.+/)?{literal(slo.service)}")
    total, known = _counted(source, service, indicator.total)
    group = tuple((label_name(key), key) for key in slo.group_by)
    if indicator.bad is not None:
        return Events(known=known, total=total, bad=_counted(source, service, indicator.bad)[0], group=group)
    good = _counted(source, service, indicator.good or indicator.total)[0]
    return Events(known=known, total=total, bad=total, not_bad=good, group=group)


def _counted(source: CollectorSource, service: Matcher, counter: Counter) -> tuple[Selectors, Selector]:
    """Return the series of a counter, and those of the service in its metric."""
    name = source.metrics.get(counter.metric) or _usual_name(counter.metric)
    metric = name if name.endswith("_total") else f"{name}_count"
    return _select(metric, service, counter.where), Selector(metric, (service,))


def _select(metric: str, service: Matcher, condition: Condition) -> Selectors:
    def label(match: Match) -> str:
        return label_name(match.key)

    return tuple(Selector(metric, (service, *matchers)) for matchers in alternatives(condition, label))


def _usual_name(instrument: str, *, judged: bool = False, timed: bool = False) -> str:
    """Return the name that the semantic conventions lead to: durations are histograms in seconds, others count.

    Args:
        instrument: OpenTelemetry name.
        judged: A threshold judges it, so it is a histogram.
        timed: The threshold is a duration.
    """
    if timed or instrument.endswith(".duration"):
        return metric_name(instrument, "s")
    name = metric_name(instrument)
    return name if judged else f"{name.removesuffix('_total')}_total"
