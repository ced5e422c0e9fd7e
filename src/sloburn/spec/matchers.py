"""Readers of matchers: what one field of a condition is compared with.

A scalar means *equals*, a list *is one of*, a mapping one or more operators that must all hold.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from sloburn.slo.conditions import AllOf, Condition, Match, Not, Op, Scalar, Source
from sloburn.spec.cursor import Cursor, did_you_mean, listed
from sloburn.spec.values import read_boolean, read_choice, read_duration, read_number, read_scalar, read_text

STATUSES = ("error", "ok", "unset")
KINDS = ("server", "client", "producer", "consumer", "internal")

ORDER = {"gt": Op.GT, "gte": Op.GTE, "ge": Op.GTE, "lt": Op.LT, "lte": Op.LTE, "le": Op.LTE}
_EQUALITY = ("eq", "not", "in", "not_in")

NOTHING: Condition = AllOf()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a matcher compares.

    Args:
        source: Where the value comes from.
        key: Attribute name; empty for every other source.
        operators: The operators that make sense for it.
        read: Reads one operand.
    """

    source: Source
    key: str = ""
    operators: tuple[str, ...]
    read: Callable[[Cursor], Scalar]

    def match(self, op: Op, *operands: Scalar) -> Match:
        """Return one comparison of this field."""
        return Match(source=self.source, key=self.key, op=op, operands=operands)


STATUS = Field(source=Source.STATUS, operators=_EQUALITY, read=lambda at: read_choice(at, STATUSES))
KIND = Field(source=Source.KIND, operators=_EQUALITY, read=lambda at: read_choice(at, KINDS))
NAME = Field(source=Source.NAME, operators=(*_EQUALITY, "regex"), read=read_text)
BODY = Field(source=Source.BODY, operators=(*_EQUALITY, "regex"), read=read_text)
EVENT = Field(source=Source.EVENT, operators=(*_EQUALITY, "regex"), read=read_text)
DURATION = Field(source=Source.DURATION, operators=tuple(ORDER), read=read_duration)


def attribute(key: str) -> Field:
    """Return the field of an attribute."""
    operators = (*_EQUALITY, *ORDER, "regex", "exists")
    return Field(source=Source.ATTRIBUTE, key=key, operators=operators, read=read_scalar)


def read_matcher(at: Cursor, field: Field) -> Condition:
    """Read what a field is compared with."""
    if at.is_mapping:
        return _read_operators(at, field)
    if "eq" not in field.operators:
        return at.expected(f"an operator, for instance {{{field.operators[-1]}: ...}}", NOTHING)
    return _read_one_of(at, field) if at.is_list else field.match(Op.EQ, field.read(at))


def all_of(parts: tuple[Condition, ...]) -> Condition:
    """Return parts that must all hold; one part stays alone."""
    return parts[0] if len(parts) == 1 else AllOf(parts)


def _read_operators(at: Cursor, field: Field) -> Condition:
    if at.is_empty:
        return at.refuse(f"found an empty mapping; expected {listed(field.operators)}", NOTHING)
    return all_of(tuple(_read_operator(name, operand, field) for name, operand in at.fields().items()))


def _read_operator(name: str, at: Cursor, field: Field) -> Condition:
    if name not in field.operators:
        question = did_you_mean(name, field.operators)
        return at.refuse(f"unknown operator{question}; expected {listed(field.operators)}", NOTHING)
    return _OPERATORS[name](at, field) if name in _OPERATORS else _read_order(ORDER[name], at, field)


def _read_equal(at: Cursor, field: Field) -> Condition:
    return at.expected("one value; a list goes under in", NOTHING) if at.is_list else field.match(Op.EQ, field.read(at))


def _read_one_of(at: Cursor, field: Field) -> Condition:
    if at.is_list and at.is_empty:
        return at.refuse("found an empty list, which nothing is in; expected at least one value", NOTHING)
    return field.match(Op.IN, *(field.read(item) for item in at.items()))


def _read_not(at: Cursor, field: Field) -> Condition:
    return Not(read_matcher(at, field))


def _read_none_of(at: Cursor, field: Field) -> Condition:
    return Not(_read_one_of(at, field))


def _read_regex(at: Cursor, field: Field) -> Condition:
    pattern = read_text(at)
    try:
        with warnings.catch_warnings():  # "possible nested set" and the like: the pattern is not what it seems
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return at.refuse(f"{pattern!r} is no regular expression: {error}", NOTHING)
    return field.match(Op.REGEX, pattern)


def _read_exists(at: Cursor, field: Field) -> Condition:
    there = field.match(Op.EXISTS, True)  # noqa: FBT003
    return there if read_boolean(at) else Not(there)


def _read_order(op: Op, at: Cursor, field: Field) -> Condition:
    if field.source is not Source.DURATION:
        return field.match(op, read_number(at))
    # Durations are whole nanoseconds, so "under t" is "at most t - 1": two operators are enough downstream.
    limit_ns = read_duration(at)
    if op in (Op.LT, Op.GTE):
        op, limit_ns = (Op.LTE if op is Op.LT else Op.GT), limit_ns - 1
    return field.match(op, limit_ns)


_OPERATORS: dict[str, Callable[[Cursor, Field], Condition]] = {
    "eq": _read_equal,
    "not": _read_not,
    "in": _read_one_of,
    "not_in": _read_none_of,
    "regex": _read_regex,
    "exists": _read_exists,
}
