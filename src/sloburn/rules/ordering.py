"""Order by regular expression: labels are text, so ``>= 500`` becomes a pattern of whole numbers that are large enough.

Patterns are for RE2, matched against the whole label: ``at_least(500)`` is ``[5-9][0-9]{2}|[1-9][0-9]{3,}``.
"""

from __future__ import annotations

NEGATIVE = "-[1-9][0-9]*"


def at_least(least: int) -> str:
    """Return a pattern of the whole numbers from `least` up; `least` is 0 or more."""
    if least == 0:
        return "0|[1-9][0-9]*"
    digits = len(str(least))
    same = _beyond(str(least - 1), larger=True) if len(str(least - 1)) == digits else [_digits("[1-9]", digits - 1)]
    return "|".join((*same, f"[1-9][0-9]{{{digits},}}"))


def at_most(most: int) -> str:
    """Return a pattern of the whole numbers up to `most`, negative ones too; `most` is 0 or more."""
    digits = len(str(most))
    shorter = [_digits("[1-9]", count) for count in range(digits - 1)]
    same = _beyond(str(most + 1), larger=False) if len(str(most + 1)) == digits else [_digits("[1-9]", digits - 1)]
    return "|".join((NEGATIVE, "0", *shorter, *(same if most else ())))


def _beyond(digits: str, *, larger: bool) -> list[str]:
    """Return patterns of the numbers with as many digits that are larger, or smaller and not 0, than these."""
    patterns = []
    for place, digit in enumerate(digits):
        first, last = (int(digit) + 1, 9) if larger else (1 if place == 0 else 0, int(digit) - 1)
        if first <= last:
            span = str(first) if first == last else f"[{first}-{last}]"
            patterns.append(_digits(digits[:place] + span, len(digits) - place - 1))
    return patterns


def _digits(head: str, count: int) -> str:
    return head + ("" if count == 0 else "[0-9]" if count == 1 else f"[0-9]{{{count}}}")
