"""Events that never came, as far as those who lost them tell: kept like counted ones, by service, signal and culprit.

What is lost is placed when its loss was reported: its own time was before. A window that ends now therefore never holds
less than was lost in it. A channel is numbered like a series, and lost events are what an outcome calls bad, so the
journal and the checkpoint keep them as they keep everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sloburn.otlp.signal import Signal
from sloburn.sli.groups import Groups
from sloburn.sli.incomplete import Missed
from sloburn.sli.ledger import Ledger, Tier, sum_slices
from sloburn.sli.outcome import Outcome, Outcomes
from sloburn.sli.series import Series, SeriesKey
from sloburn.slo.exclusions import excluded
from sloburn.slo.model import LogIndicator, Slo, SpanIndicator

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

    __slots__ = ("failing", "key", "ledger")

    def __init__(self, key: SeriesKey, resolutions: tuple[Tier, ...]) -> None:
        self.key = key
        self.ledger = Ledger(resolutions)
        self.failing: tuple[()] = ()  # stored like a series, which has bad events to show

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
        self._services = {ANY_SERVICE, *(slo.service for slo in slos)}
        self._groups = groups
        self._outcomes = outcomes
        self._resolutions = resolutions
        self._generation = f"losses-{resolutions[0].slice_ns}"
        self.channels: dict[SeriesKey, Channel] = {}
        self._by_signal: dict[tuple[str, str], list[Channel]] = {}
        self._fresh: set[str] = set()
        self._missed: dict[tuple[int, str, str], Missed | None] = {}
        self._now = 0

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
        if self._fresh:
            for one in series:
                one.is_changed = one.is_changed or not self._fresh.isdisjoint((ANY_SERVICE, one.slo.service))
            self._fresh, self._missed = set(), {}

    def totals(self) -> dict[tuple[str, str, str], int]:
        """Return how many events were ever lost, by service, signal and culprit."""
        return {(one.service, one.signal, one.source): one.ledger.bad for one in self.channels.values()}

    def missed(self, series: Series, now: int) -> Missed | None:
        """Return the most events that a series can lack at `now`; None for none."""
        signal = signal_of(series.slo)
        if not self.channels or not signal:
            return None
        if series.slo.exclusions:
            return self._sum(series, signal, now)
        if now != self._now:
            self._now, self._missed = now, {}
        key = (id(series.shape.look_backs), series.slo.service, signal)  # look-backs live as long as the engine
        if key not in self._missed:
            self._missed[key] = self._sum(series, signal, now)
        return self._missed[key]

    def _sum(self, series: Series, signal: str, now: int) -> Missed | None:
        services = (ANY_SERVICE, series.slo.service)
        found = [channel for service in services for channel in self._by_signal.get((service, signal), ())]
        parts = [(one.source, _missing_of(one, series, now)) for one in found]
        sources: dict[str, int] = {}
        for source, counts in parts:
            sources[source] = sources.get(source, 0) + counts[-1]
        ranked = sorted(((source, lost) for source, lost in sources.items() if lost), key=lambda one: (-one[1], one[0]))
        counts = tuple(map(sum, zip(*(counts for _, counts in parts), strict=True)))
        return Missed(counts, tuple(ranked)) if ranked else None


def _missing_of(channel: Channel, series: Series, now: int) -> tuple[int, ...]:
    """Return what a channel lost in each of the series' look-backs, excluded time left out."""
    look_backs = series.shape.look_backs
    reaches = [
        (channel.ledger.rings[tier], *span) for span, tier in zip(look_backs.at(now), look_backs.tiers, strict=True)
    ]
    begin = min(first * ring.tier.slice_ns for ring, first, _ in reaches)
    hidden = excluded(series.slo.exclusions, begin, now)
    return tuple(
        sum_slices(ring.blocks, first, last)[1] - ring.hidden(first, last, hidden)[1] for ring, first, last in reaches
    )


def signal_of(slo: Slo) -> str:
    """Return the signal whose lost items are lost events of an SLO; empty if there is none.

    Of metrics there is none: how many events a lost data point stood for is not known, and the next point of a
    cumulative stream brings them all the same. Neither is there for slices and for SLOs over other SLOs, whose events
    are not items.
    """
    match slo.indicator:
        case SpanIndicator():
            return Signal.TRACES
        case LogIndicator():
            return Signal.LOGS
        case _:
            return ""
