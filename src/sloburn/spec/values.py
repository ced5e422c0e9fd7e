"""Readers of single values: text, numbers, names, durations, the objective."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

from sloburn.duration import SECOND, parse_duration
from sloburn.slo.conditions import Scalar
from sloburn.spec.cursor import Cursor, did_you_mean, listed

LONGEST_NAME = 63  # a Kubernetes name and a DNS label end there too

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_PERCENT = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)( ?%)?", re.ASCII)
_DECIMAL = re.compile(r"\d{1,18}(\.\d{1,18})?", re.ASCII)
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d{0,18})", re.ASCII)
_DIGITS = re.compile(r"[-+]?\d+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d{1,3})?", re.ASCII)
_OTHER_YAML = {f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float")}
_HALF = Fraction(1, 2)


def read_scalar(at: Cursor) -> Scalar:
    """Read one value with the type that it is written in: ``500`` is an int, ``"500"`` is text.

    YAML 1.1 and 1.2 disagree on ``no``, ``010`` and ``1_000``; those are refused until they are quoted.
    """
    value = _scalar(at)
    if value is not None:
        return value
    if not at.is_scalar or at.is_null:
        return at.expected("text, a number, true or false", "")
    if _DIGITS.fullmatch(at.node.value) and not at.node.value.lstrip("+-").startswith("0"):
        return at.expected("a number of at most 64 bits", 0)
    message = f"found {at.found}, which YAML versions read differently"
    return at.refuse(f"{message}; expected true or false, a decimal number, or text in quotes", "")


def read_text(at: Cursor) -> str:
    """Read text that is not empty."""
    value = _scalar(at)
    if isinstance(value, str) and value.strip():
        return value
    unquoted = at.is_scalar and not at.is_null and not at.is_quoted
    return at.expected(f'text, in quotes: "{at.node.value}"' if unquoted else "text", "")


def read_name(at: Cursor) -> str:
    """Read the name of an SLO: it becomes a label, a file name and part of an address."""
    text = at.node.value if at.is_scalar else ""
    if _NAME.fullmatch(text) and len(text) <= LONGEST_NAME:
        return str(text)
    what = f"lower-case letters, digits and hyphens, at most {LONGEST_NAME}, with a letter or digit at both ends"
    return at.expected(what, "")


def read_choice(at: Cursor, choices: tuple[str, ...]) -> str:
    """Read one of some words."""
    text = str(at.node.value) if at.is_scalar else ""
    if text in choices:
        return text
    return at.refuse(f"found {at.found}{did_you_mean(text, choices)}; expected {listed(choices)}", choices[0])


def read_integer(at: Cursor) -> int:
    """Read a whole number that is not negative."""
    value = _scalar(at)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return at.expected("a whole number, 0 or more", 0)


def read_number(at: Cursor) -> int | float:
    """Read a number."""
    value = _scalar(at)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return at.expected("a number", 0)


def read_limit(at: Cursor) -> tuple[Fraction, bool]:
    """Read the threshold of a metric, exactly.

    Returns:
        Seconds and True for a duration; a bare number as it is, and False.
    """
    text = at.node.value if at.is_scalar else ""
    number = Fraction(text) if _DECIMAL.fullmatch(text) else Fraction(0)
    if number > 0:
        return number, False
    try:
        return Fraction(parse_duration(text), SECOND), True
    except ValueError:
        return at.expected("a duration such as 300ms, or a number above zero", (Fraction(1), True))


def read_boolean(at: Cursor) -> bool:
    """Read ``true`` or ``false``."""
    value = _scalar(at)
    return value if isinstance(value, bool) else at.expected("true or false", stand_in=False)


def read_duration(at: Cursor) -> int:
    """Read a duration; return nanoseconds."""
    return _duration(at) or 1


def read_objective(at: Cursor) -> Fraction:
    """Read the objective, a percentage such as ``99.9`` or ``99.9%``; return the exact ratio."""
    parts = _PERCENT.fullmatch(at.node.value) if at.is_scalar else None
    if parts is None:
        return at.expected("a percentage above 0 and below 100, such as 99.9", _HALF)
    percent = Fraction(parts[1])
    if percent == 100:
        message = "an objective of 100 leaves no error budget, so nothing could ever burn; use for instance 99.99"
        return at.refuse(message, _HALF)
    if not 0 < percent < 100:
        return at.expected("a percentage above 0 and below 100, such as 99.9", _HALF)
    if percent < 1 and parts[2] is None:
        return at.refuse(_looks_like_a_ratio(parts[1]), _HALF)
    return percent / 100


def read_share(at: Cursor) -> Fraction:
    """Read a share of something, a percentage above 0 and at most 100; return the exact ratio."""
    parts = _PERCENT.fullmatch(at.node.value) if at.is_scalar else None
    percent = Fraction(parts[1]) if parts else Fraction(0)
    return percent / 100 if 0 < percent <= 100 else at.expected("a percentage above 0, such as 2%", Fraction(1))


def read_factor(at: Cursor) -> Fraction:
    """Read a factor above zero, exactly."""
    text = at.node.value if at.is_scalar else ""
    factor = Fraction(text) if _DECIMAL.fullmatch(text) else Fraction(0)
    return factor if factor > 0 else at.expected("a number above 0, such as 14.4", Fraction(1))


def _looks_like_a_ratio(text: str) -> str:
    meant = f"{(Decimal(text) * 100).normalize():f}"
    return f"found {text}, which looks like a ratio; expected a percentage: write {meant}, or {text}% if that is meant"


def _duration(at: Cursor) -> int | None:
    if not at.is_scalar or at.is_null:
        return at.expected("a duration such as 30d, 1h30m or 300ms", None)
    try:
        return parse_duration(at.node.value)
    except ValueError as error:
        return at.refuse(str(error), None)


def _scalar(at: Cursor) -> Scalar | None:
    """Return a value with the type that it is written in; None where it has none that all YAML versions agree on."""
    if not at.is_scalar or at.is_null:
        return None
    text: str = at.node.value
    if at.is_quoted:
        return text
    if text in ("true", "false"):
        return text == "true"
    if _DIGITS.fullmatch(text) or _FLOAT.fullmatch(text):
        return _number(text)
    return None if at.node.tag in _OTHER_YAML else text


def _number(text: str) -> int | float | None:
    if _FLOAT.fullmatch(text):
        return float(text) if math.isfinite(float(text)) else None
    # OTLP integers have 64 bits (opentelemetry-proto, AnyValue.int_value): anything else never matches.
    plain = _INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63
    return int(text) if plain else None
