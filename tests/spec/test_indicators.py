"""Indicators: whichever way a document says it, what comes out says what is bad."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sloburn.slo.conditions import AllOf, Match, Not, Op, Source
from sloburn.slo.model import Indicator, MetricIndicator, SpanIndicator
from tests.spec.documents import read

EVERYTHING = AllOf()
ERROR = Match(source=Source.STATUS, op=Op.EQ, operands=("error",))
SERVER = Match(source=Source.KIND, op=Op.EQ, operands=("server",))
CODE = Match(source=Source.ATTRIBUTE, key="code", op=Op.GTE, operands=(500,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{spans: {}, bad: {status: error}}", SpanIndicator(where=EVERYTHING, bad=ERROR)),
        ("{spans: {kind: server}, bad: {status: error}}", SpanIndicator(where=SERVER, bad=ERROR)),
        ("{spans: {where: {code: {gte: 500}}}, bad: {status: error}}", SpanIndicator(where=CODE, bad=ERROR)),
        ("{spans: {where: {}}, bad: {status: error}}", SpanIndicator(where=EVERYTHING, bad=ERROR)),
        (
            "{spans: {kind: server, where: {code: {gte: 500}}}, good: {not: {status: error}}}",
            SpanIndicator(where=AllOf((SERVER, CODE)), bad=Not(Not(ERROR))),
        ),
        (
            "{metric: m, where: {code: {gte: 500}}, bad: {code: {gte: 500}}}",
            MetricIndicator(metric="m", where=CODE, bad=CODE),
        ),
        ("{metric: m, good: {code: {gte: 500}}}", MetricIndicator(metric="m", where=EVERYTHING, bad=Not(CODE))),
        (
            "{metric: m, bad: {attribute.le: 1}}",
            MetricIndicator(
                metric="m",
                where=EVERYTHING,
                bad=Match(source=Source.ATTRIBUTE, key="le", op=Op.EQ, operands=(1,)),
            ),
        ),
    ],
)
def test_indicators(text: str, expected: Indicator) -> None:
    """A selection and what is bad in it; what is written as good is negated."""
    assert read(indicator=text).indicator == expected


@pytest.mark.parametrize(
    ("text", "threshold", "is_duration"),
    [
        ("300ms", Fraction(3, 10), True),
        ("2.5s", Fraction(5, 2), True),
        ("1m", Fraction(60), True),
        ("0.3", Fraction(3, 10), False),
        ("1048576", Fraction(1048576), False),
    ],
)
@pytest.mark.parametrize("op", ["le", "lte"])
def test_thresholds(op: str, text: str, threshold: Fraction, *, is_duration: bool) -> None:
    """A threshold is exact: seconds if it is a duration, else in the metric's own unit."""
    indicator = read(indicator=f"{{metric: m, good: {{{op}: {text}}}}}").indicator

    assert indicator == MetricIndicator(metric="m", where=EVERYTHING, threshold=threshold, is_duration=is_duration)
