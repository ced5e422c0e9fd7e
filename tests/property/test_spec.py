"""The reader of SLO documents: exact numbers, and no text that makes it fail in any other way than by its own error."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from sloburn.slo.model import MetricIndicator
from tests.spec.documents import document, problems_of, read

TOKENS = "version slos spans bad name objective any not sloburn/v1 99.9 30d { } [ ] , ? | > ' # &a *a !x << --- % ~"
WORDS = st.sampled_from([*TOKENS.split(), ": ", "- ", "\n", "  ", '"', "\t", "\x85"])
FIELDS = st.sampled_from(["name", "service", "objective", "period", "indicator", "group_by", "alerting"])


@given(st.integers(min_value=0, max_value=12), st.data())
def test_objective_is_exact(places: int, data: st.DataObject) -> None:
    """A percentage of any number of decimals becomes that very ratio."""
    digits = data.draw(st.integers(min_value=1, max_value=100 * 10**places - 1))
    whole, rest = divmod(digits, 10**places)
    text = f"{whole}.{rest:0{places}d}" if places else str(whole)

    assert read(objective=f"{text}%").objective == Fraction(digits, 100 * 10**places)


@given(st.integers(min_value=1, max_value=10**15), st.sampled_from(["ns", "us", "ms", "s"]))
def test_threshold_is_exact(count: int, unit: str) -> None:
    """A threshold is the exact number of seconds."""
    size = {"ns": 10**9, "us": 10**6, "ms": 10**3, "s": 1}[unit]
    indicator = read(indicator=f"{{metric: m, good: {{le: {count}{unit}}}}}").indicator

    assert isinstance(indicator, MetricIndicator)
    assert indicator.threshold == Fraction(count, size)


@given(st.text() | st.lists(WORDS, max_size=40).map("".join))
def test_any_text(text: str) -> None:
    """Whatever a file holds, the answer is SLOs or a SpecError whose problems have places."""
    assert all(problem.line >= 1 and problem.message for problem in problems_of(text))


@given(FIELDS, st.lists(WORDS, max_size=8).map("".join))
def test_any_value(key: str, value: str) -> None:
    """Whatever stands in a field, nothing but a SpecError is raised."""
    assert all(problem.line >= 1 and problem.message for problem in problems_of(document(**{key: value})))
