"""Every series that is judged by time or made of other series: who reads whom, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sloburn.sli.blend import Blend
from sloburn.sli.commit import Commit
from sloburn.sli.outcome import Outcome, Outcomes
from sloburn.sli.series import Series, SeriesKey
from sloburn.sli.timed import Timed
from sloburn.sli.verdicts import FreshnessRule, Rule, ShareRule
from sloburn.slo.model import FreshnessIndicator, JourneyIndicator, SlicedIndicator, Slo, WeightedIndicator
from sloburn.slo.timed import SOURCE_SUFFIX, hears_silence, members_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What is known of the engine's series.

    Args:
        slos: Every SLO by name, those behind slices included, scaled.
        open: Returns a series, made if it is new.
        generations: Of the series of every SLO.
        number: Returns the number of a series.
        outcomes: Where outcomes come from.
        time_scale: How many times faster than written the windows run.
    """

    slos: Mapping[str, Slo]
    open: Callable[[SeriesKey], Series | None]
    generations: Mapping[str, str]
    number: Callable[[SeriesKey], int]
    outcomes: Outcomes
    time_scale: int


class Dependents:
    """The timed and composite series of an engine.

    Args:
        registry: Where series come from.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._timed: dict[SeriesKey, Timed] = {}
        self._weighted: list[Series] = []
        self._hears = {slo.name: self._services(slo) for slo in registry.slos.values() if _reads_others(slo)}

    def follow(self, series: Iterable[Series]) -> None:
        """Follow these series and no others; every series without groups is among them."""
        found = list(series)
        unread = {one.key: set[int]().union(*one.marks) for one in found}  # what came before a reload
        self._timed, self._weighted = {}, []
        for one in found:
            one.marks, one.source, one.blend, one.reads = (), None, None, ()
            one.ledger.detach()
        for one in found:
            self.opened(one)
        for slo in self._registry.slos.values():
            if isinstance(slo.indicator, JourneyIndicator):
                self._link_journey(slo, slo.indicator)
            elif isinstance(slo.indicator, WeightedIndicator):
                self._link_weighted(slo, slo.indicator)
        for one in found:
            for marks in one.marks:
                marks.update(unread[one.key])

    def opened(self, series: Series) -> None:
        """Follow a new series: where it counts the events behind slices, the slices are judged from now on."""
        name, suffix, _ = series.key.slo.partition(SOURCE_SUFFIX)
        if not suffix:
            return
        judged = self._series(SeriesKey(name, self._registry.generations[name], series.key.group))
        judged.source = series
        rule = self._rule(judged.slo, series)
        at_once = isinstance(judged.slo.indicator, FreshnessIndicator) and not judged.slo.group_by
        self._judge_into(judged, rule, [series], starts_at_once=at_once)

    def judge(self, now: int, commit: Commit) -> None:
        """Work out every verdict that is new or changed at `now`."""
        for timed in self._timed.values():
            if not timed.series.number:
                timed.series.number = self._registry.number(timed.series.key)
            timed.judge(now, commit, self._outcome)

    def next_verdict(self, now: int) -> int | None:
        """Return when a slice of those to whom silence is a signal is judged next after `now`; None without any."""
        heedful = (one for one in self._timed.values() if not self._hears.get(one.series.key.slo, True))
        return min((timed.next_verdict(now) for timed in heedful), default=None)

    def applied(self, commit: Commit) -> None:
        """Take over how far a durable commit judged."""
        for key, progress in commit.progress.items():
            self._timed[key].applied(progress)

    def heard(self, slo: Slo, heard: Mapping[str, int], now: int) -> int:
        """Return when something was last heard of an SLO; always now where silence is a signal to it.

        Args:
            slo: The promise.
            heard: When each service was last heard, nanoseconds since the epoch.
            now: Nanoseconds since the epoch.
        """
        services = self._hears.get(slo.name)
        if services is None:
            return heard.get(slo.service, 0)
        return max([heard.get(service, 0) for service in services], default=now)

    def refresh(self) -> None:
        """Note which weighted series have members that changed since they were last evaluated."""
        for series in self._weighted:
            if series.blend is not None and series.blend.is_changed():
                series.is_changed = True

    def _rule(self, slo: Slo, source: Series) -> Rule:
        ends_ns = slo.period.length_ns if slo.group_by else 0  # a group of which a period knows nothing is gone
        match slo.indicator:
            case FreshnessIndicator(slice_ns=slice_ns, within_ns=within_ns):
                return FreshnessRule(source.ledger, slice_ns, within_ns, self._registry.time_scale, ends_ns)
            case SlicedIndicator(slice_ns=slice_ns, target=target, no_events=no_events):
                return ShareRule([(source.ledger, target)], slice_ns, no_events, ends_ns)
            case other:
                raise TypeError(f"{other!r} judges no slices of events")

    def _link_journey(self, slo: Slo, indicator: JourneyIndicator) -> None:
        members = [self._named(name) for name in indicator.members]
        parts = [(one.ledger, indicator.target or one.slo.objective) for one in members]
        rule = ShareRule(parts, indicator.slice_ns, indicator.no_events)
        self._judge_into(self._named(slo.name), rule, members, starts_at_once=True, delay=self._depth(slo))

    def _link_weighted(self, slo: Slo, indicator: WeightedIndicator) -> None:
        series = self._named(slo.name)
        parts = [(self._named(name), weight) for name, weight in indicator.members]
        series.blend = Blend(parts, series.shape.look_backs)
        self._weighted.append(series)

    def _judge_into(
        self, judged: Series, rule: Rule, sources: list[Series], *, starts_at_once: bool, delay: int = 0
    ) -> None:
        scale = self._registry.time_scale
        timed = Timed(judged, rule, starts_at_once=starts_at_once, delay=delay, time_scale=scale)
        timed.listen(sources)
        judged.reads = tuple(sources)
        self._timed[judged.key] = timed

    def _depth(self, slo: Slo) -> int:
        """Return how many journeys lie below an SLO; slices of events lie at 0, events below."""
        names = members_of(slo.indicator)
        return 1 + max(self._depth(self._registry.slos[name]) for name in names) if names else 0

    def _services(self, slo: Slo) -> frozenset[str]:
        """Return whose silence is that of an SLO; nobody's where silence is a signal to it or to a member."""
        if hears_silence(slo.indicator):
            return frozenset()
        names = members_of(slo.indicator)
        if not names:
            return frozenset({slo.service})
        parts = [self._services(self._registry.slos[name]) for name in names]
        return frozenset[str]().union(*parts) if all(parts) else frozenset()

    def _named(self, name: str) -> Series:
        return self._series(SeriesKey(name, self._registry.generations[name]))

    def _series(self, key: SeriesKey) -> Series:
        found = self._registry.open(key)
        if found is None:
            raise KeyError(key)  # documents name only members that are there
        return found

    def _outcome(self, number: int, is_bad: bool) -> Outcome:
        return self._registry.outcomes.of([(number, is_bad)])


def _reads_others(slo: Slo) -> bool:
    return bool(members_of(slo.indicator)) or hears_silence(slo.indicator)
