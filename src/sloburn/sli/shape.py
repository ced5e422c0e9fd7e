"""What evaluating an SLO needs, as integers and worked out once: look-backs, factors, the budget.

Burn rates are compared without a division: bad / total / (1 - objective) > factor says the same as
bad x denominator > total x numerator, with numerator / denominator = factor x (1 - objective).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sloburn.sli.ledger import Tier, tier_for, tiers
from sloburn.slo.budget import error_budget
from sloburn.slo.model import BudgetLevel, Period, Severity, Slo
from sloburn.slo.periods import period_begin, reach_ns

Spans = tuple[tuple[int, int], ...]


class LookBacks:
    """The look-backs of all SLOs that have the same ones, and what slices they cover now.

    Args:
        resolutions: Of the rings, finest first.
        lengths: Of the alert windows' look-backs, nanoseconds, shortest first.
        period: The last of the look-backs, whatever its length.
    """

    __slots__ = ("_now", "_period", "_slices", "_spans", "begin", "lengths", "resolutions", "tiers")

    def __init__(self, resolutions: tuple[Tier, ...], lengths: tuple[int, ...], period: Period) -> None:
        self.resolutions = resolutions
        self.lengths = lengths
        self.tiers = tuple(tier_for(resolutions, length) for length in (*lengths, reach_ns(period)))
        self.begin = 0  # of the period, at the last `at`
        self._period = period
        self._slices = tuple(resolutions[tier].slice_ns for tier in self.tiers)
        self._now = -1
        self._spans: Spans = ()

    def at(self, now: int) -> Spans:
        """Return first and last slice, by number since the epoch, that each look-back covers at `now`.

        It is the same object as long as the slices are the same.
        """
        if now != self._now:
            self._now = now
            self.begin = period_begin(self._period, now)
            begins = (*(now - length for length in self.lengths), self.begin)
            slices = self._slices
            found = tuple((begin // each, now // each) for begin, each in zip(begins, slices, strict=True))
            if found != self._spans:
                self._spans = found
        return self._spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair of alert windows.

    Args:
        severity: What it raises.
        long: Index of the long look-back.
        short: Index of the short look-back.
        numerator: Of factor x error budget.
        denominator: Of factor x error budget.
    """

    severity: Severity
    long: int
    short: int
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A budget alert: it fires at bad x `denominator` >= total x `numerator` and ends below the clearing ones.

    Args:
        numerator: Of (1 - left) x error budget.
        denominator: Of the same.
        clear_numerator: Of (1 - clear) x error budget.
        clear_denominator: Of the same.
    """

    numerator: int
    denominator: int
    clear_numerator: int
    clear_denominator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How an SLO is evaluated.

    Args:
        look_backs: Every look-back that is evaluated; the period is the last.
        pairs: In the order of the SLO's windows.
        levels: In the order of the SLO's budget alerts.
        budget_numerator: Of the error budget.
        budget_denominator: Of the error budget.
        quiet_ns: How long nothing may come before it is called silence.
    """

    look_backs: LookBacks
    pairs: tuple[Pair, ...]
    levels: tuple[Level, ...]
    budget_numerator: int
    budget_denominator: int
    quiet_ns: int


class Shapes:
    """Makes shapes; SLOs with the same look-backs share them.

    Args:
        time_scale: How many times faster than written the windows run.
    """

    def __init__(self, time_scale: int) -> None:
        self._time_scale = time_scale
        self._known: dict[tuple[tuple[int, ...], Period], LookBacks] = {}
        self._shapes: dict[str, Shape] = {}

    def of(self, slo: Slo) -> Shape:
        """Return the shape of an SLO, already scaled."""
        found = self._shapes.get(slo.name)
        if found is None:
            found = self._shapes[slo.name] = self._make(slo)
        return found

    def _look_backs(self, lengths: tuple[int, ...], period: Period) -> LookBacks:
        found = self._known.get((lengths, period))
        if found is None:
            found = LookBacks(tiers(reach_ns(period), self._time_scale), lengths, period)
            self._known[lengths, period] = found
        return found

    def _make(self, slo: Slo) -> Shape:
        windows = slo.alerting.windows
        lengths = tuple(sorted({part for window in windows for part in (window.long_ns, window.short_ns)}))
        budget = error_budget(slo.objective)
        levels = [window.factor * budget for window in windows]
        return Shape(
            look_backs=self._look_backs(lengths, slo.period),
            pairs=tuple(
                Pair(
                    severity=window.severity,
                    long=lengths.index(window.long_ns),
                    short=lengths.index(window.short_ns),
                    numerator=level.numerator,
                    denominator=level.denominator,
                )
                for window, level in zip(windows, levels, strict=True)
            ),
            levels=tuple(_level(level, budget) for level in slo.alerting.budget),
            budget_numerator=budget.numerator,
            budget_denominator=budget.denominator,
            quiet_ns=windows[0].short_ns if windows else slo.period.length_ns,
        )


def _level(level: BudgetLevel, budget: Fraction) -> Level:
    fires, clears = (1 - level.left) * budget, (1 - level.clear) * budget
    return Level(
        numerator=fires.numerator,
        denominator=fires.denominator,
        clear_numerator=clears.numerator,
        clear_denominator=clears.denominator,
    )
