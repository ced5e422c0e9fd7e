"""Numbers, times and durations as people read them."""
# ruff: noqa: RUF001  minus, dash and times signs are what the page shows

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.outputs import wording
from tests.outputs.snapshots import NOW, SURROGATE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.999", "0.999"),
        ("0.99999", "0.99999"),
        ("1/3", "1/3"),
        ("0", "0"),
        ("-0.05", "-0.05"),
        ("12.5", "12.5"),
        ("0.0000000001", "0.0000000001"),
    ],
)
def test_decimals_are_exact(value: str, text: str) -> None:
    """A ratio that ends as a decimal is written in full, another one as a fraction."""
    assert wording.decimal_text(Fraction(value)) == text


@given(st.decimals(min_value=-1000, max_value=1000, places=8))
def test_decimals_read_back(value: object) -> None:
    """Any decimal, written and read again, is the same number."""
    assert Fraction(wording.decimal_text(Fraction(str(value)))) == Fraction(str(value))


@pytest.mark.parametrize(
    ("objective", "text", "digits"),
    [("0.999", "99.9", 2), ("0.95", "95", 1), ("0.99995", "99.995", 4), ("2/3", "200/3", 2)],
)
def test_objectives_decide_the_digits(objective: str, text: str, digits: int) -> None:
    """An SLI gets one digit more than its objective has."""
    assert wording.objective_text(Fraction(objective)) == text
    assert wording.sli_digits(Fraction(objective)) == digits


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 1, "–"),
        ("0.99996", 2, "99.99"),
        ("1", 2, "100.00"),
        ("0.99899999", 1, "99.8"),
        ("0", 1, "0.0"),
        ("0.0001", 1, "<0.1"),
        ("0.004", 0, "<1"),
        ("-0.5", 1, "−50.0"),
        ("-0.00001", 1, "−0.1"),
        ("-1234.5", 0, "−123,450"),
    ],
)
def test_percentages_never_flatter(value: str | None, digits: int, text: str) -> None:
    """A share is cut: what is below a hundred, or above nothing, never reads as if it were not."""
    assert wording.percent_text(None if value is None else Fraction(value), digits) == text


@pytest.mark.parametrize(
    ("burn", "text"),
    [(None, "–"), ("0", "0.00×"), ("0.4211", "0.42×"), ("14.4", "14.4×"), ("123.4", "123×"), ("1000", "1,000×")],
)
def test_burn_rates_have_three_figures(burn: str | None, text: str) -> None:
    """A burn rate is as long as a glance needs."""
    assert wording.burn_text(None if burn is None else Fraction(burn)) == text


@pytest.mark.parametrize(("factor", "text"), [("14.4", "14.4×"), ("6", "6×"), ("14/15", "0.933×"), ("1000", "1,000×")])
def test_thresholds_have_no_needless_zeros(factor: str, text: str) -> None:
    """A threshold looks as in the workbook."""
    assert wording.factor_text(Fraction(factor)) == text


def test_counts_agree_with_their_noun() -> None:
    """One event, two events, and thousands with commas."""
    assert [wording.count_text(n, "event", "events") for n in (0, 1, 12_345)] == [
        "0 events",
        "1 event",
        "12,345 events",
    ]
    assert wording.count_text(12_345) == "12,345"


def test_clipped_text_fits() -> None:
    """Text is cut to its limit, the mark of the cut included."""
    assert wording.clip("abcdef", 4) == "abc…"
    assert wording.clip("abcd", 4) == "abcd"


def test_cleaned_text_is_utf_8() -> None:
    """Half a surrogate pair is spelled out, everything else stays."""
    assert wording.clean(SURROGATE) == "half \\ud83d of a smile"
    assert wording.clean("smile 😀\x00\u202e") == "smile 😀\x00\u202e"


@pytest.mark.parametrize(
    ("length", "text"), [(HOUR, "1 h"), (5 * MINUTE, "5 min"), (5 * SECOND, "5 s"), (2 * DAY + HOUR, "2 d 1 h")]
)
def test_windows_read_as_people_say_them(length: int, text: str) -> None:
    """Whole units lose their zero."""
    assert wording.window_text(length) == text


def test_moments_are_utc() -> None:
    """A moment has an exact form and a form for the eye, which names the day only where it is another one."""
    assert wording.iso_text(NOW) == "2026-11-21T14:02:11.250Z"
    assert wording.clock_text(NOW) == "14:02:11"
    assert wording.clock_text(NOW, NOW + HOUR) == "14:02:11"
    assert wording.clock_text(NOW - DAY, NOW) == "20 Nov 14:02:11"
