"""Conditions on a span, a data point or a log record, as documents write them: comparisons, and what joins them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Scalar = str | int | float | bool


class Op(StrEnum):
    """How a `Match` compares what it found."""

    EQ = "eq"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    REGEX = "regex"
    EXISTS = "exists"


class Source(StrEnum):
    """Where a `Match` looks."""

    ATTRIBUTE = "attribute"  # of the span or data point, else of its resource
    NAME = "name"
    KIND = "kind"
    STATUS = "status"
    DURATION = "duration"
    SEVERITY = "severity"  # of a log record: a number from 1 to 24
    BODY = "body"
    EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One comparison. A missing attribute matches nothing, whatever the operator.

    Args:
        source: Where to look.
        key: Attribute name; empty for every other source.
        op: The comparison.
        operands: What to compare with; more than one only for `Op.IN`. Durations are nanoseconds.
    """

    source: Source
    key: str = ""
    op: Op
    operands: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where its part is not."""

    part: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are; of no parts: always."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where at least one part is; of no parts: never."""

    parts: tuple[Condition, ...] = ()


Condition = Match | Not | AllOf | AnyOf
