"""The status that the engine hands out: what it counted, frozen, and everything else worked out when it is read.

Most of a thousand statuses are never read whole. A status holds integers and things that never change, so what it works
out is the same whenever and in whatever thread that happens.
"""

from __future__ import annotations

from fractions import Fraction

from sloburn.sli.autopsy import Findings
from sloburn.sli.course import Course
from sloburn.sli.evidence import Evidence
from sloburn.sli.incomplete import Incomplete, Missed, Votes, incomplete
from sloburn.sli.shape import Shape
from sloburn.sli.status import BudgetPoint, FailingTrace, SloState, SloStatus, Suspect, WindowBurn
from sloburn.slo.alerting import Alert, PairReading
from sloburn.slo.budget import Count, Growth, budget_remaining, burn_rate, sli, time_to_exhaustion
from sloburn.slo.budget_time import bad_time_left, outage_left
from sloburn.slo.early import EarlyEvidence
from sloburn.slo.model import Slo
from sloburn.slo.periods import gains_for
from sloburn.slo.timed import members_of, slice_ns_of

Counts = tuple[tuple[int, int], ...]
"""Good and bad events of every look-back, the period last."""


def read_pairs(slo: Slo, shape: Shape, counts: Counts, odds: Counts) -> tuple[PairReading, ...]:
    """Return what the alert pairs hold, with their burn rates.

    Args:
        slo: The promise.
        shape: How it is evaluated.
        counts: Of every look-back.
        odds: What burn rates are made of, for every look-back.
    """
    return tuple(
        PairReading(
            window=window,
            long=Count(*counts[pair.long]),
            short=Count(*counts[pair.short]),
            long_burn=burn_rate(Count(*odds[pair.long]), slo.objective),
            short_burn=burn_rate(Count(*odds[pair.short]), slo.objective),
        )
        for window, pair in zip(slo.alerting.windows, shape.pairs, strict=True)
    )


class LiveStatus(SloStatus):
    """A `SloStatus` whose ratios, burns, suspects and course are worked out when they are asked for.

    Args:
        slo: The promise.
        group: Names and values of ``group_by``.
        shape: How it is evaluated.
        counts: Of every look-back.
        odds: What ratios are made of, for every look-back: the counts, unless events are weighted.
        lifetime: Good and bad events ever counted.
        state: Where it stands.
        since_unix_nano: Since when.
        alerts: Burn alerts, then budget alerts.
        evidence: The newest bad events, oldest first.
        findings: What the autopsy knows.
        number: Of the series.
        course: How the budget went.
        last_event_unix_nano: When the newest event ended.
        notes: What the user must know.
        early: Why the early page fires.
        missed: The most events that were lost on their way; None for none.
        votes: What the members of a weighted SLO counted.
        clock_lead_ns: How far the senders' clock is ahead of ours.
        now: When that is, nanoseconds since the epoch.
        first_unix_nano: Since when events come; 0 where that is not known.
    """

    __slots__ = (
        "_counts",
        "_course",
        "_evidence",
        "_findings",
        "_first_unix_nano",
        "_lifetime",
        "_missed",
        "_notes",
        "_now",
        "_number",
        "_odds",
        "_pairs",
        "_shape",
        "_votes",
    )

    def __new__(cls, **values: object) -> SloStatus:  # type: ignore[misc]
        """Make one; `dataclasses.replace`, which knows nothing of counts, gets a plain status with its changes."""
        return object.__new__(cls) if "shape" in values else SloStatus(**values)  # type: ignore[arg-type]

    def __init__(
        self,
        *,
        slo: Slo,
        group: tuple[tuple[str, str], ...],
        shape: Shape,
        counts: Counts,
        odds: Counts,
        lifetime: tuple[int, int],
        state: SloState,
        since_unix_nano: int,
        alerts: tuple[Alert, ...],
        evidence: tuple[Evidence, ...],
        findings: Findings,
        number: int,
        course: Course,
        last_event_unix_nano: int,
        notes: tuple[str, ...],
        early: EarlyEvidence | None = None,
        missed: Missed | None = None,
        votes: Votes = (),
        now: int = 0,
        first_unix_nano: int = 0,
        clock_lead_ns: int = 0,
    ) -> None:
        put = object.__setattr__  # the class is frozen
        put(self, "slo", slo)
        put(self, "group", group)
        put(self, "state", state)
        put(self, "since_unix_nano", since_unix_nano)
        put(self, "alerts", alerts)
        put(self, "last_event_unix_nano", last_event_unix_nano)
        put(self, "early", early)
        put(self, "clock_lead_ns", clock_lead_ns)
        put(self, "_notes", notes)
        put(self, "_missed", missed)
        put(self, "_votes", votes)
        put(self, "_shape", shape)
        put(self, "_counts", counts)
        put(self, "_odds", odds)
        put(self, "_evidence", evidence)
        put(self, "_lifetime", lifetime)
        put(self, "_findings", findings)
        put(self, "_number", number)
        put(self, "_course", course)
        put(self, "_pairs", None)
        put(self, "_now", now)
        put(self, "_first_unix_nano", first_unix_nano)

    _counts: Counts
    _course: Course
    _evidence: tuple[Evidence, ...]
    _findings: Findings
    _first_unix_nano: int
    _lifetime: tuple[int, int]
    _missed: Missed | None
    _notes: tuple[str, ...]
    _now: int
    _number: int
    _odds: Counts
    _pairs: tuple[PairReading, ...] | None
    _shape: Shape
    _votes: Votes

    @property
    def count(self) -> Count:
        """Events of the period."""
        return Count(*self._counts[-1])

    @property
    def lifetime(self) -> Count:
        """Events ever counted."""
        return Count(*self._lifetime)

    @property
    def sli(self) -> Fraction | None:
        """Good share of the period."""
        return sli(Count(*self._odds[-1]))

    @property
    def budget_remaining(self) -> Fraction | None:
        """Share of the budget that is left."""
        return budget_remaining(Count(*self._odds[-1]), self.slo.objective)

    @property
    def outage_ns(self) -> int | None:
        """Nanoseconds that a total outage may still last, or that may still be bad."""
        indicator, pairs = self.slo.indicator, self.pairs
        slice_ns = slice_ns_of(indicator)
        if slice_ns:
            return bad_time_left(self.count, self.slo.objective, slice_ns)
        if not pairs or members_of(indicator):
            return None
        traffic, over_ns = pairs[0].long, self._traffic_ns
        return outage_left(self.count, self.slo.objective, traffic=traffic, over_ns=over_ns, growth=self._growth)

    @property
    def exhaustion_ns(self) -> int | None:
        """Nanoseconds until the budget is gone at the burn of the first long window."""
        remaining = self.budget_remaining
        burn = self.pairs[0].long_burn if self.pairs else None
        if remaining is None or burn is None:
            return None
        return time_to_exhaustion(remaining, burn, self.slo.period.length_ns, self._growth)

    @property
    def _traffic_ns(self) -> int:
        """For how long the first long window counts, nanoseconds: since its begin, or since the first event."""
        return max(1, min(self.pairs[0].window.long_ns, self._now - self._first_unix_nano))

    @property
    def _growth(self) -> Growth | None:
        """How the period still gains events; of weighted members, which have periods of their own, it is full."""
        total = self.count.total
        if not total or not self._first_unix_nano:
            return None
        period = self.slo.period
        rate = Fraction(self.pairs[0].long.total, self._traffic_ns * total)
        lasts_ns = gains_for(period, self._now, self._first_unix_nano)
        return Growth(lasts_ns=lasts_ns, rate=rate, renews=period.unit is not None)

    @property
    def burns(self) -> tuple[WindowBurn, ...]:
        """Every look-back, shortest first; of an alert window and a calendar period of the same length the window."""
        objective = self.slo.objective
        held = dict(zip(self._lengths[::-1], zip(self._counts[::-1], self._odds[::-1], strict=True), strict=True))
        return tuple(
            WindowBurn(length_ns=length, count=Count(*count), burn=burn_rate(Count(*odds), objective))
            for length, (count, odds) in sorted(held.items())
        )

    @property
    def _lengths(self) -> tuple[int, ...]:
        return (*self._shape.look_backs.lengths, self.slo.period.length_ns)

    @property
    def pairs(self) -> tuple[PairReading, ...]:
        """The alert pairs, fastest first."""
        pairs = self._pairs
        if pairs is None:
            pairs = read_pairs(self.slo, self._shape, self._counts, self._odds)
            object.__setattr__(self, "_pairs", pairs)
        return pairs

    @property
    def incomplete(self) -> Incomplete | None:
        """How far the numbers can be off."""
        if self._missed is None:
            return None
        windows = self.slo.alerting.windows
        counts = tuple(Count(*pair) for pair in self._counts)
        alert_ns = windows[0].long_ns if windows else 0
        return incomplete(self._missed, self._lengths, counts, self.slo.objective, alert_ns, self._votes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user must know."""
        found = self.incomplete
        return self._notes if found is None else (*self._notes, found.text)

    @property
    def failing(self) -> tuple[FailingTrace, ...]:
        """The newest bad events, newest first."""
        return tuple([failing for _, failing in reversed(self._evidence)])

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """What stands out among the bad events, strongest first."""
        return self._findings.suspects(self._number)

    @property
    def budget(self) -> tuple[BudgetPoint, ...]:
        """The budget over the period, oldest first."""
        return self._course.points()
