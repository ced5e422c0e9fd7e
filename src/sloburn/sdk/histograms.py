"""Explicit-bucket histograms that cost a host's request a fifth of what the SDK's cost (bench/sdk_cost.py).

The SDK makes a measurement object, copies and sorts the attributes and walks its views for each value; here a value is
one look-up and five additions. What comes out equals the SDK's cumulative points, but for values that Python holds
equal: `True`, `1` and `1.0` of one attribute are one point.
https://opentelemetry.io/docs/specs/otel/metrics/sdk/#explicit-bucket-histogram-aggregation
"""

from __future__ import annotations

import logging
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from opentelemetry import metrics
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AnyValue, Attributes

from sloburn.sdk.exemplars import Kept, renew, shown
from sloburn.sdk.exporters import wire
from sloburn.sdk.limits import ExemplarFilter
from sloburn.sdk.prometheus.series import DEFAULT_BOUNDARIES

logger = logging.getLogger("sloburn")

# Every whole number up to here is a float too.
_MOST_WHOLE = 2**53
# The specification's default, and what an instrument says beyond it.
_MOST_POINTS = 2000
_OVERFLOW: Mapping[str, AnyValue] = {"otel.metric.overflow": True}

_Key = tuple[tuple[str, AnyValue], ...]


class _Point:
    """The values of one set of attributes since the start.

    Args:
        attributes: The set.
        buckets: How many buckets there are.
        start: When it began, in nanoseconds since the epoch.
    """

    __slots__ = ("attributes", "counts", "exemplars", "least", "most", "start", "total")

    def __init__(self, attributes: Mapping[str, AnyValue], buckets: int, start: int) -> None:
        self.attributes = attributes
        self.counts = [0] * buckets
        self.total: float = 0
        self.least = math.inf
        self.most = -math.inf
        self.start = start
        self.exemplars: dict[int, Kept] = {}


class LeanHistogram(metrics.Histogram):
    """A histogram in front of the SDK's, which stays empty and warns about values that cannot be recorded.

    Args:
        real: The SDK's.
        bounds: The upper bounds of all buckets but the last.
        exemplars: Which values lead to their traces.
    """

    def __init__(self, real: metrics.Histogram, bounds: Sequence[float], exemplars: ExemplarFilter) -> None:
        self._real = real
        self._bounds = tuple(bounds)
        self._exemplars = exemplars
        self._lock = threading.Lock()
        self._points: dict[frozenset[tuple[str, object]], _Point] = {}
        # The same points by attributes in the order in which somebody gives them.
        self._known: dict[_Key, _Point] = {}

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record a value; one that is negative, infinite or no number is refused by the SDK in its words."""
        kind: type = type(amount)
        if kind is not float and (kind is not int or not 0 <= amount <= _MOST_WHOLE):
            # A Decimal cannot be added to a float, and 10**400 could be added and never be sent.
            amount = _number(amount)
        if not 0 <= amount < math.inf:
            self._real.record(amount, attributes, context)
            return
        try:
            point = self._point_of(attributes)
        except Exception as error:  # what a host passes may fail in any way when it is looked at
            _say("a value was left out: its attributes cannot be read", error)
            return
        bucket = bisect_left(self._bounds, amount)
        with self._lock:
            point.counts[bucket] += 1
            point.total += amount
            if amount < point.least:
                point.least = amount
            if amount > point.most:
                point.most = amount
        if self._exemplars != "always_off":
            self._keep_exemplar(point, bucket, amount, context)

    def _point_of(self, attributes: Attributes) -> _Point:
        given: Mapping[str, AnyValue] = attributes or {}
        key = tuple(given.items())
        try:
            return self._known[key]
        except KeyError:
            return self._open(key)
        except TypeError:
            hashable = tuple((name, _hashable(value)) for name, value in key)
            return self._known.get(hashable) or self._open(hashable)

    def _open(self, key: _Key) -> _Point:
        # Outside the lock: cleaning warns, and whoever takes the host's warnings may record them here.
        attributes = _cleaned(key)
        unique = frozenset((name, _hashable(value)) for name, value in attributes.items())
        with self._lock:
            point = self._points.get(unique)
            if point is None and len(self._points) >= _MOST_POINTS:
                # Not remembered by its key: those have no end.
                return self._begin(frozenset(_OVERFLOW.items()), _OVERFLOW)
            if point is None:
                point = self._begin(unique, attributes)
            if len(self._known) < 4 * _MOST_POINTS:
                self._known[key] = point
            return point

    def _begin(self, key: frozenset[tuple[str, object]], attributes: Mapping[str, AnyValue]) -> _Point:
        point = self._points.get(key)
        if point is None:
            point = self._points[key] = _Point(attributes, len(self._bounds) + 1, time.time_ns())
        return point

    def _keep_exemplar(self, point: _Point, bucket: int, amount: float, context: Context | None) -> None:
        """Keep a value of each bucket until a better one comes, as Prometheus' clients do.

        The specification's default forgets it with each collection: who scrapes more rarely than we send would miss it.
        """
        is_any = self._exemplars == "always_on"
        try:
            kept = renew(point.exemplars.get(bucket), amount, time.time_ns(), context, is_any=is_any)
        except Exception:  # what a host has made current may be no span, and the value is counted already
            return
        if kept is not None:
            point.exemplars[bucket] = kept

    def collect(self, now: int) -> list[HistogramDataPoint]:
        """Return the points as they are now, in nanoseconds since the epoch."""
        with self._lock:
            return [self._read(point, now) for point in self._points.values()]

    def _read(self, point: _Point, now: int) -> HistogramDataPoint:
        exemplars = point.exemplars.copy()
        return HistogramDataPoint(
            attributes=point.attributes,
            start_time_unix_nano=point.start,
            time_unix_nano=now,
            count=sum(point.counts),
            sum=point.total,
            bucket_counts=tuple(point.counts),
            explicit_bounds=self._bounds,
            min=point.least,
            max=point.most,
            exemplars=[one for kept in exemplars.values() for one in shown(kept, now)],
        )


def _number(amount: object) -> float:
    """Return a value as a float; what is too big becomes infinite, what is no number becomes one that says so."""
    try:
        # Text that looks like a number is a mistake, which float() would forgive.
        return math.nan if isinstance(amount, str | bytes | bytearray) else float(amount)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
    except Exception:
        return math.nan


def _cleaned(key: _Key) -> dict[str, AnyValue]:
    """Return attributes as the SDK would, with its warnings, without those that cannot be encoded all the same."""
    cleaned = BoundedAttributes(attributes=dict(key))
    return {name: value for name, value in cleaned.items() if _can_be_sent(name, value)}


def _can_be_sent(name: str, value: AnyValue) -> bool:
    try:
        wire.attributes(b"", {name: value})
    except Exception as error:
        _say("an attribute was left out: its value cannot be encoded", error)
        return False
    return True


def _say(what: str, error: Exception) -> None:
    """Warn without the value, which may be a secret or fail to be text."""
    logger.warning("histogram: %s: %s", what, type(error).__name__)


def _hashable(value: AnyValue) -> AnyValue:
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    return repr(value) if type(value).__hash__ is None else value


class Histograms:
    """The histograms of one meter provider.

    Args:
        exemplars: Which values lead to their traces.
    """

    def __init__(self, exemplars: ExemplarFilter = "trace_based") -> None:
        self._exemplars: ExemplarFilter = exemplars
        self.begin(Resource.get_empty())

    def begin(self, resource: Resource) -> None:
        """Forget all histograms: from now on they belong to another process, or another resource."""
        self._resource = resource
        self._all: list[tuple[InstrumentationScope, Metric, LeanHistogram]] = []

    def front(
        self,
        real: metrics.Histogram,
        *,
        scope: InstrumentationScope,
        about: tuple[str, str, str],
        boundaries: Sequence[float] | None,
    ) -> metrics.Histogram:
        """Return a lean histogram in front of the SDK's.

        Args:
            real: The SDK's.
            scope: The instrumentation scope.
            about: Name, unit and description.
            boundaries: Upper bounds, rising; the specification's if not given.
        """
        bounds = [float(bound) for bound in (DEFAULT_BOUNDARIES if boundaries is None else boundaries)]
        if bounds != sorted(set(bounds)) or not all(map(math.isfinite, bounds)):
            # The SDK has said what is wrong with them and knows what it does instead.
            return real
        name, unit, description = about
        lean = LeanHistogram(real, bounds, self._exemplars)
        self._all.append((scope, Metric(name, description, unit, _data([])), lean))
        return lean

    def add_to(self, data: MetricsData | None) -> MetricsData | None:
        """Return the SDK's metrics together with the histograms that have values."""
        ours = self._collect()
        if not ours:
            return data
        parts = list(data.resource_metrics) if data is not None else []
        first = parts[0] if parts else ResourceMetrics(self._resource, [], self._resource.schema_url)
        scopes = list(first.scope_metrics)
        for scope, found in ours.items():
            at = next((index for index, part in enumerate(scopes) if part.scope == scope), None)
            if at is None:
                scopes.append(ScopeMetrics(scope, found, scope.schema_url or ""))
            else:
                scopes[at] = ScopeMetrics(scope, [*scopes[at].metrics, *found], scopes[at].schema_url)
        return MetricsData([ResourceMetrics(first.resource, scopes, first.schema_url), *parts[1:]])

    def _collect(self) -> dict[InstrumentationScope, list[Metric]]:
        now = time.time_ns()
        found: dict[InstrumentationScope, list[Metric]] = {}
        for scope, metric, lean in list(self._all):
            points = lean.collect(now)
            if points:
                metric = Metric(metric.name, metric.description, metric.unit, _data(points))
                found.setdefault(scope, []).append(metric)
        return found


def _data(points: Iterable[HistogramDataPoint]) -> Histogram:
    return Histogram(list(points), AggregationTemporality.CUMULATIVE)
