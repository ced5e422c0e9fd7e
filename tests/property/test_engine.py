"""The engine against a brute-force oracle that keeps every event."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.slo.budget import Count
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request

LENGTHS = (5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY, 30 * DAY)


@dataclass(frozen=True)
class Event:
    """A span: its identity, its age in nanoseconds, whether it is bad."""

    number: int
    age: int
    bad: bool


# Few numbers over many events make duplicates; an id always means the same span.
numbers = st.integers(1, 40)
batches = st.lists(st.lists(numbers, max_size=8), max_size=12)
spans = st.fixed_dictionaries({n: st.tuples(st.integers(-10 * MINUTE, 32 * DAY), st.booleans()) for n in range(1, 41)})


def covered(event: Event, length: int) -> bool:
    """Tell whether a look-back covers the slice of an event."""
    slice_ns = 5 * SECOND if length <= 6 * HOUR else MINUTE if length <= 3 * DAY else 5 * MINUTE
    end = NOW - event.age
    return (NOW - length) // slice_ns <= end // slice_ns <= NOW // slice_ns


@settings(max_examples=300, deadline=None)
@given(batches=batches, spans=spans)
def test_every_window_equals_the_oracle(batches: list[list[int]], spans: dict[int, tuple[int, bool]]) -> None:
    """Late, future, reordered and repeated spans in any batches: every window equals the sum over distinct events."""
    bench = Bench(span_slo())
    sent: dict[int, Event] = {}
    for batch in batches:
        events = [Event(number, *spans[number]) for number in batch]
        sent.update((event.number, event) for event in events)
        request = trace_request([SpanSpec(number=e.number, end=NOW - e.age, error=e.bad) for e in events])
        bench.traces(request)
    taken = [event for event in sent.values() if -5 * MINUTE <= event.age <= 30 * DAY]
    for burn in bench.status().burns:
        inside = [event for event in taken if covered(event, burn.length_ns)]
        bad = sum(event.bad for event in inside)
        assert burn.count == Count(len(inside) - bad, bad), burn.length_ns
    assert bench.status().lifetime.total == len(taken)
    assert tuple(burn.length_ns for burn in bench.status().burns) == LENGTHS
