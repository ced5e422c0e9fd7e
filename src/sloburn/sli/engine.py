"""The single owner of everything that moves: telemetry is worked out, stored by the caller, applied, evaluated.

The engine is used from one thread. `prepare` changes nothing; `apply` cannot fail; between the two the caller makes the
commit durable. What was applied reaches the series when somebody looks: see `settle`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import partial

from sloburn.duration import SECOND
from sloburn.otlp.messages import LogsRequest, MetricsRequest, TraceRequest
from sloburn.sli.autopsy import Autopsy
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import DEFAULT_CAPACITY, SeenKeys
from sloburn.sli.dependents import Dependents, Registry
from sloburn.sli.docket import Docket, ValueOf
from sloburn.sli.early_watch import early_slice_ns
from sloburn.sli.evaluate import evaluate
from sloburn.sli.generation import earlier, generations
from sloburn.sli.groups import Groups
from sloburn.sli.heritage import fold_groups, share_histories
from sloburn.sli.horizon import STREAM_MEMORY_NS
from sloburn.sli.leads import Leads
from sloburn.sli.ledger import tiers
from sloburn.sli.loss_points import OUR_EXPORTERS, LossReader
from sloburn.sli.losses import Channel, Losses
from sloburn.sli.outcome import Outcome, Outcomes
from sloburn.sli.pending import Pending
from sloburn.sli.plans import Plans, Reach
from sloburn.sli.series import Series, SeriesKey, look_back_ns
from sloburn.sli.shape import Shapes
from sloburn.sli.status import Snapshot
from sloburn.sli.temporality import StreamState
from sloburn.sli.timeline import Timeline
from sloburn.slo.model import Slo
from sloburn.slo.periods import reach_ns
from sloburn.slo.timed import sources_of

_COURSES_PER_SECOND = 50


class Engine:
    """Counts telemetry for a set of SLOs.

    Args:
        slos: The promises, unscaled; names are unique.
        value_of: Reads an attribute's wire form.
        epoch: When our own history begins, nanoseconds since the epoch: counters that began before are base lines.
        time_scale: How many times faster than written the windows run; 1 in production.
        seen_capacity: How many span ids are remembered.
        our_exporters: Patterns of the names of a Collector's exporters that send to us: what they lose, we miss.
    """

    def __init__(
        self,
        slos: Iterable[Slo],
        value_of: ValueOf,
        *,
        epoch: int,
        time_scale: int = 1,
        seen_capacity: int = DEFAULT_CAPACITY,
        our_exporters: tuple[str, ...] = OUR_EXPORTERS,
    ) -> None:
        self._slos = {slo.name: slo.scaled(time_scale) for slo in slos}
        self._places = {name: place for place, name in enumerate(self._slos)}
        self._slos |= sources_of(self._slos.values())
        self._generations = generations(self._slos, time_scale)
        self._earlier = earlier(self._slos, time_scale)
        self._value_of = value_of
        self._epoch = epoch
        self._time_scale = time_scale
        self._shapes = Shapes(time_scale)
        self.groups = Groups()
        self._outcomes = Outcomes()
        self._reach_ns = max((reach_ns(slo.period) for slo in self._slos.values()), default=0)
        self.losses = Losses(self._slos.values(), self.groups, self._outcomes, tiers(self._reach_ns, time_scale))
        self.autopsies: dict[str, Autopsy] = {}
        self._plans = self._plan(LossReader(self.losses, value_of, epoch, our_exporters))
        self.series: dict[SeriesKey, Series] = {}
        self._ordered: list[Series] = []
        self.streams: dict[bytes, StreamState] = {}
        self.dirty_streams: set[bytes] = set()
        self.seen = SeenKeys(seen_capacity)
        self._pending = Pending()
        self.timeline = Timeline()
        self.heard: dict[str, int] = {}  # when each service last sent anything
        self.leads = Leads()
        self._items: Counter[tuple[str, str]] = Counter()
        self._dependents = Dependents(self._registry())
        for name, slo in self._slos.items():
            if not slo.group_by:
                self.open(SeriesKey(name, self._generations[name]))
        self._dependents.follow(self.series.values())

    def _registry(self) -> Registry:
        return Registry(
            slos=self._slos,
            open=self.open,
            generations=self._generations,
            number=self.groups.number,
            outcomes=self._outcomes,
            time_scale=self._time_scale,
        )

    def _plan(self, loss_reader: LossReader) -> Plans:
        by_service: dict[str, list[tuple[Slo, str]]] = {}
        for name, slo in self._slos.items():
            by_service.setdefault(slo.service, []).append((slo, self._generations[name]))
        dockets = [
            Docket(
                service=service,
                slos=tuple(slos),
                groups=self.groups,
                outcomes=self._outcomes,
                value_of=self._value_of,
            )
            for service, slos in by_service.items()
        ]
        for service, slos in by_service.items():
            self.autopsies[service] = Autopsy(max(look_back_ns(slo) for slo, _ in slos))
        return Plans(dockets, self._outcomes, self._value_of, self._reach(), loss_reader)

    def _reach(self) -> Reach:
        hold_ns = tiers(0, self._time_scale)[0].slice_ns
        is_early = any(slo.alerting.early_page for slo in self._slos.values())
        return Reach(
            reach_ns=self._reach_ns,
            slice_ns=early_slice_ns(hold_ns) if is_early else hold_ns,
            hold_ns=hold_ns,
            epoch_unix_nano=self._epoch,
        )

    def open(self, key: SeriesKey) -> Series | None:
        """Return a series, made if it is new; None if no SLO of today counts it."""
        found = self.series.get(key)
        slo = self._slos.get(key.slo)
        if found is not None or slo is None or self._generations[key.slo] != key.generation:
            return found
        if slo.group_by and not (key.group or slo.alerting.together):
            return None  # the whole of groups that no longer alert together
        self.groups.adopt(key)
        made = self.series[key] = Series(key, slo, self._shapes.of(slo))
        self._ordered = []
        self._dependents.opened(made)
        return made

    def current(self, key: SeriesKey) -> SeriesKey:
        """Return a key as it is written today: a store of an earlier version may have another for the same series."""
        found = self._earlier.get((key.slo, key.generation))
        return key if found is None else SeriesKey(key.slo, found, key.group)

    def inherit(self, old: Engine) -> None:
        """Take over everything that an engine with other SLOs counted, which is used no more.

        A series keeps its counts and alerts where its SLO still counts the same, whatever it promises, and is left
        behind where nobody counts it any more.
        """
        old.settle()
        self.groups.inherit(old.groups)
        for key, series in old.series.items():
            made = self.open(key)
            if made is not None:
                made.succeed(series)
        revived = [key for key, one in self.series.items() if one.ledger.first_unix_nano]
        self._take_up(old.series.values(), {*old.series, *revived})
        for key, channel in old.losses.channels.items():
            kept = self.losses.open(key)
            if kept is not None:
                kept.ledger.adopt(channel.ledger)
        self.streams, self.dirty_streams, self.seen = old.streams, old.dirty_streams, old.seen
        self.timeline = old.timeline
        self.heard, self.leads, self._items = old.heard, old.leads, old._items
        self._pending.succeed(old._pending)
        for service in self.autopsies.keys() & old.autopsies.keys():
            self.autopsies[service].inherit(old.autopsies[service])
        self._dependents.follow(self.series.values())

    def settle_heritage(self, known: Set[SeriesKey]) -> None:
        """Give series that are new what others counted for them, once everything stored is back.

        Args:
            known: Series that the store has.
        """
        self._take_up([one for key in known if (one := self.series.get(key)) is not None], known)

    def _take_up(self, donors: Iterable[Series], known: Set[SeriesKey]) -> None:
        share_histories(donors, self._generations, known, self.open)
        fold_groups(self.series, self._slos, self.open)

    def begin(self, since: Mapping[tuple[str, str], int]) -> None:
        """Tell since when each SLO is read, by name and generation, nanoseconds since the epoch."""
        self._plans.begin(since)
        self.losses.begin({slo: since.get((slo, generation), 0) for slo, generation in self._generations.items()})

    def counted(self) -> Iterator[tuple[SeriesKey, Series | Channel]]:
        """Yield everything that counts events: series, and the channels of what was lost."""
        yield from self.series.items()
        yield from self.losses.channels.items()

    def resume(self, key: SeriesKey) -> Series | Channel | None:
        """Return what counts under a stored key; None if nothing does any more."""
        return self.open(key) or self.losses.open(key)

    @property
    def reach_ns(self) -> int:
        """The longest period, nanoseconds."""
        return self._reach_ns

    @property
    def time_scale(self) -> int:
        """How many times faster than written the windows run."""
        return self._time_scale

    def generations(self) -> tuple[tuple[str, str], ...]:
        """Return the SLOs of today by name, each with the generation of its series."""
        return tuple(self._generations.items())

    def prepare_traces(self, request: TraceRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of spans changes; return why spans were refused, one entry each."""
        commit.now, commit.is_sated = now, partial(self._pending.ration.is_spent, now)
        return self._plans.traces(request, self.seen, now, commit)

    def prepare_metrics(self, request: MetricsRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of data points changes; return why points were refused, one entry each."""
        commit.now, commit.is_sated = now, partial(self._pending.ration.is_spent, now)
        return self._plans.metrics(request, self.streams, now, commit)

    def prepare_logs(self, request: LogsRequest, now: int, commit: Commit) -> list[str]:
        """Work out what a request of log records changes; return why records were refused, one entry each."""
        commit.now, commit.is_sated = now, partial(self._pending.ration.is_spent, now)
        return self._plans.logs(request, self.seen, now, commit)

    def apply(self, commit: Commit) -> None:
        """Take over a commit that is durable."""
        for outcome, events in self._pending.add(commit):
            self._take_back(outcome, events)
        for (service, at), looks in commit.looks.items():
            self.autopsies[service].add(at, looks.items())
        self.seen.add(commit.seen, commit.now)
        self.streams.update(commit.streams)
        self.dirty_streams.update(commit.streams)
        self.heard.update(commit.heard)
        self.leads.see(commit.leads, commit.now)
        self._items.update(commit.items)
        for service, version in sorted(commit.versions):
            self.timeline.see(service, version, commit.now)
        for key, note in (*(one for one in commit.outdated if one[0] in self.series), *commit.notes):
            if (series := self.open(key)) is not None:
                series.note(note, commit.now if (key, note) in commit.notes else None)
        if commit.progress:
            self._dependents.applied(commit)

    def _take_back(self, outcome: Outcome, events: int) -> None:
        """Keep what was counted ever as high as it was: Prometheus takes a counter that falls for a restarted one."""
        for number in (*outcome.good, *outcome.bad):
            series = self._numbered(number)
            if series is not None:
                series.ledger.good += events if number in outcome.good else 0
                series.ledger.bad += events if number in outcome.bad else 0

    def judge(self, now: int) -> Commit:
        """Work out what the clock decides, slices and events that waited; store the commit, then apply it."""
        self.settle()
        commit = Commit(now=now)
        self._plans.release(self.streams, now, commit)
        self._dependents.judge(now, commit)
        return commit

    def next_verdict(self, now: int) -> int | None:
        """Return when a slice can become bad after `now` although nothing comes; None if none can."""
        return self._dependents.next_verdict(now)

    def settle(self) -> None:
        """Give the series what was counted since the last time: one addition for each series and slice."""
        for at, sums in self._pending.take_counts():
            for number, (good, bad) in sums.items():
                series = self._numbered(number)
                if series is None:
                    self.losses.add(self.groups.key_of(number), at, bad)
                    continue
                series.count(at, good, bad)
        self._show()
        self.losses.tell(self.series.values())

    def _show(self) -> None:
        """Give the series what is known of single events."""
        for number, evidence in self._pending.take_evidence().items():
            if (series := self._numbered(number)) is not None:
                series.show(evidence)
        for number, (weight, at) in self._pending.take_weights().items():
            if (series := self._numbered(number)) is not None:
                series.weigh(weight, at)

    def _numbered(self, number: int) -> Series | None:
        key = self.groups.key_of(number)
        return self.series.get(key) or self.open(key)

    def outcome(self, good: Iterable[int], bad: Iterable[int]) -> Outcome:
        """Return an outcome that was stored, by the numbers of its series."""
        return self._outcomes.of([*((number, False) for number in good), *((number, True) for number in bad)])

    def resume_evidence(self, number: int) -> None:
        """Number the bad events to come after `number`."""
        self._pending.resume(number)

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
        for _, counted in self.counted():
            for ring in counted.ledger.rings:
                ring.dirty.clear()
        for series in self.series.values():
            series.is_unsaved = False

    def mark_changed(self) -> None:
        """Note that nothing is in a checkpoint."""
        self.dirty_streams.update(self.streams)
        for autopsy in self.autopsies.values():
            autopsy.mark_changed()
        for _, counted in self.counted():
            for ring in counted.ledger.rings:
                ring.dirty.update(ring.blocks)
        for series in self.series.values():
            series.is_unsaved = True

    def tick(self, now: int) -> Snapshot:
        """Evaluate everything at `now`, nanoseconds since the epoch."""
        self.settle()
        self._dependents.refresh()
        every = SECOND * max(1, len(self.series) // _COURSES_PER_SECOND)
        leads = self.leads.at(now)
        findings = {service: autopsy.findings(now) for service, autopsy in self.autopsies.items()}
        return Snapshot(
            at_unix_nano=now,
            statuses=tuple(
                [
                    evaluate(
                        series,
                        now,
                        self._dependents.heard(series.slo, self.heard, now),
                        findings[series.slo.service],
                        course_every_ns=every,
                        missed=self.losses.missed(series, now),
                        clock_lead_ns=leads.get(series.slo.service, 0),
                    )
                    for series in self._in_order()
                ]
            ),
            items=dict(self._items),
            annotations=self.timeline.annotations,
            time_scale=self._time_scale,
            lost=self.losses.totals(),
            clock_leads=leads,
        )

    def _in_order(self) -> list[Series]:
        if not self._ordered:
            shown = (one for one in self.series.values() if one.key.slo in self._places)
            self._ordered = sorted(shown, key=lambda one: (self._places[one.key.slo], one.key))
            for series in self.series.values():
                series.number = self.groups.number(series.key)
        return self._ordered
