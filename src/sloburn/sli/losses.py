"""Events that never came, as far as those who lost them tell: kept like counted ones, by service, signal and culprit.

What is lost is placed when its loss was reported: its own time was before. A window that ends now therefore never holds
less than was lost in it. A channel is numbered like a series, and lost events are what an outcome calls bad, so the
journal and the checkpoint keep them as they keep everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from sloburn.otlp.signal import Signal
from sloburn.sli.blend import Blend
from sloburn.sli.doubt import TOLD_NS, Judged, Ranges, Sight, merged, sights_of, size_of_common, split
from sloburn.sli.groups import Groups
from sloburn.sli.incomplete import Lack, Missed
from sloburn.sli.ledger import Ledger, Tier, sum_slices
from sloburn.sli.outcome import Outcome, Outcomes
from sloburn.sli.progress import Progress
from sloburn.sli.series import Series, SeriesKey
from sloburn.slo.exclusions import Interval, excluded
from sloburn.slo.model import SLICE_STEP_NS, FreshnessIndicator, JourneyIndicator, NoEvents, SlicedIndicator, Slo
from sloburn.slo.timed import slice_ns_of

ANY_SERVICE = ""
"""The channel of those who do not know whose events they lost."""

_NO_SLO = ""  # no SLO can have this name
_GROUP = ("service", "signal", "source")


class LossSource(StrEnum):
    """Who lost an event, as people read it."""

    SDK_QUEUE = "dropped by the SDK before export"
    SDK_EXPORT = "not exported by the SDK"
    COLLECTOR_RECEIVER = "refused by a Collector's receiver"
    COLLECTOR_PROCESSOR = "dropped by a Collector's processor"
    COLLECTOR_QUEUE = "refused by a Collector's queue"
    COLLECTOR_EXPORT = "not sent by a Collector"
    HERE = "refused by sloburn"


class Channel:
    """What one culprit lost of one service's telemetry.

    Args:
        key: Which channel.
        resolutions: Of the ledger's rings.
    """

    __slots__ = ("_told", "failing", "key", "ledger")

    def __init__(self, key: SeriesKey, resolutions: tuple[Tier, ...]) -> None:
        self.key = key
        self.ledger = Ledger(resolutions)
        self.failing: tuple[()] = ()  # stored like a series, which has bad events to show
        self._told: dict[int, tuple[int, Ranges]] = {}  # by ring: how much was lost by then, and when

    @property
    def service(self) -> str:
        """Whose events; `ANY_SERVICE` if that is not known."""
        return self.key.group[0][1]

    @property
    def signal(self) -> str:
        """Which signal they were of."""
        return self.key.group[1][1]

    @property
    def source(self) -> str:
        """Who lost them."""
        return self.key.group[2][1]

    def told(self, tier: int, before_ns: int) -> Ranges:
        """Return the spans of time in which lost items can have been made, by what one ring knows.

        Args:
            tier: Which ring.
            before_ns: How long before it is told an item can have been lost, nanoseconds.
        """
        lost, found = self._told.get(tier, (-1, ()))
        if lost != self.ledger.bad:
            cell_ns = self.ledger.rings[tier].tier.slice_ns
            cells = (place * cell_ns for place in self.ledger.rings[tier].bad_places())
            found = merged((at - before_ns, at + cell_ns) for at in cells)
            self._told[tier] = self.ledger.bad, found
        return found


class Reader(Protocol):
    """Whose events or slices a look-back shows: a series, or a member of one."""

    slo: Slo
    progress: Progress

    @property
    def reads(self) -> Iterable[Reader]:
        """Whose events or slices decide its own."""
        ...


class Losses:
    """Every channel in which something was lost.

    There are never more than culprits, times signals, times services that have an SLO.

    Args:
        slos: The promises, scaled.
        groups: Where numbers come from.
        outcomes: Where outcomes come from.
        resolutions: Of the ledgers; they reach as far back as the longest period.
    """

    def __init__(self, slos: Iterable[Slo], groups: Groups, outcomes: Outcomes, resolutions: tuple[Tier, ...]) -> None:
        by_name = {slo.name: slo for slo in slos}
        self._services = {ANY_SERVICE, *(slo.service for slo in by_name.values())}
        self._sights = {slo.name: sights_of(slo, by_name) for slo in by_name.values()}
        self._groups = groups
        self._outcomes = outcomes
        self._resolutions = resolutions
        self._told_ns = TOLD_NS * resolutions[0].slice_ns // SLICE_STEP_NS
        self._generation = f"losses-{resolutions[0].slice_ns}"
        self.channels: dict[SeriesKey, Channel] = {}
        self._by_signal: dict[tuple[str, str], list[Channel]] = {}
        self._fresh: set[str] = set()
        self._missed: dict[tuple[int, str, str], Missed | None] = {}
        self._since: Mapping[str, int] = {}
        self._now = 0

    def begin(self, since: Mapping[str, int]) -> None:
        """Tell since when each SLO is read, by name: what was lost before is not its own."""
        self._since = since

    def concerns(self, service: str) -> bool:
        """Tell whether any SLO reads a service."""
        return service in self._services

    def outcome(self, service: str, signal: str, source: LossSource) -> Outcome:
        """Return what it means that an event was lost."""
        group = tuple(zip(_GROUP, (service, signal, source.value), strict=True))
        number = self._groups.number(SeriesKey(_NO_SLO, self._generation, group))
        return self._outcomes.of([(number, True)])

    def open(self, key: SeriesKey) -> Channel | None:
        """Return a channel, made if it is new; None if the key is no channel of today."""
        is_known = key.slo == _NO_SLO and key.generation == self._generation
        if not is_known or tuple(name for name, _ in key.group) != _GROUP or key.group[0][1] not in self._services:
            return None
        found = self.channels.get(key)
        if found is None:
            found = self.channels[key] = Channel(key, self._resolutions)
            self._by_signal.setdefault((found.service, found.signal), []).append(found)
        return found

    def add(self, key: SeriesKey, at_unix_nano: int, events: int) -> None:
        """Count lost events, if the key is a channel's."""
        channel = self.open(key)
        if channel is not None:
            channel.ledger.add(at_unix_nano, 0, events)
            self._fresh.add(channel.service)

    def tell(self, series: Iterable[Series]) -> None:
        """Note which series lack more than when this was asked last."""
        if not self._fresh:
            return
        concerned = {
            name
            for name, sights in self._sights.items()
            if ANY_SERVICE in self._fresh or any(sight.service in self._fresh for sight in sights)
        }
        for one in series:
            one.is_changed = one.is_changed or one.slo.name in concerned
        self._fresh, self._missed = set(), {}

    def totals(self) -> dict[tuple[str, str, str], int]:
        """Return how many events were ever lost, by service, signal and culprit."""
        return {(one.service, one.signal, one.source): one.ledger.bad for one in self.channels.values()}

    def missed(self, series: Series, now: int) -> Missed | None:
        """Return the most that a series can lack at `now`; None for nothing."""
        if not self.channels:
            return None
        view = _View(self._by_signal, self._told_ns, series, now)
        if isinstance(series.blend, Blend):
            return view.of_members([self._part(view, one, now) for one, _ in series.blend.parts])
        return self._part(view, series, now)

    def _part(self, view: _View, reader: Reader, now: int) -> Missed | None:
        """Return what a series or a member of one can lack; worked out once where nothing but the service matters."""
        sights = self._sights[reader.slo.name]
        if slice_ns_of(reader.slo.indicator):
            return view.of_slices(reader, sights, self._since.get(reader.slo.name, 0))
        if view.hidden:
            return view.of_items(sights[0])
        if now != self._now:
            self._now, self._missed = now, {}
        key = (id(view.look_backs), *sights[0][:2])  # look-backs live as long as the engine
        if key not in self._missed:
            self._missed[key] = view.of_items(sights[0])
        return self._missed[key]


class _View:
    """What was lost in the look-backs of one series at one moment.

    Args:
        channels: By service and signal.
        told_ns: How long before it is told an item can have been lost, nanoseconds.
        series: Whose look-backs.
        now: Nanoseconds since the epoch.
    """

    def __init__(self, channels: dict[tuple[str, str], list[Channel]], told_ns: int, series: Series, now: int) -> None:
        self._channels = channels
        self._told_ns = told_ns
        self._now = now
        self.look_backs = series.shape.look_backs
        self._spans = tuple(zip(self.look_backs.tiers, self.look_backs.at(now), strict=True))
        self._slice_ns = tuple(tier.slice_ns for tier in self.look_backs.resolutions)
        self.hidden: tuple[Interval, ...] = ()
        if series.slo.exclusions:
            begin = min(first * self._slice_ns[tier] for tier, (first, _) in self._spans)
            self.hidden = excluded(series.slo.exclusions, begin, now)
        later = [replace(one, begin_unix_nano=one.begin_unix_nano + told_ns) for one in self.hidden]
        self._surely_hidden = [one for one in later if one.begin_unix_nano < one.end_unix_nano]  # told, and made, then

    def of_items(self, sight: Sight) -> Missed | None:
        """Return what is lost of a signal: each item is an event at the most, unless it is a data point."""
        counts, sources = self._lost((sight,), 0)
        lack = Lack.POINTS if sight.signal is Signal.METRICS else Lack.EVENTS
        return Missed(counts, sources, lack) if sources else None

    def of_slices(self, reader: Reader, sights: tuple[Sight, ...], since: int) -> Missed | None:
        """Return which slices are in doubt; not more than lost items can have moved, where each moves but one.

        Args:
            reader: Whose slices.
            sights: What it reads.
            since: When it began to be read, nanoseconds since the epoch.
        """
        slice_ns = slice_ns_of(reader.slo.indicator)
        items, sources = self._lost(sights, slice_ns + max(sight.lasts_ns for sight in sights))
        if not any(items):
            return None
        moves = [0 if sight.lasts_ns else _MOVES.get(sight.signal, 1) for sight in sights]
        doubtful = tuple(
            silent + (min(touched, lost * max(moves)) if all(moves) else touched)
            for (touched, silent), lost in zip(self._doubtful(reader, slice_ns, sights, since), items, strict=True)
        )
        lack = Lack.STALE_SLICES if isinstance(reader.slo.indicator, FreshnessIndicator) else Lack.SLICES
        return Missed(doubtful, sources, lack) if any(doubtful) else None

    def of_members(self, parts: list[Missed | None]) -> Missed | None:
        """Return what the members of a weighted series lack."""
        found = [part for part in parts if part is not None]
        if not found:
            return None
        sources: dict[str, int] = {}
        for part in found:
            for source, lost in part.sources:
                sources[source] = sources.get(source, 0) + lost
        counts = tuple(map(sum, zip(*(part.counts for part in found), strict=True)))
        return Missed(counts, _ranked(sources), Lack.MEMBERS, tuple(parts))

    def _doubtful(
        self, reader: Reader, slice_ns: int, sights: tuple[Sight, ...], since: int
    ) -> Iterator[tuple[int, int]]:
        """Yield how many of the slices that each look-back shows are in doubt: for what was lost in them, and others.

        Where slices without events count, they do so after the first event of all, and that may have been lost.
        """
        begins, heard = _begin_of(reader, since, self._now), _silence_counts_from(reader, self._now)
        for tier, (first, last) in self._spans:
            judged = Judged(
                slice_ns=slice_ns,
                step_ns=self._slice_ns[0],
                cell_ns=self._slice_ns[tier],
                progress=reader.progress,
                begins_unix_nano=begins,
            )
            told = merged(
                one
                for sight in sights
                for channel in self._of(sight)
                for one in judged.touched(channel.told(tier, self._told_ns), sight.lasts_ns)
            )
            shown = judged.shown(first, last, self.hidden)
            before, after = split(told, heard // slice_ns + 1 if heard else 0)
            yield size_of_common(shown, after), size_of_common(shown, before)

    def _of(self, sight: Sight) -> list[Channel]:
        """Return the channels of a signal: of the service, and of those who do not know whose items they lost."""
        services = (ANY_SERVICE, sight.service)
        return [channel for service in services for channel in self._channels.get((service, sight.signal), ())]

    def _lost(self, sights: tuple[Sight, ...], before_ns: int) -> tuple[tuple[int, ...], tuple[tuple[str, int], ...]]:
        """Return how many items were lost in every look-back, and in the last one by what lost them."""
        channels = {channel.key: channel for sight in sights for channel in self._of(sight)}
        counts = [0] * len(self._spans)
        sources: dict[str, int] = {}
        for channel in channels.values():
            found = [self._in_look_back(channel, *span, before_ns) for span in self._spans]
            counts = [*map(sum, zip(counts, found, strict=True))]
            sources[channel.source] = sources.get(channel.source, 0) + found[-1]
        return tuple(counts), _ranked(sources)

    def _in_look_back(self, channel: Channel, tier: int, span: tuple[int, int], before_ns: int) -> int:
        """Return how many items a channel lost in a look-back and some time before it, but no surely excluded ones."""
        ring, (first, last) = channel.ledger.rings[tier], span
        first -= -(-before_ns // ring.tier.slice_ns)
        return sum_slices(ring.blocks, first, last)[1] - ring.hidden(first, last, self._surely_hidden)[1]


def _begin_of(reader: Reader, since: int, now: int) -> int:
    """Return when the first slices can count: any that holds an event since it is read, or since its history began."""
    history = reader.progress.history_unix_nano
    return min(since, history or since) if isinstance(reader.slo.indicator, SlicedIndicator) else history or now


def _silence_counts_from(reader: Reader, now: int) -> int:
    """Return from when on every slice without events counts, here or in what is read; 0 where none ever does."""
    indicator = reader.slo.indicator
    if isinstance(indicator, SlicedIndicator) and indicator.no_events is not NoEvents.IGNORED:
        return reader.progress.history_unix_nano or now
    if isinstance(indicator, JourneyIndicator):
        return max((_silence_counts_from(one, now) for one in reader.reads), default=0)
    return 0


_MOVES = {Signal.METRICS: 2}  # slices that a lost item can move: what a point held counts in the next one's slice


def _ranked(sources: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(
        sorted(((source, lost) for source, lost in sources.items() if lost), key=lambda one: (-one[1], one[0]))
    )
