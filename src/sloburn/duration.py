"""Durations as whole nanoseconds: read them from text and write them for people.

Text is a sequence of number and unit, largest unit first: ``30d``, ``1h30m``, ``300ms``, ``2.5s``. Units are
``w d h m s ms us ns``. A month or a year is no duration, because its length depends on the calendar.
"""

from __future__ import annotations

import re
from fractions import Fraction

NANOSECOND = 1
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

UNITS: dict[str, int] = {
    "w": WEEK,
    "d": DAY,
    "h": HOUR,
    "m": MINUTE,
    "s": SECOND,
    "ms": MILLISECOND,
    "us": MICROSECOND,
    "ns": NANOSECOND,
}

_PART = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)(ms|us|ns|w|d|h|m|s)", re.ASCII)


def parse_duration(text: str) -> int:
    """Read a duration such as ``30d``, ``1h30m`` or ``300ms``.

    Returns:
        Nanoseconds, above zero.

    Raises:
        ValueError: The text is no duration, is zero, is no whole number of nanoseconds, or its units are not in
            descending order.
    """
    expected = "expected a duration such as 30d, 1h30m or 300ms"
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration: {expected}")
    sizes = [UNITS[unit] for _, unit in parts]
    if sizes != sorted(set(sizes), reverse=True):
        raise ValueError(f"{text!r} names its units out of order: {expected}")
    total = sum((Fraction(number) * UNITS[unit] for number, unit in parts), Fraction(0))
    if total.denominator != 1 or total <= 0:
        raise ValueError(f"{text!r} is not a whole number of nanoseconds above zero: {expected}")
    return int(total)


def format_duration(nanoseconds: int) -> str:
    """Write a duration exactly, the way `parse_duration` reads it: ``1h30m``, ``51s840ms``."""
    if nanoseconds == 0:
        return "0s"
    sign, rest, parts = ("-" if nanoseconds < 0 else ""), abs(nanoseconds), []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size) if unit != "w" else (0, rest)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)


def humanize_duration(nanoseconds: int) -> str:
    """Write a duration as people say it, two units at most: ``2 d 1 h``, ``51.8 s``, ``5 s``, ``4 min 19 s``."""
    if nanoseconds < 0:
        return f"-{humanize_duration(-nanoseconds)}"
    for name, size, above in (("µs", MICROSECOND, MILLISECOND), ("ms", MILLISECOND, SECOND)):
        if round(nanoseconds / size) < above // size:
            return f"{round(nanoseconds / size)} {name}"
    if round(nanoseconds / SECOND, 1) < MINUTE // SECOND:
        return f"{round(nanoseconds / SECOND, 1):g} s"
    nanoseconds = max(nanoseconds, MINUTE)
    names = (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND))
    first = next(index for index, (_, size) in enumerate(names) if nanoseconds >= size)
    big, rest = divmod(nanoseconds, names[first][1])
    small = rest // names[first + 1][1]
    text = f"{big} {names[first][0]}"
    return f"{text} {small} {names[first + 1][0]}" if small else text
