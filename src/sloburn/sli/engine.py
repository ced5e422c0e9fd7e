"""The single owner of everything that moves: telemetry is worked out, stored by the caller, applied, evaluated.

The engine is used from one thread. `prepare` changes nothing; `apply` cannot fail; between the two the caller makes the
commit durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sloburn.duration import SECOND
from sloburn.otlp.messages import LogsRequest, MetricsRequest, Resource, TraceRequest
from sloburn.sli.classify import SpanCounter, SpanPlan, ValueOf
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import DEFAULT_CAPACITY, SeenKeys
from sloburn.sli.evaluate import evaluate
from sloburn.sli.groups import Groups
from sloburn.sli.horizon import UNMATCHED, Horizon
from sloburn.sli.ledger import tiers
from sloburn.sli.points import MetricPlan, PointCounter
from sloburn.sli.series import Series, SeriesKey, generation
from sloburn.sli.status import Snapshot
from sloburn.sli.temporality import StreamState
from sloburn.slo.model import Slo

_BUDGET_SERIES_PER_SECOND = 50


class Engine:
    """Counts telemetry for a set of SLOs.

    Args:
        slos: The promises, unscaled; names are unique.
        value_of: Reads an attribute's wire form.
        epoch: When our own history begins, nanoseconds since the epoch: counters that began before are base lines.
        time_scale: How many times faster than written the windows run; 1 in production.
        seen_capacity: How many span ids are remembered.
    """

    def __init__(
        self,
        slos: Iterable[Slo],
        value_of: ValueOf,
        *,
        epoch: int,
        time_scale: int = 1,
        seen_capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self._slos = {slo.name: slo.scaled(time_scale) for slo in slos}
        self._generations = {name: generation(slo, time_scale) for name, slo in self._slos.items()}
        self._value_of = value_of
        self._epoch = epoch
        self._time_scale = time_scale
        self._slice_ns = tiers(0, time_scale)[0].slice_ns
        self._groups = Groups()
        self._span_plans: dict[str, SpanPlan] = {}
        self._metric_plans: dict[str, MetricPlan] = {}
        self._plan()
        self._reach_ns = max((slo.period.length_ns for slo in self._slos.values()), default=0)
        self.series: dict[SeriesKey, Series] = {}
        self.streams: dict[bytes, StreamState] = {}
        self.dirty_streams: set[bytes] = set()
        self._seen = SeenKeys(seen_capacity)
        self._heard: dict[str, int] = {}
        self._items: Counter[tuple[str, str]] = Counter()
        for name, slo in self._slos.items():
            if not slo.group_by:
                self.open(SeriesKey(name, self._generations[name]))

    def _plan(self) -> None:
        by_service: dict[str, list[tuple[Slo, str]]] = {}
        for name, slo in self._slos.items():
            by_service.setdefault(slo.service, []).append((slo, self._generations[name]))
        for service, slos in by_service.items():
            self._span_plans[service] = SpanPlan(slos, self._groups, self._value_of)
            self._metric_plans[service] = MetricPlan(slos, self._groups, self._value_of)

    def open(self, key: SeriesKey) -> Series | None:
        """Return a series, made if it is new; None if no SLO of today counts it."""
        found = self.series.get(key)
        slo = self._slos.get(key.slo)
        if found is not None or slo is None or self._generations[key.slo] != key.generation:
            return found
        self._groups.adopt(key)
        self.series[key] = Series(key, slo, self._time_scale)
        return self.series[key]

    def prepare_traces(self, request: TraceRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of spans changes; return why spans were refused, one entry each."""
        refused: list[str] = []
        for part in request.resource_spans:
            plan = self._span_plans.get(self._service(part.resource, now, commit))
            if plan is None or not plan.judges:
                commit.items["traces", UNMATCHED] += sum(len(scope.spans) for scope in part.scope_spans)
                continue
            refused += SpanCounter(plan, self._seen, self._horizon(now), self._value_of).count(part, commit)
        return refused

    def prepare_metrics(self, request: MetricsRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of data points changes; return why points were refused, one entry each."""
        refused: list[str] = []
        for part in request.resource_metrics:
            plan = self._metric_plans.get(self._service(part.resource, now, commit))
            if plan is None:
                continue
            refused += PointCounter(plan, self.streams, self._horizon(now)).count(part, commit)
        return refused

    def prepare_logs(self, request: LogsRequest, now: int, commit: Commit) -> list[str]:
        """Note who sent log records; no SLO reads them yet."""
        for part in request.resource_logs:
            self._service(part.resource, now, commit)
            commit.items["logs", UNMATCHED] += sum(len(scope.log_records) for scope in part.scope_logs)
        return []

    def _horizon(self, now: int) -> Horizon:
        return Horizon(now_unix_nano=now, reach_ns=self._reach_ns, slice_ns=self._slice_ns, epoch_unix_nano=self._epoch)

    def _service(self, resource: Resource, now: int, commit: Commit) -> str:
        service = str(self._value_of(resource.attributes.get("service.name", b"")))
        if service in self._span_plans:
            commit.heard[service] = now
        return service

    def apply(self, commit: Commit) -> None:
        """Take over a commit that is durable."""
        for (key, at), (good, bad) in commit.counts.items():
            series = self.open(key)
            if series is not None:
                series.ledger.add(at, good, bad)
        for (key, at, traits), (good, bad) in commit.traits.items():
            if key in self.series:
                self.series[key].autopsy.add(at, traits, good, bad)
        for key, failing in commit.evidence:
            if key in self.series:
                self.series[key].failing.append(failing)
        self._apply_rest(commit)

    def _apply_rest(self, commit: Commit) -> None:
        for key, note in commit.notes:
            series = self.open(key)
            if series is not None:
                series.notes[note] = None
        self._seen.add(commit.seen)
        self.streams.update(commit.streams)
        self.dirty_streams.update(commit.streams)
        self._heard.update(commit.heard)
        self._items.update(commit.items)

    def remember(self, seen: Iterable[bytes]) -> None:
        """Take over keys of spans that are counted already."""
        self._seen.add(seen)

    def mark_clean(self) -> None:
        """Note that everything up to now is in a checkpoint."""
        self.dirty_streams.clear()
        for series in self.series.values():
            for ring in series.ledger.rings:
                ring.dirty.clear()

    def tick(self, now: int) -> Snapshot:
        """Evaluate everything at `now`, nanoseconds since the epoch."""
        every = SECOND * max(1, len(self.series) // _BUDGET_SERIES_PER_SECOND)
        place = {name: index for index, name in enumerate(self._slos)}
        ordered = sorted(self.series.values(), key=lambda series: (place[series.key.slo], series.key))
        return Snapshot(
            at_unix_nano=now,
            statuses=tuple(
                evaluate(series, now, self._heard.get(series.slo.service, 0), budget_every_ns=every)
                for series in ordered
            ),
            items=dict(self._items),
            time_scale=self._time_scale,
        )
