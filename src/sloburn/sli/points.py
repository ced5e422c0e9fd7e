"""Metric data points to good and bad events: what a point adds, split by its attributes or by a bucket bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from sloburn.otlp.messages import Attributes, Metric, ResourceMetrics
from sloburn.sli.autopsy import Traits
from sloburn.sli.commit import Commit
from sloburn.sli.digest import digest_of
from sloburn.sli.docket import MAX_VERDICTS, Docket, traits_of
from sloburn.sli.horizon import COUNTED, FULL, FUTURE, INCONSISTENT, TOO_LATE, UNMATCHED, UNUSABLE, Horizon
from sloburn.sli.limits import ALL_BAD, ALL_GOOD, Edge, cut_of, place_of
from sloburn.sli.outcome import Outcomes, Portrait, Portraits
from sloburn.sli.pairs import Pair, Pairs
from sloburn.sli.readings import Reading, readings_of
from sloburn.sli.select import Facts, holds
from sloburn.sli.series import SeriesKey
from sloburn.sli.temporality import OUT_OF_ORDER, Gain, StreamState, gain, refusal, remembered
from sloburn.slo.model import Counter, CounterIndicator, MetricIndicator, Slo

MAX_STREAMS = 100_000

Note = tuple[SeriesKey, str]


class Side(NamedTuple):
    """One counter of a pair: which, and whether it counts all events."""

    pair: Pair
    is_whole: bool


class _Rule(NamedTuple):
    """One counter that an SLO reads, or its one metric."""

    slo: Slo
    generation: str
    indicator: MetricIndicator | Counter
    part: str  # of a pair of counters: good, bad or total; empty for a metric


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What is asked of a stream.

    Args:
        limits: Number of each series that counts the points, and where the good buckets end to it.
        sides: The pairs of counters that it is part of.
        notes: What the user must know.
    """

    limits: list[tuple[int, Edge]]
    sides: list[Side]
    notes: list[Note]


class PointVerdict:
    """What the points of one stream mean: one portrait for each run of buckets that means the same to every SLO.

    Args:
        judged: What is asked of the stream.
        buckets: How many values a point has; 0 where that differs from point to point.
        traits: What the autopsy compares.
        outcomes: Where outcomes come from.
        portraits: Where portraits come from.
    """

    __slots__ = ("notes", "runs", "sides")

    def __init__(self, judged: _Judged, buckets: int, traits: Traits, outcomes: Outcomes, portraits: Portraits) -> None:
        self.notes = tuple(judged.notes)
        self.sides = tuple(judged.sides)
        self.runs: list[tuple[Edge, Edge, Portrait]] = []
        edges = sorted({ALL_BAD, ALL_GOOD, *(edge for _, edge in judged.limits)}) if judged.limits else []
        for begin, end in pairwise(edges):
            outcome = outcomes.of((number, begin >= edge) for number, edge in judged.limits)
            if buckets:
                begin, end = place_of(begin, None, buckets), place_of(end, None, buckets)
            self.runs.append((begin, end, portraits.of(outcome, traits)))

    @property
    def counts(self) -> bool:
        """Tell whether any series counts the points."""
        return bool(self.runs or self.sides)


_UNUSABLE = (
    "{name} holds points ({kind}) that count no events, so they are passed over: expected a monotonic sum or a "
    "histogram with buckets, with its temporality"
)
_INCONSISTENT = (
    "{name} holds points ({kind}) whose buckets do not add up to their count, so they are refused: nobody knows which "
    "of the two is right"
)
_FLAWS = {UNUSABLE: _UNUSABLE, INCONSISTENT: _INCONSISTENT}
_REFUSED = frozenset({FUTURE, TOO_LATE, FULL, OUT_OF_ORDER, INCONSISTENT})


class MetricPlan:
    """How the metrics of one service are judged.

    Args:
        docket: The service's SLOs; those on metrics are taken.
    """

    def __init__(self, docket: Docket) -> None:
        self.service = docket.service
        self.outcomes = docket.outcomes
        self._docket = docket
        self._portraits = Portraits(docket.service)
        self._verdicts: dict[tuple[object, ...], PointVerdict] = {}
        self._rules: dict[str, list[_Rule]] = {}
        self._since: dict[str, int] = {}
        for slo, generation in docket.slos:
            for part, indicator in _counters(slo):
                rule = _Rule(slo, generation, indicator, part)
                self._rules.setdefault(indicator.metric, []).append(rule)

    def begin(self, since: Mapping[tuple[str, str], int]) -> None:
        """Tell since when each SLO is read, by name and generation: what was counted before is not its history."""
        self._since = {
            metric: min(since.get((rule.slo.name, rule.generation), 0) for rule in rules)
            for metric, rules in self._rules.items()
        }

    def since(self, name: str) -> int:
        """Return since when a metric is read, nanoseconds since the epoch; 0 for as long as there is a history."""
        return self._since.get(name, 0)

    def pairs(self) -> Iterator[Pair]:
        """Yield every pair of counters of which something was ever heard."""
        groups = self._docket.groups
        for rule in (rule for rules in self._rules.values() for rule in rules):
            if rule.part == "total" and isinstance(rule.slo.indicator, CounterIndicator):
                for key in groups.known(rule.slo, rule.generation):
                    numbers = groups.numbers_of(rule.slo, key)
                    yield _side(rule.slo.indicator, rule.part, key, numbers).pair

    def wants(self, name: str) -> bool:
        """Tell whether any SLO reads a metric."""
        return name in self._rules

    def unusable(self, metric: Metric, flaws: Iterable[str]) -> Iterator[Note]:
        """Yield for every SLO without groups in words why points of a metric count nothing, by their fates."""
        kind = (metric.WhichOneof("data") or "nothing").replace("_", " ")
        for rule in self._rules[metric.name]:
            if not rule.slo.group_by:
                for flaw in sorted(flaws):
                    yield SeriesKey(rule.slo.name, rule.generation), _FLAWS[flaw].format(name=metric.name, kind=kind)

    def verdict(self, name: str, reading: Reading, of_resource: Attributes) -> PointVerdict:
        """Return what the points of a stream mean; judged once for each stream, and scale of its buckets."""
        layout = reading.state.layout
        key = (
            reading.key,
            reading.state.bounds,
            reading.unit,
            None if layout is None else (layout.scale, layout.zero_threshold),
        )
        found = self._verdicts.get(key)
        if found is None:
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts.clear()
            found = self._verdicts[key] = self._judge(name, reading, of_resource)
        return found

    def _judge(self, name: str, reading: Reading, of_resource: Attributes) -> PointVerdict:
        raw = {**of_resource, **{key: value for key, value in reading.attributes.items() if value}}
        facts = Facts(attributes={key: self._docket.value_of(value) for key, value in raw.items()})
        judged = _Judged(limits=[], sides=[], notes=[])
        for rule in self._rules[name]:
            if holds(rule.indicator.where, facts):
                self._ask(rule, reading, facts, judged)
        buckets = 0 if reading.state.layout else len(reading.state.values)
        traits = traits_of(facts, self._docket.explained)
        return PointVerdict(judged, buckets, traits, self._docket.outcomes, self._portraits)

    def _ask(self, rule: _Rule, reading: Reading, facts: Facts, judged: _Judged) -> None:
        groups, slo, generation = self._docket.groups, rule.slo, rule.generation
        key = groups.key(slo, generation, facts)
        numbers = tuple(groups.numbers(slo, generation, facts))
        if isinstance(slo.indicator, CounterIndicator) and slo.indicator.total is not None:
            judged.sides.append(_side(slo.indicator, rule.part, key, numbers))
            return
        edge: Edge | None
        if isinstance(rule.indicator, Counter):
            edge = ALL_BAD if rule.part == "bad" else ALL_GOOD
        elif rule.indicator.threshold is None:
            edge = ALL_BAD if rule.indicator.bad is not None and holds(rule.indicator.bad, facts) else ALL_GOOD
        else:
            cut = cut_of(rule.indicator, reading)
            edge = cut.edge
            if cut.note:
                judged.notes.append((key, cut.note))
        if edge is not None:
            judged.limits.extend((number, edge) for number in numbers)


def _counters(slo: Slo) -> list[tuple[str, MetricIndicator | Counter]]:
    indicator = slo.indicator
    if isinstance(indicator, MetricIndicator):
        return [("", indicator)]
    if isinstance(indicator, CounterIndicator):
        found = (("good", indicator.good), ("bad", indicator.bad), ("total", indicator.total))
        return [(part, counter) for part, counter in found if counter is not None]
    return []


def _side(indicator: CounterIndicator, part: str, key: SeriesKey, numbers: tuple[int, ...]) -> Side:
    good, bad, total = indicator.good, indicator.bad, indicator.total
    other = bad or good
    if total is None or other is None:
        raise TypeError(f"{key.slo} has no counter of good or bad events beside its total")  # spec.counters reads two
    pair = Pair(key=key, numbers=numbers, part=other, part_is_bad=bad is not None, whole=total)
    return Side(pair, part == "total")


class PointCounter:
    """Counts the data points of one resource into a commit.

    Args:
        plan: How they are judged.
        streams: The last point of every stream.
        pairs: Takes what counters of pairs tell.
        horizon: Which moments can be counted.
    """

    def __init__(self, plan: MetricPlan, streams: Mapping[bytes, StreamState], pairs: Pairs, horizon: Horizon) -> None:
        self._plan = plan
        self._streams = streams
        self._pairs = pairs
        self._horizon = horizon

    def count(self, resource_metrics: ResourceMetrics, commit: Commit) -> list[str]:
        """Count every data point of a resource; return the fates of those that were refused."""
        of_resource = dict(resource_metrics.resource.attributes)
        origin = digest_of(of_resource)
        refused: list[str] = []
        for scope_metrics in resource_metrics.scope_metrics:
            scope = origin + scope_metrics.scope.name.encode()
            for metric in scope_metrics.metrics:
                readings = list(readings_of(metric, scope))
                if not self._plan.wants(metric.name):
                    commit.items["metrics", UNMATCHED] += len(readings)
                    continue
                flaws = {one for one in readings if isinstance(one, str)}
                if flaws:
                    commit.notes.update(dict.fromkeys(self._plan.unusable(metric, flaws)))
                for reading in readings:
                    fate = self._take(metric.name, reading, of_resource, origin, commit)
                    commit.items["metrics", fate] += 1
                    if fate in _REFUSED:
                        refused.append(fate)
        return refused

    def _take(self, name: str, reading: Reading | str, of_resource: Attributes, origin: bytes, commit: Commit) -> str:
        if isinstance(reading, str):
            return reading
        at = reading.state.time_unix_nano
        last = commit.streams.get(reading.key) or self._streams.get(reading.key)
        refused = self._horizon.refusal(at) or refusal(reading.state, last, reading.temporality)
        if refused:
            return refused
        commit.lead(self._plan.service, at - self._horizon.now_unix_nano)
        if last is None and len(self._streams) + len(commit.streams) >= MAX_STREAMS:
            return FULL
        epoch = max(self._horizon.epoch_unix_nano, self._plan.since(name))
        gained = gain(reading.state, last, reading.temporality, epoch)
        commit.streams[reading.key] = remembered(reading.state, last, reading.temporality)
        verdict = self._plan.verdict(name, reading, of_resource)
        if verdict.notes:
            commit.notes.update(dict.fromkeys(verdict.notes))
        if not verdict.counts:
            return UNMATCHED
        self._book(verdict, gained, self._horizon.slice_of(at), commit)
        for pair, is_whole in verdict.sides:
            self._pairs.hear(pair, origin, whole=is_whole, at_unix_nano=at, events=sum(gained.values))
        return COUNTED

    def _book(self, verdict: PointVerdict, gained: Gain, at: int, commit: Commit) -> None:
        values, layout = gained.values, gained.layout
        for begin, end, portrait in verdict.runs:
            if layout is not None:
                begin, end = place_of(begin, layout, len(values)), place_of(end, layout, len(values))
            events = sum(values[int(begin) : int(end)])
            if events:
                commit.count(portrait.outcome, at, events)
                commit.explain(portrait, at, events)
