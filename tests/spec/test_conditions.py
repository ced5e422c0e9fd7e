"""Conditions: from what people write to the few forms that the classifier knows."""

from __future__ import annotations

import pytest

from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Scalar, Source
from sloburn.slo.model import SpanIndicator
from tests.spec.documents import read


def attribute(key: str, op: Op, *operands: Scalar) -> Match:
    """Return a comparison of an attribute."""
    return Match(source=Source.ATTRIBUTE, key=key, op=op, operands=operands)


def condition(text: str) -> Condition:
    """Read a condition on spans."""
    indicator = read(indicator=f"{{spans: {{}}, bad: {text}}}").indicator
    assert isinstance(indicator, SpanIndicator)
    return indicator.bad


def within(limit_ns: int) -> Match:
    """Return the comparison: took at most so long."""
    return Match(source=Source.DURATION, op=Op.LTE, operands=(limit_ns,))


def beyond(limit_ns: int) -> Match:
    """Return the comparison: took longer."""
    return Match(source=Source.DURATION, op=Op.GT, operands=(limit_ns,))


PRESENT = Match(source=Source.ATTRIBUTE, key="error.type", op=Op.EXISTS, operands=(True,))
ERROR = Match(source=Source.STATUS, op=Op.EQ, operands=("error",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{code: 500}", attribute("code", Op.EQ, 500)),
        ("{code: [500, 503]}", attribute("code", Op.IN, 500, 503)),
        ("{code: {eq: 500}}", attribute("code", Op.EQ, 500)),
        ("{code: {in: [500]}}", attribute("code", Op.IN, 500)),
        ("{code: {not: 500}}", Not(attribute("code", Op.EQ, 500))),
        ("{code: {not: [500, 503]}}", Not(attribute("code", Op.IN, 500, 503))),
        ("{code: {not_in: [500, 503]}}", Not(attribute("code", Op.IN, 500, 503))),
        ("{code: {not: {lt: 500}}}", Not(attribute("code", Op.LT, 500))),
        ("{code: {gt: 499}}", attribute("code", Op.GT, 499)),
        ("{code: {gte: 500}}", attribute("code", Op.GTE, 500)),
        ("{code: {ge: 500}}", attribute("code", Op.GTE, 500)),
        ("{code: {lt: 600}}", attribute("code", Op.LT, 600)),
        ("{code: {lte: 599}}", attribute("code", Op.LTE, 599)),
        ("{code: {le: 599.5}}", attribute("code", Op.LTE, 599.5)),
        ("{http.route: {regex: '/cart/.*'}}", attribute("http.route", Op.REGEX, "/cart/.*")),
        ("{error.type: {exists: true}}", PRESENT),
        ("{error.type: {exists: false}}", Not(PRESENT)),
        (
            "{code: {gte: 500, lt: 600}}",
            AllOf((attribute("code", Op.GTE, 500), attribute("code", Op.LT, 600))),
        ),
    ],
)
def test_attribute_matchers(text: str, expected: Condition) -> None:
    """A scalar is equality, a list is membership, operators of one matcher must all hold, and negations wrap."""
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500", 500),
        ('"500"', "500"),
        ("'true'", "true"),
        ("true", True),
        ("false", False),
        ("-1", -1),
        ("0", 0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("/checkout", "/checkout"),
        ("2026-11-21", "2026-11-21"),
        ('""', ""),
    ],
)
def test_operand_types(text: str, expected: Scalar) -> None:
    """A value keeps the type that it is written in; quotes make text of anything."""
    found = condition(f"{{key: {text}}}")

    assert isinstance(found, Match)
    assert [(type(operand), operand) for operand in found.operands] == [(type(expected), expected)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{status: error}", ERROR),
        ("{status: {not: [ok, unset]}}", Not(Match(source=Source.STATUS, op=Op.IN, operands=("ok", "unset")))),
        ("{kind: [server, consumer]}", Match(source=Source.KIND, op=Op.IN, operands=("server", "consumer"))),
        ("{name: {regex: GET .*}}", Match(source=Source.NAME, op=Op.REGEX, operands=("GET .*",))),
        ("{attribute.status: error}", attribute("status", Op.EQ, "error")),
        ("{attribute.name: {gt: 1}}", attribute("name", Op.GT, 1)),
        ("{attribute.attribute.x: 1}", attribute("attribute.x", Op.EQ, 1)),
    ],
)
def test_fields_of_a_span(text: str, expected: Condition) -> None:
    """Status, kind and name are fields of the span; an attribute of such a name is reached by its prefix."""
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{duration: {le: 300ms}}", within(300_000_000)),
        ("{duration: {lte: 300ms}}", within(300_000_000)),
        ("{duration: {lt: 300ms}}", within(299_999_999)),
        ("{duration: {gt: 300ms}}", beyond(300_000_000)),
        ("{duration: {gte: 300ms}}", beyond(299_999_999)),
        ("{duration: {ge: 1ns}}", beyond(0)),
        ("{duration: {gt: 1ms, le: 2ms}}", AllOf((beyond(1_000_000), within(2_000_000)))),
    ],
)
def test_durations(text: str, expected: Condition) -> None:
    """Durations become whole nanoseconds under two operators, whichever of the six was written."""
    assert condition(text) == expected


def test_several_fields_must_all_hold() -> None:
    """The entries of one mapping are a conjunction."""
    assert condition("{status: error, code: 500}") == AllOf((ERROR, attribute("code", Op.EQ, 500)))


def test_any_all_and_not_nest() -> None:
    """Conditions combine to any depth."""
    found = condition("{any: [{status: error}, {all: [{not: {a: 1}}, {b: 2}]}]}")

    both = AllOf((Not(attribute("a", Op.EQ, 1)), attribute("b", Op.EQ, 2)))
    assert found == AnyOf((ERROR, both))
