"""Conditions as the Collector's tail sampling reads them: one text in OTTL that holds for the same spans.

A span's own attribute hides its resource's, as in the classifier; a missing one equals nothing and is above nothing, in
both languages. Durations are differences of whole nanoseconds, so a threshold is met to the nanosecond.
"""

from __future__ import annotations

import json
from decimal import Decimal

from sloburn.rules.re2 import to_re2
from sloburn.rules.refusals import CannotCompile
from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Scalar, Source

_DURATION = "(span.end_time_unix_nano - span.start_time_unix_nano)"
_ORDER = {Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}
_PATHS = {Source.NAME: "span.name", Source.KIND: "span.kind", Source.STATUS: "span.status.code"}
_ENUMS = {Source.KIND: "SPAN_KIND", Source.STATUS: "STATUS_CODE"}


def ottl(condition: Condition) -> str:
    """Write a condition on spans.

    Raises:
        CannotCompile: OTTL has no counterpart.
    """
    match condition:
        case Match():
            return _comparison(condition)
        case Not(part):
            return f"not {_enclosed(ottl(part))}"
        case AllOf(parts):
            return _joined(" and ", parts) or "true"
        case AnyOf(parts):
            return _joined(" or ", parts) or "false"


def attribute(key: str, value: str, *, of: str = "resource") -> str:
    """Write that an attribute is a text.

    Args:
        key: Its name.
        value: The text.
        of: What has it: ``resource`` or ``span``.
    """
    return f"{of}.attributes[{_quoted(key)}] == {_quoted(value)}"


def _joined(word: str, parts: tuple[Condition, ...]) -> str:
    return word.join(_enclosed(ottl(part)) for part in parts)


def _enclosed(text: str) -> str:
    return f"({text})"


def _comparison(match: Match) -> str:
    if match.source is Source.DURATION:
        return f"{_DURATION} {_ORDER[match.op]} {_literal(match.operands[0])}"
    if match.source is not Source.ATTRIBUTE:
        return _test(_PATHS[match.source], match)
    own, inherited = (f"{place}.attributes[{_quoted(match.key)}]" for place in ("span", "resource"))
    return f"{_test(own, match)} or ({own} == nil and ({_test(inherited, match)}))"


def _test(path: str, match: Match) -> str:
    match match.op:
        case Op.EXISTS:
            return f"{path} != nil"
        case Op.REGEX:
            pattern = rf"\A(?:{to_re2(str(match.operands[0]))})\z"
            return f"(IsString({path}) and IsMatch({path}, {_quoted(pattern)}))"
        case Op.EQ | Op.IN:
            return " or ".join(f"{path} == {_operand(match, operand)}" for operand in match.operands)
        case order:
            return f"{path} {_ORDER[order]} {_operand(match, match.operands[0])}"


def _operand(match: Match, operand: Scalar) -> str:
    prefix = _ENUMS.get(match.source)
    return f"{prefix}_{str(operand).upper()}" if prefix else _literal(operand)


def _literal(operand: Scalar) -> str:
    if isinstance(operand, str):
        return _quoted(operand)
    if isinstance(operand, bool):
        return str(operand).lower()
    if isinstance(operand, int):
        if not -(2**63) < operand < 2**63:
            raise CannotCompile(f"{operand} is compared with; OTTL compares whole numbers of 64 bits")
        return str(operand)
    return _float(operand)


def _float(number: float) -> str:
    text = f"{Decimal(repr(number)):f}"  # OTTL knows no exponent without a point
    return text if "." in text else f"{text}.0"


def _quoted(text: str) -> str:
    """Write a text as OTTL's strings are: those of Go, whose escapes JSON shares but for surrogates."""
    return json.dumps(text, ensure_ascii=False)
