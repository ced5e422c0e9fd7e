"""Calendar periods and time that does not count, as they show in the numbers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.slo.budget import Count
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import CalendarUnit, Period, Slo
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request

# NOW is 2025-10-09T08:53:20Z, a Thursday.
MIDNIGHT_UTC = NOW - 8 * HOUR - 53 * MINUTE - 20 * SECOND


def excluding(*spans: tuple[int, int]) -> Slo:
    """Return an SLO that does not count spans of time, given as ages in nanoseconds."""
    return replace(
        span_slo(),
        exclusions=tuple(OneOff(name="m", interval=Interval(NOW - begin, NOW - end)) for begin, end in spans),
    )


def on_calendar(unit: CalendarUnit, timezone: str = "UTC") -> Slo:
    """Return an SLO over a calendar period."""
    return replace(span_slo(), period=Period(length_ns=30 * DAY, unit=unit, timezone=timezone))


def count_of(slo: Slo, *ages: int) -> Count:
    """Return the period's count of one bad event for each age."""
    bench = Bench(slo)
    bench.traces(trace_request([SpanSpec(number=n, end=NOW - age, error=True) for n, age in enumerate(ages, 1)]))
    return bench.count()


def test_a_calendar_period_begins_at_midnight() -> None:
    """Events of yesterday are not in the day, events since Monday are in the week."""
    yesterday, today = NOW - MIDNIGHT_UTC + MINUTE * 10, NOW - MIDNIGHT_UTC - MINUTE * 10
    assert count_of(on_calendar(CalendarUnit.DAY), today, yesterday, 3 * DAY) == Count(bad=1)
    assert count_of(on_calendar(CalendarUnit.WEEK), today, yesterday, 3 * DAY, 4 * DAY) == Count(bad=3)


def test_a_window_as_long_as_a_calendar_day_is_not_the_day() -> None:
    """The look-back holds what happened since this time yesterday, the calendar day what did since midnight."""
    slo = replace(on_calendar(CalendarUnit.DAY), period=Period(length_ns=DAY, unit=CalendarUnit.DAY))
    bench = Bench(slo)
    bench.traces(trace_request([SpanSpec(number=n, end=NOW - n * HOUR, error=True) for n in range(1, 20)]))
    status = bench.status()
    assert status.count == Count(bad=8)
    assert [burn.count for burn in status.burns if burn.length_ns == DAY] == [Count(bad=19)]


def test_the_zone_moves_the_midnight() -> None:
    """In Prague the day began two hours before it did in UTC."""
    late_evening = NOW - MIDNIGHT_UTC + HOUR
    assert count_of(on_calendar(CalendarUnit.DAY, "Europe/Prague"), late_evening) == Count(bad=1)


def test_a_month_reaches_further_than_thirty_days() -> None:
    """The last day of a long month still counts its first."""
    bench = Bench(on_calendar(CalendarUnit.MONTH))
    end = NOW + 22 * DAY  # the 31st of October
    bench.now = end
    begin = MIDNIGHT_UTC - 8 * DAY
    bench.traces(trace_request([SpanSpec(number=1, end=begin + MINUTE), SpanSpec(number=2, end=begin - 10 * MINUTE)]))
    assert bench.count() == Count(good=1)


def test_excluded_time_counts_in_no_window() -> None:
    """What happened in excluded time is in no look-back, in no budget, and still in the lifetime counters."""
    bench = Bench(excluding((30 * MINUTE, 10 * MINUTE)))
    ages = [40 * MINUTE, 20 * MINUTE, 5 * MINUTE]
    bench.traces(trace_request([SpanSpec(number=n, end=NOW - age, error=True) for n, age in enumerate(ages, 1)]))
    status = bench.status()
    assert status.count == Count(bad=2)
    assert {burn.length_ns: burn.count.bad for burn in status.burns}[HOUR] == 2
    assert status.budget[-1].remaining == status.budget_remaining
    assert status.lifetime == Count(bad=3)


slices = st.integers(0, 90)
spans_of_time = st.tuples(slices, slices).map(lambda pair: (max(pair), min(pair)))


@settings(deadline=None)
@given(ages=st.lists(slices, max_size=30), excluded=st.lists(spans_of_time, max_size=4))
def test_exclusions_equal_the_oracle(ages: list[int], excluded: list[tuple[int, int]]) -> None:
    """An event counts exactly if its slice does not begin in excluded time, however exclusions overlap."""
    minutes = [(begin * MINUTE, end * MINUTE) for begin, end in excluded if begin > end]
    bench = Bench(excluding(*minutes))
    bench.traces(trace_request([SpanSpec(number=n, end=NOW - age * MINUTE) for n, age in enumerate(ages, 1)]))
    window = next(burn for burn in bench.status().burns if burn.length_ns == HOUR)
    five = 5 * SECOND
    begins = [(NOW - age * MINUTE) // five * five for age in ages if age <= 60]
    counted = [begin for begin in begins if not any(NOW - low <= begin < NOW - high for low, high in minutes)]
    assert window.count == Count(good=len(counted))
