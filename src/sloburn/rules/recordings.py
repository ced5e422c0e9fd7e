"""Recordings of one SLO: steps, windows, burn rates, the budget. Every count in them is a whole number.

Two groups. The quick one counts steps and sums them to the windows up to `QUICK_NS`; the slow one takes over coarser
steps and sums those to the longer windows and to the period, which would be thousands of samples more often. A sum of
steps of one's own group takes half a step less than the window: as many steps as the window is long, whether a range
includes its left end (Prometheus 2) or not (Prometheus 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sloburn.duration import DAY, HOUR, MINUTE, SECOND, WEEK, format_duration
from sloburn.rules.promql import duration, quote
from sloburn.rules.rule import Rule
from sloburn.rules.sources import Events
from sloburn.rules.steps import Pace, bad_step, total_step
from sloburn.slo import naming
from sloburn.slo.budget import error_budget
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import CalendarUnit, Slo
from sloburn.slo.periods import LONGEST_NS

QUICK_NS = 6 * HOUR
COARSE_NS = 2 * MINUTE  # the slow group's step: below the five minutes after which Prometheus takes a series for gone

STEP, COARSE_STEP, PERIOD = "step", "coarse_step", "period"

# A number of each day, week ... of UTC, that two moments share while they are in the same one and within its length.
# Day 0 of the epoch was a Thursday, and a week begins on Monday (ISO 8601).
_NUMBERS: dict[CalendarUnit, str] = {
    CalendarUnit.DAY: f"floor(vector(time() / {DAY // SECOND}))",
    CalendarUnit.WEEK: f"floor(vector((time() + {3 * DAY // SECOND}) / {WEEK // SECOND}))",
    CalendarUnit.MONTH: "month()",
    CalendarUnit.QUARTER: "ceil(month() / 3)",
    CalendarUnit.YEAR: "year()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes the recordings of an SLO.

    Args:
        slo: The promise.
        events: Where its events are.
        pace: How steps are taken; the quick group is evaluated once in each.
        hidden: Time that does not count.
    """

    slo: Slo
    events: Events
    pace: Pace
    hidden: tuple[Interval, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """What tells this SLO's recordings from others."""
        return {naming.LABEL_SLO: self.slo.name, naming.LABEL_SERVICE: self.slo.service}

    def total(self, operation: str) -> str:
        """Select a recording of all events."""
        return self.select(f"{naming.RULE_EVENTS}:{operation}")

    def bad(self, operation: str) -> str:
        """Select a recording of bad events."""
        return self.select(f"{naming.RULE_BAD_EVENTS}:{operation}")

    def select(self, name: str, more: Mapping[str, str] | None = None) -> str:
        """Select a recording of this SLO."""
        given = {naming.LABEL_SLO: self.slo.name, **(more or {})}
        return f"{name}{{{','.join(f'{label}={quote(value)}' for label, value in given.items())}}}"

    def quick(self) -> tuple[Rule, ...]:
        """Return steps, short windows and their burn rates."""
        lengths = [length for length in self._lengths() if length <= QUICK_NS]
        coarse = [] if COARSE_NS in lengths else [COARSE_NS]
        return (
            *self._both(STEP, self._counted(total_step(self.events, self.pace)), self._counted(self._bad_step())),
            *(rule for length in sorted([*lengths, *coarse]) for rule in self._window(length, STEP, self.pace.step_ns)),
            *(self._burn(length) for length in lengths),
        )

    def slow(self) -> tuple[Rule, ...]:
        """Return long windows, the period and what is left of its budget."""
        taken = window_name(COARSE_NS)
        # From one step earlier: that value is written, whatever the order in which groups are evaluated.
        back = f"offset {duration(self.pace.step_ns)}"
        lengths = [length for length in self._lengths() if length > QUICK_NS]
        return (
            *self._both(COARSE_STEP, f"{self.total(taken)} {back}", f"{self.bad(taken)} {back}"),
            *(rule for length in lengths for rule in self._window(length, COARSE_STEP, COARSE_NS)),
            *(self._burn(length) for length in lengths),
            *self._period(),
            Rule(record=naming.RULE_OBJECTIVE, expr=f"vector({_decimal(self.slo.objective)})", labels=self.labels),
        )

    @property
    def has_period(self) -> bool:
        """Prometheus can tell when the period began: its calendar is that of UTC."""
        return self.slo.period.unit is None or self.slo.period.timezone in ("UTC", "Etc/UTC")

    def _lengths(self) -> list[int]:
        windows = self.slo.alerting.windows
        return sorted({length for window in windows for length in (window.long_ns, window.short_ns)})

    def _both(self, operation: str, total: str, bad: str) -> Iterator[Rule]:
        yield Rule(record=f"{naming.RULE_EVENTS}:{operation}", expr=total, labels=self.labels)
        yield Rule(record=f"{naming.RULE_BAD_EVENTS}:{operation}", expr=bad, labels=self.labels)

    def _bad_step(self) -> str:
        by = f" by ({naming.LABEL_GROUP})" if self.events.group else ""
        return bad_step(self.events, self.pace, f"sum{by} ({self.total(STEP)})")

    def _counted(self, step: str) -> str:
        """Take out the steps that end in excluded time."""
        outside = [
            f"((time() < bool {_seconds(it.begin_unix_nano)}) + (time() >= bool {_seconds(it.end_unix_nano)}))"
            for it in self.hidden
        ]
        return " * ".join((f"({step})", *outside)) if outside else step

    def _window(self, length_ns: int, step: str, step_ns: int) -> Iterator[Rule]:
        reach = duration(steps_of(length_ns, step_ns) * step_ns - step_ns // 2)
        name = window_name(length_ns)
        return self._both(
            name, f"sum_over_time({self.total(step)}[{reach}])", f"sum_over_time({self.bad(step)}[{reach}])"
        )

    def _burn(self, length_ns: int) -> Rule:
        name = window_name(length_ns)
        return Rule(
            record=naming.RULE_BURN_RATE,
            expr=self._over_budget(name),
            labels={**self.labels, naming.LABEL_WINDOW: format_duration(length_ns)},
        )

    def _over_budget(self, name: str) -> str:
        """Return bad / total / budget, as whole numbers until the one division; absent without events."""
        budget = error_budget(self.slo.objective)
        return f"{times(budget.denominator, self.bad(name))} / ({times(budget.numerator, self.total(name))} > 0)"

    def _period(self) -> Iterator[Rule]:
        if not self.has_period:
            return
        yield from self._both(PERIOD, self._in_period(self.total), self._in_period(self.bad))
        yield Rule(
            record=naming.RULE_SLI,
            expr=f"1 - {self.bad(PERIOD)} / ({self.total(PERIOD)} > 0)",
            labels=self.labels,
        )
        yield Rule(record=naming.RULE_BUDGET_REMAINING, expr=f"1 - {self._over_budget(PERIOD)}", labels=self.labels)

    def _in_period(self, recording: Callable[[str], str]) -> str:
        steps = recording(COARSE_STEP)
        unit = self.slo.period.unit
        if unit is None:
            length_ns = steps_of(self.slo.period.length_ns, COARSE_NS) * COARSE_NS
            return f"sum_over_time({steps}[{duration(length_ns - COARSE_NS // 2)}])"
        step, number = duration(COARSE_NS), _NUMBERS[unit]
        now = f"last_over_time({number}[{step}:{step}] @ end())"
        return f"sum_over_time(({steps} and on () ({number} == {now}))[{duration(LONGEST_NS[unit])}:{step}])"


def times(factor: int, recording: str) -> str:
    """Multiply a recording."""
    return recording if factor == 1 else f"{factor} * {recording}"


def window_name(length_ns: int) -> str:
    """Return the operation of a window in names of recordings."""
    return f"increase{format_duration(length_ns)}"


def steps_of(length_ns: int, step_ns: int) -> int:
    """Return how many steps make a window; a part of a step counts whole."""
    return -(-length_ns // step_ns)


def _decimal(ratio: Fraction) -> str:
    """Write a ratio exactly: objectives are decimals."""
    return f"{(Decimal(ratio.numerator) / Decimal(ratio.denominator)).normalize():f}"


def _seconds(unix_nano: int) -> str:
    return f"{(Decimal(unix_nano) / SECOND).normalize():f}"
