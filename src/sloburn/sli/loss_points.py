"""Drop counters of SDKs and Collectors, read as they arrive: who lost how many items of which signal.

SDKs count what they processed and exported, and name an error where an item was lost: semantic conventions for
OpenTelemetry SDK metrics (``otel.sdk.processor.*``, ``otel.sdk.exporter.*``). Collectors count failures by themselves:
opentelemetry-collector, docs, "Internal telemetry". The same items may stand in two of the counters (what a queue
refuses, the receiver in front of it refuses too), and what a receiver refused may have been sent again: the sum is the
most that is missing, not what certainly is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from math import floor, isfinite
from typing import NamedTuple

from sloburn.otlp.messages import Attributes, Metric, NumberPoint, ResourceMetrics
from sloburn.otlp.signal import Signal
from sloburn.sli.commit import Commit
from sloburn.sli.digest import digest_of
from sloburn.sli.docket import ValueOf
from sloburn.sli.horizon import DUPLICATE, FULL, FUTURE, INCONSISTENT, INVALID, Horizon
from sloburn.sli.losses import ANY_SERVICE, Losses, LossSource
from sloburn.sli.points import MAX_STREAMS
from sloburn.sli.temporality import OUT_OF_ORDER, StreamState, Temporality, gain, refusal, remembered

OUR_EXPORTERS = ("*sloburn*",)
"""Names of a Collector's exporters that send to us; what others lose is not lost to us."""

MISSING_FATES = frozenset({FULL, FUTURE, INCONSISTENT, INVALID, OUT_OF_ORDER})
"""Fates of items that hold events, cannot be counted, and may belong to a window that is looked at."""

_ERROR = "error.type"
_EXPORTER = "exporter"
_MOST_NAMES = 10_000
_MOST_ITEMS = 2**53  # beyond, a counter that is a double skips numbers: it counts no items
_TEMPORALITIES = frozenset(one.value for one in Temporality)

_SDK = re.compile(r"otel\.sdk\.(?:(processor)\.(span|log)\.processed|exporter\.(span|log|metric_data_point)\.exported)")
_COLLECTOR = re.compile(
    r"otelcol_(exporter_send_failed|exporter_enqueue_failed|receiver_refused|receiver_failed|processor_dropped)"
    r"_(spans|log_records|metric_points)(?:__?\w+)?"  # units and `_total`, if they came by way of Prometheus
)
_SIGNALS = {
    **dict.fromkeys(("span", "spans"), Signal.TRACES),
    **dict.fromkeys(("log", "log_records"), Signal.LOGS),
    **dict.fromkeys(("metric_data_point", "metric_points"), Signal.METRICS),
}
_SOURCES = {
    "exporter_send_failed": LossSource.COLLECTOR_EXPORT,
    "exporter_enqueue_failed": LossSource.COLLECTOR_QUEUE,
    "receiver_refused": LossSource.COLLECTOR_RECEIVER,
    "receiver_failed": LossSource.COLLECTOR_RECEIVER,
    "processor_dropped": LossSource.COLLECTOR_PROCESSOR,
}


class _Counter(NamedTuple):
    """What a metric counts."""

    source: LossSource
    signal: Signal


def counter_of(name: str) -> _Counter | None:
    """Return what a metric of that name says about losses; None if it says nothing."""
    if found := _SDK.fullmatch(name):
        signal = _SIGNALS[found[2] or found[3]]
        return _Counter(LossSource.SDK_QUEUE if found[1] else LossSource.SDK_EXPORT, signal)
    if found := _COLLECTOR.fullmatch(name):
        return _Counter(_SOURCES[found[1]], _SIGNALS[found[2]])
    return None


class LossReader:
    """Reads losses out of requests into commits.

    Args:
        losses: Where channels come from.
        value_of: Reads an attribute's wire form.
        epoch: When our own history begins, nanoseconds since the epoch: what was lost before is not our loss.
        exporters: Patterns of the names of a Collector's exporters that send to us.
    """

    def __init__(
        self, losses: Losses, value_of: ValueOf, epoch: int, exporters: tuple[str, ...] = OUR_EXPORTERS
    ) -> None:
        self._losses = losses
        self._value_of = value_of
        self._epoch = epoch
        self._exporters = exporters
        self._counters: dict[str, _Counter | None] = {}

    def read(
        self,
        part: ResourceMetrics,
        service: str,
        streams: Mapping[bytes, StreamState],
        horizon: Horizon,
        commit: Commit,
    ) -> None:
        """Count what the drop counters of a resource gained.

        Args:
            part: All metrics of one resource.
            service: Its name.
            streams: The last point of every stream.
            horizon: Which moments can be counted.
            commit: Takes it.
        """
        origin = b""
        for scope in part.scope_metrics:
            for metric in scope.metrics:
                name = metric.name
                if not name.startswith("otel"):
                    continue
                counter = self._counter(name)
                if counter is not None:
                    origin = origin or _origin(part.resource.attributes)
                    self._take(metric, counter, service, origin, streams, horizon, commit)

    def refuse(self, service: str, signal: Signal, fates: Iterable[str], at: int, commit: Commit) -> None:
        """Count items that we refuse ourselves, by their fates, in the slice `at`."""
        lost = sum(fate in MISSING_FATES for fate in fates)
        if lost:
            commit.count(self._losses.outcome(service, signal, LossSource.HERE), at, lost)

    def _counter(self, name: str) -> _Counter | None:
        if name not in self._counters:
            if len(self._counters) >= _MOST_NAMES:
                self._counters.clear()
            self._counters[name] = counter_of(name)
        return self._counters[name]

    def _take(
        self,
        metric: Metric,
        counter: _Counter,
        service: str,
        origin: bytes,
        streams: Mapping[bytes, StreamState],
        horizon: Horizon,
        commit: Commit,
    ) -> None:
        of_collector = metric.name.startswith("otelcol_")
        owner = ANY_SERVICE if of_collector else service
        if not self._losses.concerns(owner):
            return
        for point in metric.sum.data_points:
            lost = 0
            if self._is_loss(point.attributes, of_collector=of_collector):
                lost = self._gained(metric, point, origin, streams, horizon, commit)
            if lost:
                at = horizon.slice_of(min(point.time_unix_nano, horizon.now_unix_nano))
                commit.count(self._losses.outcome(owner, counter.signal, counter.source), at, lost)

    def _is_loss(self, attributes: Attributes, *, of_collector: bool) -> bool:
        """Tell whether a point counts lost items, and whether they were on their way to us."""
        if not of_collector:
            return bool(self._value_of(attributes.get(_ERROR, b"")))
        exporter = self._value_of(attributes.get(_EXPORTER, b""))
        return exporter is None or any(fnmatchcase(str(exporter), pattern) for pattern in self._exporters)

    def _gained(
        self,
        metric: Metric,
        point: NumberPoint,
        origin: bytes,
        streams: Mapping[bytes, StreamState],
        horizon: Horizon,
        commit: Commit,
    ) -> int:
        """Return what a point adds to its stream; 0 for one that cannot be read."""
        temporality, value = metric.sum.aggregation_temporality, _whole(point)
        if temporality not in _TEMPORALITIES or not metric.sum.is_monotonic or not 0 <= value <= _MOST_ITEMS:
            return 0
        if horizon.refusal(point.time_unix_nano):
            return 0
        key = digest_of({"": origin, "name": metric.name.encode(), **point.attributes})
        last = commit.streams.get(key) or streams.get(key)
        if last is None and len(streams) + len(commit.streams) >= MAX_STREAMS:
            return 0
        state = StreamState(
            start_unix_nano=point.start_time_unix_nano, time_unix_nano=point.time_unix_nano, bounds=(), values=(value,)
        )
        counting = Temporality(temporality)
        if refusal(state, last, counting) == DUPLICATE:
            return 0  # what is only too old to tell is counted: the most that is missing is asked for
        commit.streams[key] = remembered(state, last, counting)
        return sum(gain(state, last, counting, self._epoch).values)


def _whole(point: NumberPoint) -> int:
    if point.WhichOneof("value") == "as_int":
        return point.as_int
    return floor(point.as_double) if isfinite(point.as_double) else -1


def _origin(of_resource: Attributes) -> bytes:
    """Return what tells the counters of one sender from those of another, and from the same points read for an SLO."""
    return b"losses" + digest_of(of_resource)
