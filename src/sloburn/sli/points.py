"""Metric data points to good and bad events: what a point adds, split by its attributes or by a bucket bound."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import floor

from sloburn.duration import SECOND, format_duration
from sloburn.otlp.messages import Attributes, HistogramPoint, Metric, NumberPoint, Point, ResourceMetrics
from sloburn.sli.classify import ValueOf, traits_of
from sloburn.sli.commit import Commit
from sloburn.sli.groups import Groups
from sloburn.sli.horizon import COUNTED, DUPLICATE, FULL, FUTURE, TOO_LATE, UNMATCHED, UNUSABLE, Horizon
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


class MetricPlan:
    """How the metrics of one service are judged.

    Args:
        slos: Every metric SLO of the service, each with the generation of its series.
        groups: Where series keys come from.
        value_of: Reads an attribute's wire form.
    """

    def __init__(self, slos: Iterable[tuple[Slo, str]], groups: Groups, value_of: ValueOf) -> None:
        self._groups = groups
        self._value_of = value_of
        self._rules: dict[str, list[tuple[Slo, str, MetricIndicator]]] = {}
        for slo, generation in slos:
            if isinstance(slo.indicator, MetricIndicator):
                self._rules.setdefault(slo.indicator.metric, []).append((slo, generation, slo.indicator))

    def wants(self, name: str) -> bool:
        """Tell whether any SLO reads a metric."""
        return name in self._rules

    def book(
        self, name: str, reading: Reading, added: Values, of_resource: Attributes, at: int, commit: Commit
    ) -> bool:
        """Count what a point added, for every SLO that reads it; tell whether any did."""
        raw = {**of_resource, **reading.attributes}
        facts = Facts(attributes={key: self._value_of(value) for key, value in raw.items()})
        used = False
        for slo, generation, rule in self._rules[name]:
            if holds(rule.where, facts):
                key = self._groups.key(slo, generation, facts)
                split = self._split(rule, reading, added, facts)
                used = used or not isinstance(split, str)
                self._count(key, split, facts, at, commit)
        return used

    def _count(self, key: SeriesKey, split: tuple[int, int] | str, facts: Facts, at: int, commit: Commit) -> None:
        if isinstance(split, str):
            commit.notes[key, split] = None
        elif split != (0, 0):
            commit.count(key, at, traits_of(facts), *split)

    def _split(self, rule: MetricIndicator, reading: Reading, added: Values, facts: Facts) -> tuple[int, int] | str:
        """Return good and bad, or in words why the point cannot be judged."""
        total = sum(added)
        if rule.threshold is None:
            bad = rule.bad is not None and holds(rule.bad, facts)
            return (0, total) if bad else (total, 0)
        bounds = reading.state.bounds
        if not bounds:
            return f"{rule.metric} is no histogram with buckets: a threshold cannot be judged on it"
        limit = float(rule.threshold * _PER_SECOND.get(reading.unit, 1) if rule.is_duration else rule.threshold)
        if limit not in bounds:
            return _no_bound(rule, bounds, reading.unit)
        good = sum(added[: bounds.index(limit) + 1])  # OTLP: a bucket holds (lower, upper], so `le` includes its bound
        return good, total - good


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
        plan: How the service's metrics are judged.
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
        used = self._plan.book(name, reading, added, of_resource, self._horizon.slice_of(at), commit)
        return COUNTED if used else UNMATCHED


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
    return floor(point.as_double) if point.WhichOneof("value") == "as_double" else point.as_int


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
    if point.flags & _NO_RECORDED_VALUE or any(value < 0 for value in values):
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
