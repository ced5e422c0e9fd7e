"""Pieces of PromQL: matchers, selectors, durations; quoted so that no name or value can break out of its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sloburn.duration import MILLISECOND, format_duration

# What has a meaning in RE2; everything else stands for itself. Source: the syntax page of github.com/google/re2.
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")

# What YAML takes for the end of a line, or does not print.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class How(StrEnum):
    """How a label is compared."""

    EQUAL = "="
    UNEQUAL = "!="
    MATCHES = "=~"
    DIFFERS = "!~"


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """One comparison of a label; a label that is not there is empty text."""

    label: str
    how: How
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.how}{quote(self.value)}"


Matchers = tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """The series of one metric that all matchers hold for."""

    metric: str
    matchers: Matchers

    def __str__(self) -> str:
        inside = ",".join(str(matcher) for matcher in dict.fromkeys(self.matchers))
        return f"{self.metric}{{{inside}}}"


def quote(text: str) -> str:
    """Write text in double quotes, as PromQL, Go templates and YAML read it, on one line whoever counts lines."""
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def literal(text: str) -> str:
    """Write text as a regular expression that matches just this text."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def one_of(label: str, values: Iterable[str], *, negated: bool = False) -> Matcher:
    """Return the matcher of a label that has one of some values, or none of them."""
    known = tuple(dict.fromkeys(values))
    if len(known) == 1:
        return Matcher(label, How.UNEQUAL if negated else How.EQUAL, known[0])
    return Matcher(label, How.DIFFERS if negated else How.MATCHES, "|".join(literal(value) for value in known))


def duration(nanoseconds: int) -> str:
    """Write a duration as PromQL reads it; rounded up to a whole millisecond, its finest unit."""
    return format_duration(-(-nanoseconds // MILLISECOND) * MILLISECOND)


def union(parts: Iterable[str]) -> str:
    """Return the series of all parts; what two of them share counts once."""
    known = tuple(dict.fromkeys(parts))
    return known[0] if len(known) == 1 else "(" + "\n  or ".join(known) + ")"
