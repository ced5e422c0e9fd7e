"""Slices of time against a brute-force oracle that keeps every event: lateness, kills, checkpoints, silence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.sli.status import SloStatus
from sloburn.sli.timed import WAIT_NS
from sloburn.slo.budget import Count
from sloburn.slo.model import (
    EventIndicator,
    FreshnessIndicator,
    JourneyIndicator,
    NoEvents,
    SlicedIndicator,
    Slo,
    WeightedIndicator,
)
from tests.promises import span_slo
from tests.sli.lives import Life
from tests.telemetry import SpanSpec

CELL = 5 * SECOND
TARGET = Fraction(2, 3)
WITHIN = 95 * SECOND
UNSAVED = 45 * SECOND
"""A processor writes a checkpoint every 15 s. A kill long after the last one leaves a time in which nobody listened, as
far as what was stored can tell."""
SOURCE: EventIndicator = span_slo().indicator  # type: ignore[assignment]


def timed(name: str, slice_ns: int, no_events: NoEvents) -> Slo:
    """Return an SLO whose events are slices of time."""
    indicator = SlicedIndicator(source=SOURCE, slice_ns=slice_ns, target=TARGET, no_events=no_events)
    return replace(span_slo(name), indicator=indicator)


SLICED = (
    timed("ignored", MINUTE, NoEvents.IGNORED),
    timed("good", 10 * SECOND, NoEvents.GOOD),
    timed("bad", 5 * MINUTE, NoEvents.BAD),
)
FRESH = replace(span_slo("fresh"), indicator=FreshnessIndicator(source=SOURCE, within_ns=WITHIN, slice_ns=30 * SECOND))
JOURNEY = replace(
    span_slo("journey"),
    indicator=JourneyIndicator(members=("plain", "ignored"), slice_ns=2 * MINUTE, target=TARGET),
)
WEIGHTED = replace(
    span_slo("weighted"), indicator=WeightedIndicator(members=(("plain", Fraction(1)), ("ignored", Fraction(5, 2))))
)
SLOS = (span_slo("plain"), *SLICED, FRESH, JOURNEY, WEIGHTED)


@dataclass
class Oracle:
    """Everything that was sent, and when each history began."""

    events: dict[int, tuple[int, bool]] = field(default_factory=dict)
    started: int = 0
    first_look: int = 0  # with an event

    def look(self, now: int) -> None:
        """Note when something was looked at for the first time."""
        self.started = self.started or now
        self.first_look = self.first_look or (now if self.events else 0)

    def between(self, begin: int, end: int) -> Count:
        """Count the events of the cells that touch a span of time."""
        cells = [(at // CELL * CELL, bad) for at, bad in self.events.values()]
        inside = [bad for cell, bad in cells if begin // CELL * CELL <= cell < end]
        return Count(len(inside) - sum(inside), sum(inside))

    def sliced(self, slo: Slo, begin: int) -> bool | None:
        """Judge a slice by the events in it."""
        indicator = slo.indicator
        assert isinstance(indicator, SlicedIndicator)
        count = self.between(begin, begin + indicator.slice_ns)
        if count.total:
            return Fraction(count.good, count.total) >= TARGET
        known = self.first_look and begin >= self.first_look
        return {NoEvents.GOOD: True, NoEvents.BAD: False}.get(indicator.no_events) if known else None

    def fresh(self, begin: int) -> bool | None:
        """Judge a slice by the age of the last good event at its end."""
        end = begin + 30 * SECOND
        if end <= self.started:
            return None
        if self.between(end - WITHIN, end).good:
            return True
        return False if end - WITHIN >= self.started else None

    def journey(self, begin: int, now: int) -> bool | None:
        """Judge a slice by what its members hold in it."""
        if begin + 2 * MINUTE <= self.started:
            return None
        plain = self.between(begin, begin + 2 * MINUTE)
        minutes = self.verdicts(SLICED[0], begin, begin + 2 * MINUTE, now)
        said = [Fraction(one.good, one.total) >= TARGET for one in (plain, minutes) if one.total]
        return all(said) if said else None

    def verdicts(self, slo: Slo, begin: int, end: int, now: int) -> Count:
        """Count the verdicts of the slices of an SLO that lie in a span of time and are over."""
        slice_ns = getattr(slo.indicator, "slice_ns")  # noqa: B009 (of several kinds)
        wait = WAIT_NS + (CELL if slo is JOURNEY else 0)
        last = min(end, (now - wait) // slice_ns * slice_ns)
        found = [self.verdict(slo, at, now) for at in range(begin // slice_ns * slice_ns, last, slice_ns)]
        return Count(found.count(True), found.count(False))

    def verdict(self, slo: Slo, begin: int, now: int) -> bool | None:
        """Judge one slice."""
        if slo is FRESH:
            return self.fresh(begin)
        return self.journey(begin, now) if slo is JOURNEY else self.sliced(slo, begin)


def window_of(oracle: Oracle, slo: Slo, length: int, now: int) -> Count:
    """Count what a look-back of an SLO holds: a verdict lies in the last cell of its slice."""
    slice_ns = getattr(slo.indicator, "slice_ns")  # noqa: B009
    resolution = CELL if length <= 6 * HOUR else MINUTE
    oldest = (now - length) // resolution * resolution
    begin = min([oldest, *(at for at, _ in oracle.events.values())]) - 2 * slice_ns
    found = Count()
    for at in range(begin // slice_ns * slice_ns, now, slice_ns):
        if at + slice_ns - CELL >= oldest:
            found += oracle.verdicts(slo, at, at + slice_ns, now)
    return found


def check(statuses: dict[tuple[str, tuple[tuple[str, str], ...]], SloStatus], oracle: Oracle, now: int) -> None:
    """Compare two look-backs of every SLO with the events themselves."""
    for slo in (*SLICED, FRESH, JOURNEY):
        for burn in statuses[slo.name, ()].burns:
            if burn.length_ns in (5 * MINUTE, 6 * HOUR):
                assert burn.count == window_of(oracle, slo, burn.length_ns, now), (slo.name, burn.length_ns)
    weighted = statuses["weighted", ()]
    parts = [(Fraction(1), statuses["plain", ()].sli), (Fraction(5, 2), statuses["ignored", ()].sli)]
    voting = [(weight, share) for weight, share in parts if share is not None]
    expected = sum(w * s for w, s in voting) / sum(w for w, _ in voting) if voting else None
    assert weighted.sli == expected
    assert weighted.count == statuses["plain", ()].count + statuses["ignored", ()].count


ages = st.one_of(st.integers(0, 20 * SECOND), st.integers(0, 4 * MINUTE), st.integers(0, 2 * HOUR))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(st.tuples(ages, st.booleans()), min_size=1, max_size=4)),
        st.tuples(st.just("send"), st.lists(st.tuples(ages, st.booleans()), min_size=1, max_size=4)),
        st.tuples(st.just("wait"), st.integers(1, 180)),
        st.tuples(st.just("wait"), st.integers(1, 30)),
        st.tuples(st.just("kill"), st.none()),
        st.tuples(st.just("checkpoint"), st.none()),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=12, deadline=None)
@given(steps=steps)
def test_slices_equal_the_oracle(steps: list[tuple[str, object]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever comes late, is lost with a kill or written in a checkpoint: every slice is what its events make it."""
    life, oracle = Life(tmp_path_factory.mktemp("slices"), *SLOS), Oracle()
    life.look()
    oracle.look(life.now)
    number, saved = 0, life.now
    life.checkpoint()  # so that a kill cannot forget when the histories began
    for kind, value in steps:
        if isinstance(value, list):
            found = [(life.now - age, bad) for age, bad in value]
            specs = [SpanSpec(number=number + n, end=at, error=bad) for n, (at, bad) in enumerate(found, 1)]
            oracle.events.update({one.number: (one.end, one.error) for one in specs})
            number += len(specs)
            life.send(*specs)
            life.look()
            oracle.look(life.now)
            life.checkpoint() if number == len(specs) else None
        elif isinstance(value, int):
            life.wait(value * SECOND)
        else:
            getattr(life, kind)()
        if life.now - saved > UNSAVED:
            life.checkpoint()
            saved = life.now
    life.wait(3 * CELL)
    check(life.look(), oracle, life.now)
    life.kill()
    check(life.look(), oracle, life.now)
    life.close()
