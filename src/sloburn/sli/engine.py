"""The single owner of everything that moves: telemetry is worked out, stored by the caller, applied, evaluated.

The engine is used from one thread. `prepare` changes nothing; `apply` cannot fail; between the two the caller makes the
commit durable. What was applied reaches the series when somebody looks: see `settle`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sloburn.duration import SECOND
from sloburn.otlp.messages import LogsRequest, MetricsRequest, Resource, TraceRequest
from sloburn.sli.autopsy import Autopsy
from sloburn.sli.classify import SpanCounter, SpanPlan, ValueOf
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import DEFAULT_CAPACITY, SeenKeys
from sloburn.sli.early_watch import early_slice_ns
from sloburn.sli.evaluate import evaluate
from sloburn.sli.evidence import Evidence
from sloburn.sli.groups import Groups
from sloburn.sli.horizon import STREAM_MEMORY_NS, UNMATCHED, Horizon
from sloburn.sli.ledger import tiers
from sloburn.sli.outcome import Outcome, Outcomes
from sloburn.sli.points import MetricPlan, PointCounter
from sloburn.sli.series import MAX_FAILING, Series, SeriesKey, generation, look_back_ns
from sloburn.sli.shape import Shapes
from sloburn.sli.status import Snapshot
from sloburn.sli.temporality import StreamState
from sloburn.slo.model import Slo
from sloburn.slo.periods import reach_ns

_COURSES_PER_SECOND = 50


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
        self._places = {name: place for place, name in enumerate(self._slos)}
        self._generations = {name: generation(slo, time_scale) for name, slo in self._slos.items()}
        self._value_of = value_of
        self._epoch = epoch
        self._time_scale = time_scale
        self._hold_ns = self._slice_ns = tiers(0, time_scale)[0].slice_ns
        if any(slo.alerting.early_page for slo in self._slos.values()):
            self._slice_ns = early_slice_ns(self._slice_ns)
        self._shapes = Shapes(time_scale)
        self.groups = Groups()
        self._outcomes = Outcomes()
        self._span_plans: dict[str, SpanPlan] = {}
        self._metric_plans: dict[str, MetricPlan] = {}
        self._autopsies: dict[str, Autopsy] = {}
        self._plan()
        self._reach_ns = max((reach_ns(slo.period) for slo in self._slos.values()), default=0)
        self.series: dict[SeriesKey, Series] = {}
        self._ordered: list[Series] = []
        self.streams: dict[bytes, StreamState] = {}
        self.dirty_streams: set[bytes] = set()
        self.seen = SeenKeys(seen_capacity)
        self._counts: dict[tuple[Outcome, int], int] = {}
        self._evidence: dict[Outcome, list[Evidence]] = {}
        self._next_evidence = 1
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
            self._span_plans[service] = SpanPlan(service, slos, self.groups, self._outcomes, self._value_of)
            self._metric_plans[service] = MetricPlan(service, slos, self.groups, self._outcomes, self._value_of)
            self._autopsies[service] = Autopsy(max(look_back_ns(slo) for slo, _ in slos))

    def open(self, key: SeriesKey) -> Series | None:
        """Return a series, made if it is new; None if no SLO of today counts it."""
        found = self.series.get(key)
        slo = self._slos.get(key.slo)
        if found is not None or slo is None or self._generations[key.slo] != key.generation:
            return found
        self.groups.adopt(key)
        made = self.series[key] = Series(key, slo, self._shapes.of(slo))
        self._ordered = []
        return made

    def generations(self) -> tuple[tuple[str, str], ...]:
        """Return the SLOs of today by name, each with the generation of its series."""
        return tuple(self._generations.items())

    def prepare_traces(self, request: TraceRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of spans changes; return why spans were refused, one entry each."""
        refused: list[str] = []
        commit.now = now
        for part in request.resource_spans:
            service = self._service(part.resource, now, commit)
            plan = self._span_plans.get(service)
            if plan is None or not plan.judges:
                commit.items["traces", UNMATCHED] += sum(len(scope.spans) for scope in part.scope_spans)
                continue
            refused += SpanCounter(plan, self.seen, self._horizon(now)).count(part, commit)
        return refused

    def prepare_metrics(self, request: MetricsRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of data points changes; return why points were refused, one entry each."""
        refused: list[str] = []
        commit.now = now
        for part in request.resource_metrics:
            service = self._service(part.resource, now, commit)
            plan = self._metric_plans.get(service)
            if plan is None:
                continue
            refused += PointCounter(plan, self.streams, self._horizon(now)).count(part, commit)
        return refused

    def prepare_logs(self, request: LogsRequest, now: int, commit: Commit) -> list[str]:
        """Note who sent log records; no SLO reads them yet."""
        commit.now = now
        for part in request.resource_logs:
            self._service(part.resource, now, commit)
            commit.items["logs", UNMATCHED] += sum(len(scope.log_records) for scope in part.scope_logs)
        return []

    def _horizon(self, now: int) -> Horizon:
        return Horizon(
            now_unix_nano=now,
            reach_ns=self._reach_ns,
            slice_ns=self._slice_ns,
            hold_ns=self._hold_ns,
            epoch_unix_nano=max(self._epoch, now - STREAM_MEMORY_NS),
        )

    def _service(self, resource: Resource, now: int, commit: Commit) -> str:
        service = str(self._value_of(resource.attributes.get("service.name", b"")))
        if service in self._span_plans:
            commit.heard[service] = now
        return service

    def apply(self, commit: Commit) -> None:
        """Take over a commit that is durable."""
        counts = self._counts
        for cell, events in commit.counts.items():
            counts[cell] = counts.get(cell, 0) + events
        for outcome, found in commit.evidence.items():
            held = self._evidence.setdefault(outcome, [])
            held += [(self._next_evidence + index, failing) for index, failing in enumerate(found)]
            del held[:-MAX_FAILING]
            self._next_evidence += len(found)
        for (portrait, at), events in commit.portraits.items():
            self._autopsies[portrait.service].add(at, portrait, events)
        self.seen.add(commit.seen, commit.now)
        self.streams.update(commit.streams)
        self.dirty_streams.update(commit.streams)
        self._heard.update(commit.heard)
        self._items.update(commit.items)
        for key, note in commit.notes:
            series = self.open(key)
            if series is not None:
                series.is_changed = series.is_changed or note not in series.notes
                series.notes[note] = commit.now

    def settle(self) -> None:
        """Give the series what was counted since the last time: one addition for each series and slice."""
        by_slice: dict[int, list[tuple[Outcome, int]]] = {}
        for (outcome, at), events in self._counts.items():
            by_slice.setdefault(at, []).append((outcome, events))
        self._counts = {}
        for at, parts in by_slice.items():
            for number, (good, bad) in _sums(parts).items():
                series = self._numbered(number)
                if series is not None:
                    series.ledger.add(at, good, bad)
                    series.is_changed = True
                    if series.early is not None:
                        series.early.add(at, good, bad)
        self._show()

    def _show(self) -> None:
        by_series: dict[int, list[Evidence]] = {}
        for outcome, found in self._evidence.items():
            for number in outcome.bad:
                by_series.setdefault(number, []).extend(found)
        self._evidence = {}
        for number, evidence in by_series.items():
            series = self._numbered(number)
            if series is not None:
                series.show(evidence)

    def _numbered(self, number: int) -> Series | None:
        key = self.groups.key_of(number)
        return self.series.get(key) or self.open(key)

    def outcome(self, good: Iterable[int], bad: Iterable[int]) -> Outcome:
        """Return an outcome that was stored, by the numbers of its series."""
        return self._outcomes.of([*((number, False) for number in good), *((number, True) for number in bad)])

    def resume_evidence(self, number: int) -> None:
        """Number the bad events to come after `number`."""
        self._next_evidence = max(self._next_evidence, number + 1)

    def forget_streams(self, now: int) -> list[bytes]:
        """Forget metric streams that ended long ago; return their keys."""
        gone = [key for key, state in self.streams.items() if now - state.time_unix_nano > STREAM_MEMORY_NS]
        for key in gone:
            del self.streams[key]
        self.dirty_streams.difference_update(gone)
        return gone

    def mark_clean(self) -> None:
        """Note that everything up to now is in a checkpoint."""
        self.dirty_streams.clear()
        for series in self.series.values():
            for ring in series.ledger.rings:
                ring.dirty.clear()

    def tick(self, now: int) -> Snapshot:
        """Evaluate everything at `now`, nanoseconds since the epoch."""
        self.settle()
        every = SECOND * max(1, len(self.series) // _COURSES_PER_SECOND)
        findings = {service: autopsy.findings(now) for service, autopsy in self._autopsies.items()}
        return Snapshot(
            at_unix_nano=now,
            statuses=tuple(
                [
                    evaluate(
                        series,
                        now,
                        self._heard.get(series.slo.service, 0),
                        findings[series.slo.service],
                        course_every_ns=every,
                    )
                    for series in self._in_order()
                ]
            ),
            items=dict(self._items),
            time_scale=self._time_scale,
        )

    def _in_order(self) -> list[Series]:
        if not self._ordered:
            self._ordered = sorted(self.series.values(), key=lambda one: (self._places[one.key.slo], one.key))
            for series in self._ordered:
                series.number = self.groups.number(series.key)
        return self._ordered


def _sums(parts: list[tuple[Outcome, int]]) -> dict[int, tuple[int, int]]:
    """Return good and bad events of one slice by series."""
    goods: dict[int, int] = {}
    bads: dict[int, int] = {}
    for outcome, events in parts:
        for number in outcome.good:
            goods[number] = goods.get(number, 0) + events
        for number in outcome.bad:
            bads[number] = bads.get(number, 0) + events
    return {number: (goods.get(number, 0), bads.get(number, 0)) for number in {**goods, **bads}}
