"""The same history through sloburn's engine and through Prometheus: the same counts, the same burn, the same alerts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from sloburn.duration import DAY, HOUR, MINUTE
from sloburn.sli.status import SloStatus
from sloburn.slo.alerting import AlertState
from sloburn.slo.model import BudgetLevel, CalendarUnit, Period, Severity, Slo, Window
from tests.rules.history import History, budget_expected, firing_expected, orders_slo, windows_expected
from tests.rules.promtool import Expected, at_once, compiled, run_history

QUICK = (5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR)

Step = tuple[int, int] | None


def outage_and_relapse() -> list[Step]:
    """A total outage of two minutes, calm, a partial one of ten, calm; 30 s steps."""
    calm: list[Step] = [(20, 0)]
    return [*calm * 60, *[(0, 20)] * 4, *calm * 60, *[(15, 5)] * 20, *calm * 96]


def silence_in_an_outage() -> list[Step]:
    """The service goes silent while it fails, and comes back well; its first scrape is a base line."""
    return [*[(20, 0)] * 40, *[(0, 20)] * 10, *[None] * 180, (0, 0), *[(20, 0)] * 29]


def no_traffic_in_an_outage() -> list[Step]:
    """Traffic ends while everything fails; the service still reports."""
    return [*[(20, 0)] * 40, *[(0, 20)] * 10, *[(0, 0)] * 130, *[(20, 0)] * 20]


def few_errors() -> list[Step]:
    """Hardly any traffic: four bad events do not page, the fifth does."""
    return [*[(0, 0)] * 20, *[(1, 1), (0, 0)] * 4, *[(0, 0)] * 20, *[(0, 1)] * 3, *[(0, 0)] * 60]


def noise(seed: int) -> list[Step]:
    """Traffic and trouble at random."""
    dice = random.Random(seed)
    steps: list[Step] = []
    while len(steps) < 240:
        bad_share = dice.choice((0, 0, 0.001, 0.02, 0.3, 1))
        for _ in range(dice.randrange(5, 40)):
            total = dice.randrange(60)
            bad = sum(dice.random() < bad_share for _ in range(total))
            steps.append((total - bad, bad))
    return steps


STORIES = {
    "outage and relapse": outage_and_relapse(),
    "silence in an outage": silence_in_an_outage(),
    "no traffic in an outage": no_traffic_in_an_outage(),
    "few errors": few_errors(),
    **{f"noise {seed}": noise(seed) for seed in (1,)},
}


@pytest.mark.parametrize("story", STORIES)
def test_quick_windows_and_pages(tmp_path: Path, story: str) -> None:
    """Every window up to 6 h holds the engine's integers, burn is the same float, and pages fire at the same steps."""
    slo = orders_slo()
    history = History(step=30, steps=STORIES[story])
    expected: list[Expected] = []
    for at, status in history.told(slo):
        expected += firing_expected(at, status, ["page"])
        if at % 300 == 0 and history.steps[at // 30 - 1]:
            expected += windows_expected(at, status, QUICK)

    rules = compiled([slo])
    quick = replace(rules, groups=rules.groups[:1])  # pages and their windows need no other
    run_history(quick, 30, history.series(), expected, tmp_path)


def slow_trickle() -> list[Step]:
    """Two minute steps, a day and a half: a trickle that no page hears, an end, and an outage."""
    return [
        *[(500, 0)] * 150,
        *[(497, 3)] * 250,
        *[(500, 0)] * 315,
        *[(0, 0)] * 10,  # around midnight, which steps do not see to the second
        *[(500, 0)] * 75,
        *[(0, 500)] * 5,
        *[(500, 0)] * 95,
    ]


def long_windows(slo: Slo, period: Period) -> Slo:
    """Return an SLO of one day with a quick page, a slow ticket and two alerts on its budget."""
    windows = (
        Window(severity=Severity.PAGE, long_ns=HOUR, short_ns=30 * MINUTE, factor=Fraction(10)),
        Window(severity=Severity.TICKET, long_ns=8 * HOUR, short_ns=HOUR, factor=Fraction(3, 2)),
    )
    budget = tuple(
        BudgetLevel(severity=Severity.TICKET, left=Fraction(left, 100), clear=Fraction(left + 20, 100))
        for left in (50, 0)
    )
    return replace(slo, period=period, alerting=replace(slo.alerting, windows=windows, budget=budget))


PERIODS = {"rolling": Period(length_ns=DAY), "calendar": Period(length_ns=DAY, unit=CalendarUnit.DAY)}


@pytest.mark.parametrize("period", PERIODS)
def test_slow_windows_and_tickets(tmp_path: Path, period: str) -> None:
    """Windows of hours hold the engine's integers of one step ago, as the period does; tickets fire as the engine's."""
    slo = long_windows(orders_slo(), PERIODS[period])
    step = 120
    history = History(step=step, steps=slow_trickle())
    known: dict[int, SloStatus] = dict(history.told(slo))
    expected: list[Expected] = []
    for at in range(step * 10, max(known) - step * 5, step * 25):
        expected += windows_expected(at, known[at], (30 * MINUTE, HOUR))
        expected += windows_expected(at, known[at - step], (8 * HOUR,))
        expected += budget_expected(at, known[at - step])
        expected += settled(known, at, step)
    for place in (1, 2, 3):
        assert AlertState.FIRING in {status.alerts[place].state for status in known.values()}

    run_history(compiled([slo], at_once(step)), step, history.series(), expected, tmp_path)


def settled(known: dict[int, SloStatus], at: int, step: int) -> Sequence[Expected]:
    """Return the alerts that must fire, unless one changes about now: slow windows are a step behind."""
    around = [list(firing_expected(at, known[at + n * step], ["page", "ticket"])) for n in (-2, -1, 0, 1, 2)]
    return around[0] if all(one == around[0] for one in around) else []
