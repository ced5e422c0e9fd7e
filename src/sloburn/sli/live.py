"""The status that the engine hands out: what it counted, frozen, and everything else worked out when it is read.

Most of a thousand statuses are never read whole. A status holds integers and things that never change, so what it works
out is the same whenever and in whatever thread that happens.
"""

from __future__ import annotations

from fractions import Fraction

from sloburn.sli.autopsy import Findings
from sloburn.sli.course import Course
from sloburn.sli.evidence import Evidence
from sloburn.sli.shape import Shape
from sloburn.sli.status import BudgetPoint, FailingTrace, SloState, SloStatus, Suspect, WindowBurn
from sloburn.slo.alerting import Alert, PairReading, read_pair
from sloburn.slo.budget import Count, budget_remaining, burn_rate, sli, time_to_exhaustion
from sloburn.slo.early import EarlyEvidence
from sloburn.slo.model import Slo

Counts = tuple[tuple[int, int], ...]
"""Good and bad events of every look-back, the period last."""


def read_pairs(slo: Slo, shape: Shape, counts: Counts) -> tuple[PairReading, ...]:
    """Return what the alert pairs hold, with their burn rates."""
    return tuple(
        read_pair(window, slo.objective, long=Count(*counts[pair.long]), short=Count(*counts[pair.short]))
        for window, pair in zip(slo.alerting.windows, shape.pairs, strict=True)
    )


class LiveStatus(SloStatus):
    """A `SloStatus` whose ratios, burns, suspects and course are worked out when they are asked for.

    Args:
        slo: The promise.
        group: Names and values of ``group_by``.
        shape: How it is evaluated.
        counts: Of every look-back.
        lifetime: Good and bad events ever counted.
        state: Where it stands.
        since_unix_nano: Since when.
        alerts: One for each severity.
        evidence: The newest bad events, oldest first.
        findings: What the autopsy knows.
        number: Of the series.
        course: How the budget went.
        last_event_unix_nano: When the newest event ended.
        notes: What the user must know.
        early: Why the early page fires.
    """

    __slots__ = ("_counts", "_course", "_evidence", "_findings", "_lifetime", "_number", "_pairs", "_shape")

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
    ) -> None:
        put = object.__setattr__  # the class is frozen
        put(self, "slo", slo)
        put(self, "group", group)
        put(self, "state", state)
        put(self, "since_unix_nano", since_unix_nano)
        put(self, "alerts", alerts)
        put(self, "last_event_unix_nano", last_event_unix_nano)
        put(self, "notes", notes)
        put(self, "early", early)
        put(self, "_shape", shape)
        put(self, "_counts", counts)
        put(self, "_evidence", evidence)
        put(self, "_lifetime", lifetime)
        put(self, "_findings", findings)
        put(self, "_number", number)
        put(self, "_course", course)
        put(self, "_pairs", None)

    _counts: Counts
    _course: Course
    _evidence: tuple[Evidence, ...]
    _findings: Findings
    _lifetime: tuple[int, int]
    _number: int
    _pairs: tuple[PairReading, ...] | None
    _shape: Shape

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
        return sli(self.count)

    @property
    def budget_remaining(self) -> Fraction | None:
        """Share of the budget that is left."""
        return budget_remaining(self.count, self.slo.objective)

    @property
    def exhaustion_ns(self) -> int | None:
        """Nanoseconds until the budget is gone at the burn of the first long window."""
        remaining = self.budget_remaining
        burn = self.pairs[0].long_burn if self.pairs else None
        if remaining is None or burn is None:
            return None
        return time_to_exhaustion(remaining, burn, self.slo.period.length_ns)

    @property
    def burns(self) -> tuple[WindowBurn, ...]:
        """Every look-back, shortest first."""
        lengths = (*self._shape.look_backs.lengths, self.slo.period.length_ns)
        counts = dict(zip(lengths, (Count(*pair) for pair in self._counts), strict=True))
        return tuple(
            WindowBurn(length_ns=length, count=count, burn=burn_rate(count, self.slo.objective))
            for length, count in sorted(counts.items())
        )

    @property
    def pairs(self) -> tuple[PairReading, ...]:
        """The alert pairs, fastest first."""
        pairs = self._pairs
        if pairs is None:
            pairs = read_pairs(self.slo, self._shape, self._counts)
            object.__setattr__(self, "_pairs", pairs)
        return pairs

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
