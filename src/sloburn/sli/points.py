"""Metric data points to good and bad events: what a point adds, split by its attributes or by a bucket bound."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import floor, isfinite

from sloburn.duration import SECOND, format_duration
from sloburn.otlp.messages import Attributes, HistogramPoint, Metric, NumberPoint, Point, ResourceMetrics
from sloburn.sli.autopsy import Traits
from sloburn.sli.classify import MAX_VERDICTS, ValueOf, traits_of
from sloburn.sli.commit import Commit
from sloburn.sli.groups import Groups
from sloburn.sli.horizon import COUNTED, DUPLICATE, FULL, FUTURE, TOO_LATE, UNMATCHED, UNUSABLE, Horizon
from sloburn.sli.outcome import Outcomes, Portrait, Portraits
from sloburn.sli.select import Facts, holds
from sloburn.sli.series import SeriesKey
from sloburn.sli.temporality import StreamState, Temporality, Values, increase
from sloburn.slo.model import MetricIndicator, Slo

MAX_STREAMS = 100_000

# UCUM units of time in which OpenTelemetry instruments measure, per second.
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": SECOND}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One data point, whatever its kind: the state of its stream, its attributes and how to read them."""

    state: StreamState
    temporality: Temporality
    unit: str
    attributes: Attributes
    key: bytes


class PointVerdict:
    """What the points of one stream mean: one portrait for each run of buckets that means the same to every SLO.

    Args:
        limits: Number of each series that counts the points, and the last bucket that is good to it.
        notes: What the user must know of series that cannot judge them.
        traits: What the autopsy compares.
        outcomes: Where outcomes come from.
        portraits: Where portraits come from.
    """

    __slots__ = ("notes", "runs")

    def __init__(
        self,
        limits: list[tuple[int, int]],
        notes: tuple[tuple[SeriesKey, str], ...],
        traits: Traits,
        outcomes: Outcomes,
        portraits: Portraits,
    ) -> None:
        self.notes = notes
        self.runs: list[tuple[int, int | None, Portrait]] = []
        cuts = sorted({0, *(last_good + 1 for _, last_good in limits)}) if limits else []
        ends: list[int | None] = [*cuts[1:], None] if cuts else []
        for begin, end in zip(cuts, ends, strict=True):
            outcome = outcomes.of((number, begin > last_good) for number, last_good in limits)
            self.runs.append((begin, end, portraits.of(outcome, traits)))

    @property
    def counts(self) -> bool:
        """Tell whether any series counts the points."""
        return bool(self.runs)


_UNUSABLE = (
    "{name} holds points ({kind}) that count no events, so they are passed over: expected a monotonic sum or a "
    "histogram with explicit buckets, with its temporality"
)


class MetricPlan:
    """How the metrics of one service are judged.

    Args:
        service: Its name.
        slos: Every metric SLO of the service, each with the generation of its series.
        groups: Where series come from.
        outcomes: Where outcomes come from.
        value_of: Reads an attribute's wire form.
    """

    def __init__(
        self,
        service: str,
        slos: Iterable[tuple[Slo, str]],
        groups: Groups,
        outcomes: Outcomes,
        value_of: ValueOf,
    ) -> None:
        self._portraits = Portraits(service)
        self._groups = groups
        self._outcomes = outcomes
        self._value_of = value_of
        self._verdicts: dict[tuple[bytes, tuple[float, ...], str], PointVerdict] = {}
        self._rules: dict[str, list[tuple[Slo, str, MetricIndicator]]] = {}
        for slo, generation in slos:
            if isinstance(slo.indicator, MetricIndicator):
                self._rules.setdefault(slo.indicator.metric, []).append((slo, generation, slo.indicator))

    def wants(self, name: str) -> bool:
        """Tell whether any SLO reads a metric."""
        return name in self._rules

    def unusable(self, metric: Metric) -> Iterator[tuple[SeriesKey, str]]:
        """Yield for every SLO without groups in words why the points of a metric count nothing."""
        kind = (metric.WhichOneof("data") or "nothing").replace("_", " ")
        for slo, generation, _ in self._rules[metric.name]:
            if not slo.group_by:
                yield SeriesKey(slo.name, generation), _UNUSABLE.format(name=metric.name, kind=kind)

    def verdict(self, name: str, reading: Reading, of_resource: Attributes) -> PointVerdict:
        """Return what the points of a stream mean; judged once for each stream."""
        key = (reading.key, reading.state.bounds, reading.unit)
        found = self._verdicts.get(key)
        if found is None:
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts.clear()
            found = self._verdicts[key] = self._judge(name, reading, of_resource)
        return found

    def _judge(self, name: str, reading: Reading, of_resource: Attributes) -> PointVerdict:
        raw = {**of_resource, **reading.attributes}
        facts = Facts(attributes={key: self._value_of(value) for key, value in raw.items()})
        limits: list[tuple[int, int]] = []
        notes: list[tuple[SeriesKey, str]] = []
        for slo, generation, rule in self._rules[name]:
            if holds(rule.where, facts):
                key = self._groups.key(slo, generation, facts)
                last_good = _last_good(rule, reading, facts)
                if isinstance(last_good, str):
                    notes.append((key, last_good))
                else:
                    limits.append((self._groups.number(key), last_good))
        return PointVerdict(limits, tuple(notes), traits_of(facts), self._outcomes, self._portraits)


def _last_good(rule: MetricIndicator, reading: Reading, facts: Facts) -> int | str:
    """Return the last bucket that is good, or in words why the point cannot be judged."""
    if rule.threshold is None:
        return -1 if rule.bad is not None and holds(rule.bad, facts) else len(reading.state.values)
    bounds = reading.state.bounds
    if not bounds:
        return f"{rule.metric} is no histogram with buckets: a threshold cannot be judged on it"
    limit = float(rule.threshold * _PER_SECOND.get(reading.unit, 1) if rule.is_duration else rule.threshold)
    # OTLP: a bucket holds (lower, upper], so `le` includes its bound.
    return bounds.index(limit) if limit in bounds else _no_bound(rule, bounds, reading.unit)


def _no_bound(rule: MetricIndicator, bounds: tuple[float, ...], unit: str) -> str:
    threshold = rule.threshold or 0
    wanted = format_duration(int(threshold * SECOND)) if rule.is_duration else str(float(threshold))
    listed = ", ".join(f"{bound:g}" for bound in bounds)
    return (
        f"{rule.metric} has no bucket bound at {wanted}, so nothing is counted: choose one of its bounds ({listed}"
        f"{' ' + unit if unit else ''}) or add the bound to the service's histogram"
    )


class PointCounter:
    """Counts the data points of one request into a commit.

    Args:
        plan: How they are judged.
        streams: The last point of every stream.
        horizon: Which moments can be counted.
    """

    def __init__(self, plan: MetricPlan, streams: Mapping[bytes, StreamState], horizon: Horizon) -> None:
        self._plan = plan
        self._streams = streams
        self._horizon = horizon

    def count(self, resource_metrics: ResourceMetrics, commit: Commit) -> list[str]:
        """Count every data point of a resource; return the fates of those that were refused."""
        of_resource = dict(resource_metrics.resource.attributes)
        origin = _digest(of_resource)
        refused: list[str] = []
        for scope_metrics in resource_metrics.scope_metrics:
            scope = origin + scope_metrics.scope.name.encode()
            for metric in scope_metrics.metrics:
                readings = list(readings_of(metric, scope))
                if not self._plan.wants(metric.name):
                    commit.items["metrics", UNMATCHED] += len(readings)
                    continue
                if None in readings:
                    commit.notes.update(dict.fromkeys(self._plan.unusable(metric)))
                for reading in readings:
                    fate = self._take(metric.name, reading, of_resource, commit)
                    commit.items["metrics", fate] += 1
                    if fate in (FUTURE, TOO_LATE, FULL):
                        refused.append(fate)
        return refused

    def _take(self, name: str, reading: Reading | None, of_resource: Attributes, commit: Commit) -> str:
        if reading is None:
            return UNUSABLE
        at = reading.state.time_unix_nano
        refusal = self._horizon.refusal(at)
        if refusal:
            return refusal
        last = commit.streams.get(reading.key) or self._streams.get(reading.key)
        if last is None and len(self._streams) + len(commit.streams) >= MAX_STREAMS:
            return FULL
        added = increase(reading.state, last, reading.temporality, self._horizon.epoch_unix_nano)
        if added is None:
            return DUPLICATE
        commit.streams[reading.key] = reading.state
        verdict = self._plan.verdict(name, reading, of_resource)
        commit.notes.update(dict.fromkeys(verdict.notes))
        if not verdict.counts:
            return UNMATCHED
        self._book(verdict, added, self._horizon.slice_of(at), commit)
        return COUNTED

    def _book(self, verdict: PointVerdict, added: Values, at: int, commit: Commit) -> None:
        for begin, end, portrait in verdict.runs:
            events = sum(added[begin:end])
            if events:
                commit.count(portrait.outcome, at, events)
                commit.explain(portrait, at, events)


def readings_of(metric: Metric, scope: bytes) -> Iterator[Reading | None]:
    """Yield the data points of a metric that count events; None for those that do not.

    Monotonic sums and explicit histograms count events; gauges, sums that can fall and points without a recorded
    value do not.
    """
    kind = metric.WhichOneof("data")
    if kind == "histogram":
        for bucketed in metric.histogram.data_points:
            yield _reading(metric, metric.histogram.aggregation_temporality, bucketed, scope, *_buckets(bucketed))
    elif kind == "sum" and metric.sum.is_monotonic:
        for number in metric.sum.data_points:
            yield _reading(metric, metric.sum.aggregation_temporality, number, scope, (), (_whole(number),))
    elif kind is not None:
        yield from (None for _ in getattr(metric, kind).data_points)


def _buckets(point: HistogramPoint) -> tuple[tuple[float, ...], Values]:
    counts = tuple(point.bucket_counts)
    return (tuple(point.explicit_bounds), counts) if counts else ((), (point.count,))


def _whole(point: NumberPoint) -> int:
    if point.WhichOneof("value") == "as_int":
        return point.as_int
    return floor(point.as_double) if isfinite(point.as_double) else -1


_MOST_EVENTS = 2**53  # beyond, a counter that is a double skips numbers: it counts no events
_NO_RECORDED_VALUE = 1  # opentelemetry-proto, metrics.proto: DataPointFlags


def _reading(
    metric: Metric,
    temporality: int,
    point: Point,
    scope: bytes,
    bounds: tuple[float, ...],
    values: Values,
) -> Reading | None:
    if temporality not in (Temporality.DELTA.value, Temporality.CUMULATIVE.value):
        return None
    if point.flags & _NO_RECORDED_VALUE or min(values) < 0 or max(values) > _MOST_EVENTS:
        return None
    if bounds and len(values) != len(bounds) + 1:  # opentelemetry-proto, metrics.proto: HistogramDataPoint
        return None
    state = StreamState(
        start_unix_nano=point.start_time_unix_nano,
        time_unix_nano=point.time_unix_nano,
        bounds=bounds,
        values=values,
    )
    key = _stream_key(scope, metric.name, point.attributes)
    return Reading(
        state=state,
        temporality=Temporality(temporality),
        unit=metric.unit,
        attributes=point.attributes,
        key=key,
    )


def _stream_key(scope: bytes, name: str, attributes: Attributes) -> bytes:
    digest = hashlib.blake2b(scope, digest_size=16)
    digest.update(name.encode())
    digest.update(_digest(attributes))
    return digest.digest()


def _digest(attributes: Attributes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for key in sorted(attributes):
        digest.update(b"\x00" + key.encode() + b"\x00" + attributes[key])
    return digest.digest()
