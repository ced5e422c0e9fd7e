"""Conditions as selectors: a union of conjunctions of matchers.

Prometheus has no negation of a selector and no union inside one, so a condition is brought to the form "any of these,
in each of which all of these hold"; negations go down to the single comparisons. A label that is not there is empty
text, and a missing attribute matches nothing: where the two differ, a matcher more says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from math import ceil, floor, prod

from sloburn.rules.ordering import NEGATIVE, at_least, at_most
from sloburn.rules.promql import How, Matcher, Matchers, one_of
from sloburn.rules.re2 import to_re2
from sloburn.rules.refusals import CannotCompile
from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Scalar, Source

MOST_ALTERNATIVES = 24

ALWAYS: Condition = AllOf()
NEVER: Condition = AnyOf()

LabelOf = Callable[[Match], str]
"""Returns the label that a comparison looks at; raises `CannotCompile` where there is none."""

_STATUS = {"error": "STATUS_CODE_ERROR", "ok": "STATUS_CODE_OK", "unset": "STATUS_CODE_UNSET"}


def alternatives(condition: Condition, label_of: LabelOf) -> tuple[Matchers, ...]:
    """Return conjunctions of matchers, any of which may hold.

    Args:
        condition: What must hold; without durations (see `assume`).
        label_of: The label of each comparison.

    Raises:
        CannotCompile: It has no counterpart, or too many alternatives.
    """
    found = tuple(dict.fromkeys(_expand(condition, label_of, negated=False)))
    return tuple(one for one in found if not any(set(other) < set(one) for other in found))


def assume(condition: Condition, upper_ns: int | None) -> Condition:
    """Return what is left of a condition for durations up to a limit, and above the limit before it.

    Args:
        condition: With durations.
        upper_ns: The upper end of the durations; None for those above every limit.
    """
    match condition:
        case Match(source=Source.DURATION, op=op, operands=(int(limit_ns), *_)):
            within = upper_ns is not None and upper_ns <= limit_ns
            return ALWAYS if within is (op is Op.LTE) else NEVER
        case Match():
            return condition
        case Not(part):
            return Not(assume(part, upper_ns))
        case AllOf(parts):
            return AllOf(tuple(assume(part, upper_ns) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(assume(part, upper_ns) for part in parts))


def comparisons(condition: Condition) -> Iterator[Match]:
    """Yield every comparison in a condition."""
    match condition:
        case Match():
            yield condition
        case Not(part):
            yield from comparisons(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from comparisons(part)


def _expand(condition: Condition, label_of: LabelOf, *, negated: bool) -> list[Matchers]:
    match condition:
        case Match():
            return _negative(condition, label_of) if negated else _positive(condition, label_of)
        case Not(part):
            return _expand(part, label_of, negated=not negated)
        case AllOf(parts) | AnyOf(parts):
            expanded = [_expand(part, label_of, negated=negated) for part in parts]
            # De Morgan: the negation of "all of" is "any of" the negations.
            if isinstance(condition, AnyOf) is not negated:
                _bound(sum(map(len, expanded)))
                return [one for part in expanded for one in part]
            _bound(prod(map(len, expanded)))
            return [_joined(one) for one in product(*expanded)]


def _bound(count: int) -> None:
    if count > MOST_ALTERNATIVES:
        raise CannotCompile(f"its conditions have more than {MOST_ALTERNATIVES} alternatives; simplify them")


def _joined(parts: tuple[Matchers, ...]) -> Matchers:
    return tuple(dict.fromkeys(matcher for part in parts for matcher in part))


def _positive(match: Match, label_of: LabelOf) -> list[Matchers]:
    label = label_of(match)
    match match.op:
        case Op.EQ | Op.IN:
            return [(one_of(label, _texts(match)),)]
        case Op.EXISTS:
            return [(Matcher(label, How.UNEQUAL if match.operands[0] else How.EQUAL, ""),)]
        case _:
            pattern = _pattern(match)
            there = (Matcher(label, How.UNEQUAL, ""),) if _matches_nothing(match) else ()
            return [(*there, Matcher(label, How.MATCHES, pattern))]


def _negative(match: Match, label_of: LabelOf) -> list[Matchers]:
    label = label_of(match)
    match match.op:
        case Op.EQ | Op.IN:
            return [(one_of(label, _texts(match), negated=True),)]
        case Op.EXISTS:
            return [(Matcher(label, How.EQUAL if match.operands[0] else How.UNEQUAL, ""),)]
        case _:
            differs: Matchers = (Matcher(label, How.DIFFERS, _pattern(match)),)
            return [differs, (Matcher(label, How.EQUAL, ""),)] if _matches_nothing(match) else [differs]


def _matches_nothing(match: Match) -> bool:
    return match.op is Op.REGEX and re.fullmatch(str(match.operands[0]), "") is not None


def _texts(match: Match) -> tuple[str, ...]:
    return tuple(_text(match, operand) for operand in match.operands)


def _text(match: Match, operand: Scalar) -> str:
    """Write a value as the Collector writes it into a label."""
    if match.source is Source.KIND:
        return f"SPAN_KIND_{str(operand).upper()}"
    if match.source is Source.STATUS:
        return _STATUS[str(operand)]
    if isinstance(operand, bool):
        return str(operand).lower()
    if isinstance(operand, float):
        return str(int(operand)) if operand.is_integer() else repr(operand)
    if operand == "":
        raise CannotCompile(f"{match.key or match.source} is compared with empty text, which no label can hold")
    return str(operand)


def _pattern(match: Match) -> str:
    return to_re2(str(match.operands[0])) if match.op is Op.REGEX else _order(match)


def _order(match: Match) -> str:
    limit = match.operands[0]
    if not isinstance(limit, int | float) or limit < 0:
        raise CannotCompile(f"{match.key} is compared with {limit}; labels are compared with whole numbers from 0 up")
    match match.op:
        case Op.GTE:
            return at_least(ceil(limit))
        case Op.GT:
            return at_least(floor(limit) + 1)
        case Op.LTE:
            return at_most(floor(limit))
        case _:
            most = ceil(limit) - 1
            return at_most(most) if most >= 0 else NEGATIVE
