"""Readers of log severities: ``error`` means the whole range that OpenTelemetry gives the word, ``error2`` one number.

Source: OpenTelemetry logs data model, "Field: SeverityNumber" and "Displaying Severity".
"""

from __future__ import annotations

from collections.abc import Callable

from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Source
from sloburn.spec.cursor import Cursor, did_you_mean, listed
from sloburn.spec.matchers import NOTHING, ORDER, all_of

SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")

_EACH = 4  # numbers of a range: error is 17 to 20
_RANGES = {name: (_EACH * place + 1, _EACH * place + _EACH) for place, name in enumerate(SEVERITIES)}
_WORDS = {
    **_RANGES,
    **{f"{name}{step + 1}": (low + step, low + step) for name, (low, _) in _RANGES.items() for step in range(1, _EACH)},
}
_HIGHEST = _EACH * len(SEVERITIES)
_STAND_IN = _RANGES["error"]
_OPERATORS = ("eq", "not", "in", "not_in", *ORDER)


def read_severity(at: Cursor) -> Condition:
    """Read what a severity is compared with: a word, a number, a list of them, or operators."""
    if not at.is_mapping:
        return _read_one_of(at) if at.is_list else _between(*_read_range(at))
    if at.is_empty:
        return at.refuse(f"found an empty mapping; expected {listed(_OPERATORS)}", NOTHING)
    return all_of(tuple(_read_operator(name, operand) for name, operand in at.fields().items()))


def _read_operator(name: str, at: Cursor) -> Condition:
    if name in ORDER:
        return _read_order(ORDER[name], at)
    if name in _EQUALITY:
        return _EQUALITY[name](at)
    question = did_you_mean(name, _OPERATORS)
    return at.refuse(f"unknown operator{question}; expected {listed(_OPERATORS)}", NOTHING)


def _read_order(op: Op, at: Cursor) -> Condition:
    low, high = _read_range(at)
    # Above `error` is above all of its numbers; at least `error` begins with the first.
    return _match(op, low if op in (Op.GTE, Op.LT) else high)


def _read_one_of(at: Cursor) -> Condition:
    if at.is_list and at.is_empty:
        return at.refuse("found an empty list, which nothing is in; expected at least one severity", NOTHING)
    parts = tuple(_between(*_read_range(item)) for item in at.items())
    return parts[0] if len(parts) == 1 else AnyOf(parts)


_EQUALITY: dict[str, Callable[[Cursor], Condition]] = {
    "eq": lambda at: _between(*_read_range(at)),
    "not": lambda at: Not(read_severity(at)),
    "in": _read_one_of,
    "not_in": lambda at: Not(_read_one_of(at)),
}


def _read_range(at: Cursor) -> tuple[int, int]:
    """Return the lowest and the highest number of a severity."""
    text = str(at.node.value).lower() if at.is_scalar else ""
    if text in _WORDS:
        return _WORDS[text]
    if text.isdecimal() and text.isascii() and not at.is_quoted and 1 <= int(text[:9]) <= _HIGHEST:
        return int(text), int(text)
    question = did_you_mean(text, SEVERITIES) if text else ""
    expected = f"{listed(SEVERITIES)}, or a number from 1 to {_HIGHEST}"
    return at.refuse(f"found {at.found}{question}; expected {expected}", _STAND_IN)


def _between(low: int, high: int) -> Condition:
    return _match(Op.EQ, low) if low == high else AllOf((_match(Op.GTE, low), _match(Op.LTE, high)))


def _match(op: Op, number: int) -> Match:
    return Match(source=Source.SEVERITY, op=op, operands=(number,))
