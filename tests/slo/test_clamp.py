"""Factors that no outage can reach are lowered until one can, and it is said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY
from sloburn.slo.budget import Count, burn_rate, is_reachable
from sloburn.slo.catalog import workbook_windows
from sloburn.slo.clamp import LOWEST_FACTOR, REACHABLE_SHARE, reachable_windows, unhurried_windows
from sloburn.slo.conditions import AllOf
from sloburn.slo.model import Alerting, Period, Slo, SpanIndicator

MONTH = Period(length_ns=30 * DAY)
WORKBOOK = workbook_windows(MONTH)


def slo(objective: Fraction) -> Slo:
    """Return an SLO with windows that can fire."""
    return Slo(
        name="checkout",
        service="checkout",
        objective=objective,
        period=MONTH,
        indicator=SpanIndicator(where=AllOf(), bad=AllOf()),
        alerting=Alerting(windows=reachable_windows(WORKBOOK, objective)[0]),
    )


@pytest.mark.parametrize("objective", [Fraction(999, 1000), Fraction(95, 100), Fraction(94, 100)])
def test_windows_that_can_fire_stay(objective: Fraction) -> None:
    """The workbook's windows are left alone wherever an outage can reach them."""
    assert reachable_windows(WORKBOOK, objective) == (WORKBOOK, ())


@pytest.mark.parametrize(
    ("percent", "factors"),
    [(90, [9, 6, 3, 1]), (80, [Fraction(9, 2), Fraction(9, 2), 3, 1]), (50, [Fraction(9, 5)] * 3 + [1])],
)
def test_windows_that_cannot_fire_are_lowered(percent: int, factors: list[Fraction]) -> None:
    """An unreachable factor becomes nine tenths of what a total outage burns at; the others stay."""
    windows, notes = reachable_windows(WORKBOOK, Fraction(percent, 100))

    assert [window.factor for window in windows] == factors
    assert len(notes) == sum(new != old for new, old in zip(windows, WORKBOOK, strict=True))


def test_factor_at_the_ceiling_cannot_fire() -> None:
    """A factor equal to the ceiling is lowered too, because rules compare with a strict `>`."""
    window = replace(WORKBOOK[0], factor=Fraction(10))

    (clamped,), _ = reachable_windows((window,), Fraction(9, 10))

    assert clamped.factor == 9


def test_note() -> None:
    """A note names the window, the ceiling, the factor that could not fire and what the new one means."""
    assert reachable_windows(WORKBOOK[:1], Fraction(9, 10))[1] == (
        "page 1h + 5m: no outage can burn faster than 10 at an objective of 90 %, so the factor 14.4 could never fire; "
        "lowered to 9, which is over while more than 90 % of events are bad",
    )


@given(objective=st.fractions(min_value=Fraction(1, 10**6), max_value=1 - Fraction(1, 10**6)))
def test_every_window_can_fire(objective: Fraction) -> None:
    """Whatever the objective, a total outage is over every factor, and no factor was raised."""
    windows, _ = reachable_windows(WORKBOOK, objective)
    outage = burn_rate(Count(bad=1), objective)

    assert outage is not None
    assert all(outage > window.factor for window in windows)
    assert all(new.factor <= old.factor for new, old in zip(windows, WORKBOOK, strict=True))
    assert all(is_reachable(window.factor, objective) for window in windows)
    assert 0 < REACHABLE_SHARE < 1


@pytest.mark.parametrize("days", [28, 30, 90])
def test_usual_periods_keep_the_workbooks_factors(days: int) -> None:
    """From 28 days on every factor of the workbook means a budget that is overspent, or nearly so."""
    windows = workbook_windows(Period(length_ns=days * DAY))
    assert unhurried_windows(windows) == (windows, ())


@pytest.mark.parametrize("days", [1, 7])
def test_kept_promises_do_not_alert(days: int) -> None:
    """In a short period the workbook's shares alert at a pace that leaves budget over: raised, and it is said."""
    windows = workbook_windows(Period(length_ns=days * DAY))
    raised, notes = unhurried_windows(windows)
    assert min(window.factor for window in raised) >= LOWEST_FACTOR
    assert len(notes) == sum(window.factor < LOWEST_FACTOR for window in windows) > 0
