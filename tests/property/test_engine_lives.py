"""Whole histories of a processor against a brute-force oracle: SLOs, groups, kills, checkpoints, time that passes.

The oracle keeps every event and knows nothing of outcomes, rings, running sums or journals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.recovery import restore
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.status import SloStatus
from sloburn.slo.budget import Count
from sloburn.slo.conditions import Match, Op, Source
from sloburn.slo.model import Slo, SpanIndicator
from tests.promises import SERVER_SPANS, span_slo
from tests.server.hasty import HastyStore
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request

ROUTES = ("/a", "/b", "/c")
LIMIT = 100 * MILLISECOND


@dataclass(frozen=True)
class Event:
    """A span: its identity, when it ended, what it was like."""

    number: int
    end: int
    route: str
    error: bool
    duration: int


def slow() -> Match:
    """Return the condition that a span took longer than the limit."""
    return Match(source=Source.DURATION, op=Op.GT, operands=(LIMIT,))


def on_route(route: str) -> Match:
    """Return the condition that a span is of a route."""
    return Match(source=Source.ATTRIBUTE, key="http.route", op=Op.EQ, operands=(route,))


SLOS = (
    span_slo("up"),
    span_slo("fast", bad=slow(), objective="0.95"),
    span_slo("by-route", group_by=("http.route",)),
    span_slo("week", period_ns=7 * DAY, bad=slow()),
    *(span_slo(f"only{route.replace('/', '-')}", where=on_route(route)) for route in ROUTES),
)


def selects(slo: Slo, group: tuple[tuple[str, str], ...], event: Event) -> bool:
    """Tell whether an SLO, or one group of it, counts an event."""
    if isinstance(slo.indicator, SpanIndicator) and slo.indicator.where != SERVER_SPANS:
        return slo.name == f"only{event.route.replace('/', '-')}"
    return not group or group == (("http.route", event.route),)


def is_bad(slo: Slo, event: Event) -> bool:
    """Tell whether an event is bad for an SLO."""
    return event.duration > LIMIT if slo.name in ("fast", "week") else event.error


@dataclass
class Life:
    """A processor without its servers, and everything that it was ever sent."""

    folder: Path
    now: int = NOW
    events: dict[int, Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin, or begin again where the store is."""
        self.store = HastyStore(self.folder, NOW)
        self.engine = Engine(SLOS, any_value, epoch=self.store.epoch)
        self.scribe, _ = restore(self.engine, self.store)

    def kill(self) -> None:
        """End without a word and start again."""
        self.store.close()
        self.start()

    def send(self, events: Iterable[Event], *, fails: bool) -> None:
        """Send spans as one batch; a batch whose write fails changes nothing."""
        specs = [
            SpanSpec(number=e.number, end=e.end, error=e.error, duration=e.duration, values={"http.route": e.route})
            for e in events
        ]
        commit = Commit()
        body = trace_request(specs).SerializeToString()
        self.engine.prepare_traces(decode(Signal.TRACES, Encoding.PROTOBUF, body), self.now, commit)
        row = self.scribe.write(commit)
        if fails:
            return
        if not commit.is_empty:
            self.store.append(self.now, *row)
            self.scribe.written()
        self.engine.apply(commit)
        taken = (e for e in events if self.now - 30 * DAY <= e.end <= self.now + 5 * MINUTE)
        self.events.update((event.number, event) for event in taken)

    def checkpoint(self) -> None:
        """Write a checkpoint."""
        checkpoint = self.scribe.checkpoint(self.now)
        self.store.checkpoint(checkpoint, self.now)
        self.scribe.kept(checkpoint)

    def check(self) -> None:
        """Compare every window of every SLO and group with the events themselves."""
        statuses = self.engine.tick(self.now).statuses
        for status in statuses:
            self._check(status)
        groups = {status.group for status in statuses if status.group}
        assert {(("http.route", event.route),) for event in self.events.values()} <= groups

    def _check(self, status: SloStatus) -> None:
        mine = [event for event in self.events.values() if selects(status.slo, status.group, event)]
        for burn in status.burns:
            inside = [event for event in mine if self._covers(burn.length_ns, event.end)]
            bad = sum(is_bad(status.slo, event) for event in inside)
            assert burn.count == Count(len(inside) - bad, bad), (status.slo.name, status.group, burn.length_ns)
        assert status.lifetime.total == len(mine)

    def _covers(self, length: int, end: int) -> bool:
        slice_ns = 5 * SECOND if length <= 6 * HOUR else MINUTE if length <= 3 * DAY else 5 * MINUTE
        return (self.now - length) // slice_ns <= end // slice_ns <= self.now // slice_ns


# Few numbers over many events make repeats; an id always means the same span.
spans = st.fixed_dictionaries(
    {
        number: st.tuples(
            st.one_of(
                *(st.integers(0, reach) for reach in (10 * SECOND, HOUR, 7 * HOUR, 8 * DAY)), st.just(-6 * MINUTE)
            ),
            st.sampled_from(ROUTES),
            st.booleans(),
            st.sampled_from((MILLISECOND, LIMIT, LIMIT + 1)),
        )
        for number in range(1, 31)
    }
)
some = st.lists(st.integers(1, 30), min_size=1, max_size=10)
nothing = st.just(list[int]())
pauses = st.one_of(*(st.integers(0, most) for most in (10 * SECOND, 10 * MINUTE, 7 * HOUR)))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), some),
        st.tuples(st.just("send"), some),
        st.tuples(st.just("fail"), some),
        st.tuples(st.just("checkpoint"), nothing),
        st.tuples(st.just("kill"), nothing),
        st.tuples(st.just("check"), nothing),
        st.tuples(st.just("wait"), st.lists(pauses, min_size=1, max_size=1)),
    ),
    min_size=5,
    max_size=30,
)


@pytest.mark.timeout(500)
@settings(max_examples=120, deadline=None)
@given(spans=spans, steps=steps)
def test_lives_equal_the_oracle(
    spans: dict[int, tuple[int, str, bool, int]],
    steps: list[tuple[str, list[int]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever is sent, repeated, lost in a failed write, killed, stored or waited for: every window is exact."""
    life = Life(tmp_path_factory.mktemp("life"))
    known = {n: Event(n, NOW - age, route, error, duration) for n, (age, route, error, duration) in spans.items()}
    waited = 0
    for kind, numbers in steps:
        if kind in ("send", "fail"):
            # After the promised quarter of an hour a repeat would count again: send only what is new.
            fresh = [n for n in numbers if waited < 15 * MINUTE or n not in life.events]
            life.send([known[n] for n in dict.fromkeys(fresh)], fails=kind == "fail")
        elif kind == "wait":
            life.now, waited = life.now + numbers[0], waited + numbers[0]
        else:
            getattr(life, kind)()
    life.check()
    life.kill()
    life.check()
    life.store.close()
