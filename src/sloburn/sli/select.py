"""Whether a condition holds for a span, a data point or a log record.

Conditions are walked, not compiled to code: the classifier judges each distinct combination of values once and
remembers the answer, so this is not on the hot path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Scalar, Source

Attribute = str | int | float | bool | bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one span, data point or log record.

    Args:
        attributes: Its own attributes over those of its resource.
        name: The span's name.
        kind: ``server``, ``client``, ``producer``, ``consumer``, ``internal`` or ``unspecified``.
        status: ``ok``, ``error`` or ``unset``.
        within: Tells whether the duration is at most so many nanoseconds.
        severity: Number of a log record's severity; None if it has none.
        body: Of a log record, as text.
        event: Of a log record: the name of the event.
    """

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    name: str = ""
    kind: str = ""
    status: str = ""
    within: Callable[[int], bool] = field(default=lambda _limit_ns: False)
    severity: int | None = None
    body: str = ""
    event: str = ""


def holds(condition: Condition, facts: Facts) -> bool:
    """Tell whether a condition holds. A missing attribute matches nothing."""
    match condition:
        case Match():
            return _matches(condition, facts)
        case Not(part):
            return not holds(part, facts)
        case AllOf(parts):
            return all(holds(part, facts) for part in parts)
        case AnyOf(parts):
            return any(holds(part, facts) for part in parts)


def leaves(condition: Condition) -> Iterator[Match]:
    """Yield every comparison in a condition."""
    match condition:
        case Match():
            yield condition
        case Not(part):
            yield from leaves(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)


def _matches(match: Match, facts: Facts) -> bool:
    if match.source is Source.DURATION:
        within = facts.within(int(match.operands[0]))
        return within if match.op is Op.LTE else not within
    if match.source is not Source.ATTRIBUTE:
        return _compare(match, getattr(facts, match.source.value))
    value = facts.attributes.get(match.key)
    if match.op is Op.EXISTS:
        return (value is not None) is bool(match.operands[0])
    return value is not None and _compare(match, value)


def _compare(match: Match, value: Attribute) -> bool:
    if match.op in (Op.EQ, Op.IN):
        return any(_equal(value, operand) for operand in match.operands)
    operand = match.operands[0]
    if match.op is Op.REGEX:
        return isinstance(value, str) and _pattern(str(operand)).fullmatch(value) is not None
    if not _is_number(value) or not _is_number(operand):
        return False
    return _ORDER[match.op](value, operand)


def _equal(value: Attribute, operand: Scalar) -> bool:
    # True == 1 in Python, but an attribute `true` is not the number one.
    return isinstance(value, bool) is isinstance(operand, bool) and value == operand


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ORDER: dict[Op, Callable[..., bool]] = {
    Op.GT: lambda value, operand: value > operand,
    Op.GTE: lambda value, operand: value >= operand,
    Op.LT: lambda value, operand: value < operand,
    Op.LTE: lambda value, operand: value <= operand,
}


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
