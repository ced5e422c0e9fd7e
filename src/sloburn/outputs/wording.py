"""Numbers, times and durations as text for people.

Rounding never flatters: a share is cut, not rounded, so 99.996 % is never shown as 100.00 % and an SLI just below its
objective never looks like it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from math import floor

from sloburn.duration import MILLISECOND, SECOND, humanize_duration

MINUS = "\u2212"
NOTHING = "\u2013"
TIMES = "\u00d7"


def decimal_text(value: Fraction) -> str:
    """Write a ratio exactly: as a decimal where it ends, else as a fraction."""
    places = _decimals(value)
    if places is None:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def _decimals(value: Fraction) -> int | None:
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def objective_text(objective: Fraction) -> str:
    """Write an objective in percent, without the sign: ``99.9``."""
    return decimal_text(objective * 100)


def sli_digits(objective: Fraction) -> int:
    """Return how many decimals a percentage deserves beside this objective: one more than the objective has."""
    places = _decimals(objective * 100)
    return 2 if places is None else places + 1


def percent_text(value: Fraction | None, digits: int = 1) -> str:
    """Write a share in percent, without the sign, cut (not rounded) after so many decimals."""
    if value is None:
        return NOTHING
    steps = floor(value * 100 * 10**digits)
    if steps == 0 and value > 0:
        return f"<{10**-digits:.{digits}f}"
    whole, rest = divmod(abs(steps), 10**digits)
    text = f"{whole:,}.{rest:0{digits}d}" if digits else f"{whole:,}"
    return f"{MINUS}{text}" if steps < 0 else text


def burn_text(burn: Fraction | None) -> str:
    """Write a burn rate with three figures or so: 0.42, 14.4, 1,000, each with a times sign."""
    if burn is None:
        return NOTHING
    digits = 0 if burn >= 100 else 1 if burn >= 10 else 2
    return f"{float(burn):,.{digits}f}{TIMES}"


def factor_text(factor: Fraction) -> str:
    """Write a threshold without needless zeros: 14.4, 6, 0.933, each with a times sign."""
    return f"{float(factor):,.3f}".rstrip("0").rstrip(".") + TIMES


def count_text(count: int, one: str = "", many: str = "") -> str:
    """Write a whole number, with a noun if one is given: ``12,345 events``."""
    noun = one if count == 1 else many
    return f"{count:,} {noun}" if noun else f"{count:,}"


def clip(text: str, limit: int) -> str:
    """Cut text after `limit` characters, so that one hostile attribute cannot fill a page."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def clean(text: str) -> str:
    """Spell out what UTF-8 cannot carry, as ``\\ud83d``: JSON lets a sender smuggle in half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def window_text(length_ns: int) -> str:
    """Write the length of a window as people say it: ``1 h``, ``5 min``, ``30 s``."""
    return humanize_duration(length_ns).replace(".0 s", " s")


def moment(at_unix_nano: int) -> datetime:
    """Return nanoseconds since the epoch as a UTC date; what is finer than a microsecond is cut."""
    seconds, rest = divmod(at_unix_nano, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def iso_text(at_unix_nano: int) -> str:
    """Write a moment as ISO-8601 in UTC with milliseconds: ``2026-11-21T14:02:11.250Z``."""
    return f"{moment(at_unix_nano):%Y-%m-%dT%H:%M:%S}.{at_unix_nano // MILLISECOND % 1000:03d}Z"


def clock_text(at_unix_nano: int, now_unix_nano: int | None = None) -> str:
    """Write a moment as a time of day in UTC, with the date before it where that is not the day of `now`."""
    at = moment(at_unix_nano)
    if now_unix_nano is None or moment(now_unix_nano).date() == at.date():
        return f"{at:%H:%M:%S}"
    return f"{at.day} {at:%b %H:%M:%S}"
