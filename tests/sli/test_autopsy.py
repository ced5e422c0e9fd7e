"""What stands out among bad events: what causes them, and not what chance deals out."""

from __future__ import annotations

import random

import pytest

from sloburn.sli.autopsy import CHANCE, EVERY, MAX_SUSPECTS, Autopsy
from sloburn.sli.outcome import Outcomes, Portraits
from sloburn.sli.status import Suspect
from tests.sli.harness import NOW

SERIES = 1


class Scene:
    """Events of one service with their values, good or bad."""

    def __init__(self) -> None:
        self._autopsy = Autopsy(12)
        outcomes = Outcomes()
        self._good, self._bad = (outcomes.of([(SERIES, is_bad)]) for is_bad in (False, True))
        self._portraits = Portraits("shop")

    def add(self, events: int, *, bad: bool, **values: str) -> None:
        """Add events that look alike."""
        portrait = self._portraits.of(self._bad if bad else self._good, (EVERY, *values.items()))
        self._autopsy.add(NOW, [(portrait, events)])

    def suspects(self) -> tuple[Suspect, ...]:
        """Return what stands out."""
        return self._autopsy.findings(NOW).suspects(SERIES)

    def names(self) -> list[tuple[str, str]]:
        """Return which values stand out."""
        return [(one.key, one.value) for one in self.suspects()]


def test_noise_is_no_suspect() -> None:
    """Of a hundred services whose failures have nothing to do with any value, about as many name one as is promised."""
    dice = random.Random(7)
    wrong = 0
    for _ in range(100):
        scene = Scene()
        for _ in range(600):
            values = {"route": f"/{dice.randrange(20)}", "pod": f"p{dice.randrange(30)}", "version": dice.choice("ab")}
            scene.add(1, bad=dice.random() < 0.1, **values)
        wrong += bool(scene.suspects())
    assert wrong <= 100 * CHANCE


def test_the_cause_is_found_in_noise() -> None:
    """One route of twenty fails three times as often as the others: it is named, and nothing beside it."""
    dice = random.Random(8)
    scene = Scene()
    for _ in range(3000):
        route = dice.randrange(20)
        bad = dice.random() < (0.3 if route == 3 else 0.1)
        scene.add(1, bad=bad, route=f"/{route}", pod=f"p{dice.randrange(30)}")
    assert scene.names() == [("route", "/3")]


def test_a_value_that_nearly_everything_has_is_no_suspect() -> None:
    """However many events there are: a lift of 1.02 tells nothing to anybody."""
    scene = Scene()
    scene.add(980_000, bad=False, method="GET")
    scene.add(20_000, bad=False, method="POST")
    scene.add(100_000, bad=True, method="GET")
    assert scene.names() == []


def test_most_of_the_traffic_can_be_the_cause() -> None:
    """The version that nine in ten requests get and that all failures have is named."""
    scene = Scene()
    scene.add(900, bad=False, version="2")
    scene.add(100, bad=False, version="1")
    scene.add(200, bad=True, version="2")
    assert scene.names() == [("version", "2")]


@pytest.mark.parametrize(("bad", "named"), [(1, False), (2, True)])
def test_few_failures_prove_little(bad: int, named: bool) -> None:
    """One failure on a pod that nothing else was on may be chance, two are not."""
    scene = Scene()
    for pod in range(1, 10):
        scene.add(10, bad=False, pod=f"p{pod}")
    scene.add(bad, bad=True, pod="p0")
    assert bool(scene.names()) is named


def test_without_good_events_everything_is_shown() -> None:
    """In a total outage there is nothing to compare with: what the failures look like is shown all the same."""
    scene = Scene()
    for number in range(2 * MAX_SUSPECTS):
        scene.add(1, bad=True, route=f"/{number}")
    assert len(scene.names()) == MAX_SUSPECTS
