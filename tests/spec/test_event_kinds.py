"""Indicators of logs and of counter pairs: from what people write to what the engine reads."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Scalar, Source
from sloburn.slo.model import Counter, CounterIndicator, Indicator, LogIndicator, MetricIndicator, Snap
from tests.spec.documents import read

EVERYTHING = AllOf()
CODE = Match(source=Source.ATTRIBUTE, key="code", op=Op.EQ, operands=(1,))


def match(source: Source, op: Op, operand: Scalar) -> Match:
    """Return one comparison of a field of a log record."""
    return Match(source=source, op=op, operands=(operand,))


def severity(op: Op, number: int) -> Match:
    """Return a comparison of the severity."""
    return match(Source.SEVERITY, op, number)


ERROR = AllOf((severity(Op.GTE, 17), severity(Op.LTE, 20)))


@pytest.mark.parametrize(
    ("text", "where", "bad"),
    [
        ("{logs: {}, bad: {severity: error}}", EVERYTHING, ERROR),
        ("{logs: {}, good: {severity: {lt: error}}}", EVERYTHING, Not(severity(Op.LT, 17))),
        ("{logs: {}, bad: {severity: [error, 24]}}", EVERYTHING, AnyOf((ERROR, severity(Op.EQ, 24)))),
        (
            "{logs: {}, bad: {severity: {gt: error, le: fatal}}}",
            EVERYTHING,
            AllOf((severity(Op.GT, 20), severity(Op.LTE, 24))),
        ),
        ("{logs: {}, bad: {severity: {not_in: [error]}}}", EVERYTHING, Not(ERROR)),
        (
            "{logs: {event: order, severity: {gte: info}, where: {code: 1}}, bad: {body: {regex: 'x.*'}}}",
            AllOf((match(Source.EVENT, Op.EQ, "order"), severity(Op.GTE, 9), CODE)),
            match(Source.BODY, Op.REGEX, "x.*"),
        ),
    ],
)
def test_logs(text: str, where: Condition, bad: Condition) -> None:
    """Severity, event name, body and attributes are the fields of a log record."""
    assert read(indicator=text).indicator == LogIndicator(where=where, bad=bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{bad: failed, total: started}",
            CounterIndicator(
                bad=Counter(metric="failed", where=EVERYTHING), total=Counter(metric="started", where=EVERYTHING)
            ),
        ),
        (
            "{good: {metric: done, where: {code: 1}}, bad: failed}",
            CounterIndicator(good=Counter(metric="done", where=CODE), bad=Counter(metric="failed", where=EVERYTHING)),
        ),
        ("{bad: {metric: m, where: {code: 1}}, total: m}", MetricIndicator(metric="m", where=EVERYTHING, bad=CODE)),
        (
            "{good: {metric: m, where: {code: 1}}, total: m}",
            MetricIndicator(metric="m", where=EVERYTHING, bad=Not(CODE)),
        ),
        (
            "{good: {metric: m, where: {code: 2}}, bad: {metric: m, where: {code: 1}}}",
            MetricIndicator(
                metric="m",
                where=AnyOf((Match(source=Source.ATTRIBUTE, key="code", op=Op.EQ, operands=(2,)), CODE)),
                bad=CODE,
            ),
        ),
    ],
)
def test_counters(text: str, expected: Indicator) -> None:
    """Two counters of different metrics are a pair; two filters of one metric are an indicator of that metric."""
    assert read(indicator=f"{{counters: {text}}}").indicator == expected


def test_a_threshold_may_say_where_it_moves() -> None:
    """`snap` stands beside the threshold; `snap` alone is an attribute like any other."""
    moved = read(indicator="{metric: m, good: {le: 300ms, snap: down}}").indicator
    assert moved == MetricIndicator(
        metric="m", where=EVERYTHING, threshold=Fraction(3, 10), is_duration=True, snap=Snap.DOWN
    )
    attribute = read(indicator="{metric: m, bad: {snap: down}}").indicator
    assert isinstance(attribute, MetricIndicator)
    assert attribute.bad == Match(source=Source.ATTRIBUTE, key="snap", op=Op.EQ, operands=("down",))
