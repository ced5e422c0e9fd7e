"""What counters do in real life, and how many events a step makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sloburn.duration import SECOND
from sloburn.rules.sources import SloburnSource
from sloburn.slo import naming
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import Slo
from tests.rules.history import orders_slo
from tests.rules.promtool import Expected, Labels, Series, at_once, compiled, run_history

Values = Sequence[int | None]

STORIES: dict[str, tuple[dict[str, Values], tuple[int, int]]] = {
    "steady": ({"ok": [0, 10, 20, 30], "failed": [0, 1, 2, 3]}, (33, 3)),
    "a base line": ({"ok": [1000, 1010, 1020, 1030]}, (30, 0)),
    "the first failures of a service that is known": ({"ok": [0, 10, 20, 30], "failed": [None, None, 7, 8]}, (38, 8)),
    "a restart": ({"ok": [100, 110, 4, 14], "failed": [9, 9, 1, 2]}, (26, 2)),
    "scrapes that failed": ({"ok": [0, 10, None, None, None, 60]}, (60, 0)),
    "a service that is gone and comes back": ({"ok": [0, 10, *[None] * 60, 500, 510]}, (20, 0)),
    "failures that are gone and come back": (
        {"ok": [*range(163)], "failed": [*[5] * 101, *[None] * 60, 5, 6]},
        (163, 1),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_steps_add_up(tmp_path: Path, story: str) -> None:
    """Steps of a story add up to what happened in it, whole and once."""
    values, (total, bad) = STORIES[story]
    series = [
        Series(name="orders_total", labels={"job": "shop", "instance": "a", "outcome": outcome}, values=counted)
        for outcome, counted in values.items()
    ]
    steps = max(map(len, values.values())) - 1
    labels = {"slo": "orders", "service": "shop"}
    expected = [_sum(naming.RULE_EVENTS, steps, labels, total), _sum(naming.RULE_BAD_EVENTS, steps, labels, bad)]

    run_history(compiled([orders_slo()]), 30, series, expected, tmp_path)


def _sum(name: str, steps: int, labels: Labels, value: int) -> Expected:
    return Expected(at=steps * 30, query=f"sum_over_time({name}:step[1d])", samples=[(labels, value)])


def exposed(instance: str, group: str, outcome: str, values: Values) -> Series:
    """Return a counter of a processor."""
    labels = {"job": "sloburn", "instance": instance, "slo": "orders", "service": "shop", "outcome": outcome}
    return Series(name=naming.EVENTS_TOTAL, labels={**labels, "group": group}, values=values)


def grouped(slo: Slo) -> Slo:
    """Return an SLO with a budget for every route."""
    return replace(slo, group_by=("http.route",))


def test_shards_add_up(tmp_path: Path) -> None:
    """Counters of several processors are one SLO, group by group; one starts anew and meets a new group."""
    series = [
        exposed("a", "http.route=/cart", "good", [0, 10, 20, 30]),
        exposed("a", "http.route=/cart", "bad", [0, 1, 2, 3]),
        exposed("b", "http.route=/cart", "good", [500, 505, 2, 7]),
        exposed("b", "http.route=/cart", "bad", [5, 5, 0, 4]),
        exposed("b", "http.route=/pay", "good", [None, None, 4, 6]),
        exposed("b", "http.route=/pay", "bad", [None, None, 0, 0]),
        Series(name=naming.BUILD_INFO, labels={"job": "sloburn", "instance": "b"}, values=[1, 1, 1, 1]),
    ]
    cart, pay = ({"slo": "orders", "service": "shop", "group": f"http.route={route}"} for route in ("/cart", "/pay"))
    counted = (
        (naming.RULE_EVENTS, 33 + 5 + 2 + 9, 6),
        (naming.RULE_BAD_EVENTS, 3 + 4, 0),
    )
    expected = [
        Expected(at=90, query=f"sum_over_time({name}:step[1d])", samples=[(cart, in_cart), (pay, in_pay)])
        for name, in_cart, in_pay in counted
    ]

    run_history(compiled([grouped(orders_slo())], at_once(source=SloburnSource())), 30, series, expected, tmp_path)


def test_excluded_time_does_not_count(tmp_path: Path) -> None:
    """Steps that end in an exclusion hold nothing, and the service is not silent for that."""
    hidden = OneOff(name="move", interval=Interval(60 * SECOND, 120 * SECOND))
    slo = replace(orders_slo(), exclusions=(hidden,))
    series = [
        Series(name="orders_total", labels={"job": "shop", "outcome": "failed"}, values=[0, 1, 3, 7, 15, 31]),
    ]
    labels = {"slo": "orders", "service": "shop"}
    expected = [
        _sum(naming.RULE_BAD_EVENTS, 5, labels, 1 + 8 + 16),
        Expected(at=90, query="count(slo:sloburn_events:step)", samples=[({}, 1)]),
    ]

    run_history(compiled([slo]), 30, series, expected, tmp_path)
