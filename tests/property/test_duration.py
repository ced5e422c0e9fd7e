"""Durations: what is written is read back, to the nanosecond."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE, UNITS, WEEK, format_duration, humanize_duration, parse_duration

CENTURY = 36_500 * DAY


@given(st.integers(min_value=1, max_value=CENTURY))
def test_round_trip(nanoseconds: int) -> None:
    """Every duration is read back from what it is written as."""
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.sets(st.sampled_from(sorted(UNITS)), min_size=1), st.data())
def test_sum_of_parts(units: set[str], data: st.DataObject) -> None:
    """A duration is the sum of its parts, each a whole number of its unit."""
    ordered = [unit for unit in UNITS if unit in units]
    counts = [data.draw(st.integers(min_value=1, max_value=9999), label=unit) for unit in ordered]
    text = "".join(f"{count}{unit}" for count, unit in zip(counts, ordered, strict=True))

    assert parse_duration(text) == sum(count * UNITS[unit] for count, unit in zip(counts, ordered, strict=True))


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=0, max_value=9))
def test_decimals_are_exact(digits: int, places: int) -> None:
    """A decimal number of seconds is exact: it never passes through a float."""
    whole, rest = divmod(digits, 10**places)
    text = f"{whole}.{rest:0{places}d}s" if places else f"{whole}s"

    assert parse_duration(text) == Fraction(digits, 10**places) * 10**9


@given(st.text(alphabet="0123456789.wdhmsun -") | st.text())
def test_other_text_is_refused(text: str) -> None:
    """Any text is a duration above zero, or a ValueError that shows what was expected."""
    refusal = ""
    try:
        nanoseconds = parse_duration(text)
    except ValueError as error:
        nanoseconds, refusal = 0, str(error)

    assert nanoseconds > 0 or "expected a duration such as 30d" in refusal


@pytest.mark.parametrize("text", ["", "5", "d", "1h 30m", "-1h", "+1h", "1e3s", "٣d", "9" * 5000 + "d", "1month"])
def test_what_is_no_duration(text: str) -> None:
    """Signs, spaces, exponents, other digits and numbers beyond any use are refused."""
    with pytest.raises(ValueError, match="expected a duration such as 30d, 1h30m or 300ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0s"), (-90 * MINUTE, "-1h30m"), (WEEK, "7d"), (51_840_000_000, "51s840ms"), (1, "1ns")],
)
def test_format(nanoseconds: int, text: str) -> None:
    """Durations are written exactly, largest unit first, days the largest."""
    assert format_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (2 * DAY + HOUR, "2 d 1 h"),
        (HOUR, "1 h"),
        (259_200_000_000, "4 min 19 s"),
        (51_840_000_000, "51.8 s"),
        (5_000_000_000, "5 s"),
        (59_960_000_000, "1 min"),
        (300_000_000, "300 ms"),
        (999_600_000, "1 s"),
        (250_000, "250 µs"),
        (-HOUR, "-1 h"),
    ],
)
def test_humanize(nanoseconds: int, text: str) -> None:
    """People read two units at most."""
    assert humanize_duration(nanoseconds) == text
