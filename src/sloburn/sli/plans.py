"""Requests to a commit: how the telemetry of every service is judged, and what a request changes by that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sloburn.duration import SECOND
from sloburn.otlp.messages import LogsRequest, MetricsRequest, Resource, TraceRequest
from sloburn.otlp.signal import Signal
from sloburn.sli.classify import SpanCounter, SpanPlan
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.docket import Docket, ValueOf
from sloburn.sli.horizon import STREAM_MEMORY_NS, UNMATCHED, Horizon
from sloburn.sli.logs import LogCounter, LogPlan
from sloburn.sli.loss_points import LossReader
from sloburn.sli.outcome import Outcomes
from sloburn.sli.pairs import Lag, Pairs
from sloburn.sli.points import MetricPlan, PointCounter
from sloburn.sli.temporality import StreamState

RELEASE_EVERY_NS = 10 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which moments can be counted, and in which slices.

    Args:
        reach_ns: The longest period, nanoseconds.
        slice_ns: The finest slice, nanoseconds.
        hold_ns: The slice by which the keys of counted spans are held, nanoseconds.
        epoch_unix_nano: When our own history begins.
    """

    reach_ns: int
    slice_ns: int
    hold_ns: int
    epoch_unix_nano: int

    def horizon(self, now: int) -> Horizon:
        """Return the moments that can be counted at `now`, nanoseconds since the epoch."""
        return Horizon(
            now_unix_nano=now,
            reach_ns=self.reach_ns,
            slice_ns=self.slice_ns,
            hold_ns=self.hold_ns,
            epoch_unix_nano=max(self.epoch_unix_nano, now - STREAM_MEMORY_NS),
        )


class Plans:
    """How the telemetry of every service is judged.

    Args:
        dockets: The promises of each service.
        outcomes: Where outcomes come from.
        value_of: Reads an attribute's wire form.
        reach: Which moments can be counted.
        losses: Reads what Collectors say of lost telemetry.
    """

    def __init__(
        self, dockets: Iterable[Docket], outcomes: Outcomes, value_of: ValueOf, reach: Reach, losses: LossReader
    ) -> None:
        self._outcomes = outcomes
        self._value_of = value_of
        self._reach = reach
        self._losses = losses
        self._spans: dict[str, SpanPlan] = {}
        self._metrics: dict[str, MetricPlan] = {}
        self._logs: dict[str, LogPlan] = {}
        self._lag = Lag()
        self._released = 0
        for docket in dockets:
            self._spans[docket.service] = SpanPlan(docket)
            self._metrics[docket.service] = MetricPlan(docket)
            self._logs[docket.service] = LogPlan(docket)

    def begin(self, since: Mapping[tuple[str, str], int]) -> None:
        """Tell since when each SLO is read, by name and generation, nanoseconds since the epoch."""
        for plan in self._metrics.values():
            plan.begin(since)

    def traces(self, request: TraceRequest, seen: SeenKeys, now: int, commit: Commit) -> list[str]:
        """Work out what a request of spans changes; return why spans were refused, one entry each."""
        refused: list[str] = []
        horizon = self._reach.horizon(now)
        counters: dict[str, SpanCounter] = {}
        for part in request.resource_spans:
            service = self._service(part.resource, now, commit)
            plan = self._spans.get(service)
            if plan is None or not plan.judges:
                commit.items["traces", UNMATCHED] += sum(len(scope.spans) for scope in part.scope_spans)
                continue
            counter = counters.get(service)
            if counter is None:
                counter = counters[service] = SpanCounter(plan, seen, horizon)
            fates = counter.take(part, commit)
            self._losses.refuse(service, Signal.TRACES, fates, horizon.slice_of(now), commit)
            refused += fates
        for counter in counters.values():
            counter.book(commit)
        return refused

    def metrics(
        self, request: MetricsRequest, streams: Mapping[bytes, StreamState], now: int, commit: Commit
    ) -> list[str]:
        """Work out what a request of data points changes; return why points were refused, one entry each."""
        refused: list[str] = []
        horizon = self._reach.horizon(now)
        pairs = Pairs(streams, horizon)
        for part in request.resource_metrics:
            service = self._service(part.resource, now, commit)
            self._losses.read(part, service, streams, horizon, commit)
            plan = self._metrics.get(service)
            if plan is not None:
                fates = PointCounter(plan, streams, pairs, horizon).count(part, commit)
                self._losses.refuse(service, Signal.METRICS, fates, horizon.slice_of(now), commit)
                refused += fates
        pairs.settle(self._outcomes, commit)
        return refused

    def release(self, streams: Mapping[bytes, StreamState], now: int, commit: Commit) -> None:
        """Work out what counters of pairs told that waited too long for the other counter; not at every look."""
        turn = now // RELEASE_EVERY_NS
        if turn == self._released:
            return
        self._released = turn
        pairs = Pairs(streams, self._reach.horizon(now))
        for plan in self._metrics.values():
            for pair in plan.pairs():
                pairs.release(pair, self._lag, self._outcomes, commit)

    def logs(self, request: LogsRequest, seen: SeenKeys, now: int, commit: Commit) -> list[str]:
        """Work out what a request of log records changes; return why records were refused, one entry each."""
        refused: list[str] = []
        horizon = self._reach.horizon(now)
        counter = LogCounter(seen, horizon)
        for part in request.resource_logs:
            service = self._service(part.resource, now, commit)
            plan = self._logs.get(service)
            if plan is None or not plan.judges:
                commit.items["logs", UNMATCHED] += sum(len(scope.log_records) for scope in part.scope_logs)
                continue
            fates = counter.count(plan, part, commit)
            self._losses.refuse(service, Signal.LOGS, fates, horizon.slice_of(now), commit)
            refused += fates
        return refused

    def _service(self, resource: Resource, now: int, commit: Commit) -> str:
        service = str(self._value_of(resource.attributes.get("service.name", b"")))
        if service in self._spans:
            commit.heard[service] = now
            version = resource.attributes.get("service.version")
            if version is not None:
                commit.versions.add((service, str(self._value_of(version))))
        return service
