"""Regular expressions of Python's, as the engine reads them, for RE2, as Prometheus and the Collector do.

Both read most of them alike. What RE2 writes in another way is translated, classes beyond ASCII among it; what it
cannot say is refused. Four differences are left: ``\\b`` keeps to ASCII letters, ``.`` in Prometheus matches the end of
a line, ``$`` in Python also holds before a line feed that ends the text, and ``(?i)`` in Python takes the Turkish
letters \u0130 and \u0131 for an i. Sources: the syntax pages of Python's module ``re`` and of Go's package
``regexp/syntax``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sloburn.rules.refusals import CannotCompile

_MOST_REPEATS = 1000  # RE2's own limit

# What Python's classes hold beside ASCII: RE2's hold nothing there.
_CLASSES = {"d": r"\p{Nd}", "w": r"\p{L}\p{N}_", "s": r"\t-\r\x1c-\x20\x{85}\p{Z}"}
_CODE_POINT = r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
_ESCAPE = re.compile(rf"{_CODE_POINT}|\\.", re.DOTALL)
_FLAGS_OF_BOTH = frozenset("imsu-")

# The parts of a pattern; every other character means the same in both languages.
_PART = re.compile(
    rf"""
      (?P<escape> {_CODE_POINT} | \\. )
    | (?P<set> \[\^?\]? (?: \\. | [^\]\\] )* \] )
    | (?P<group> \(\? (?: P<\w+> | [a-zA-Z]*(?:-[a-z]+)?[:)] | [^:)]{{1,2}} ) )
    | (?P<repeat> (?: [*+?] | \{{(?:\d+(?:,\d*)?|,\d*)\}} ) [+?]? )
    | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_MEMBER = re.compile(rf"{_ESCAPE.pattern}|\[", re.DOTALL)


def to_re2(pattern: str) -> str:
    """Write a regular expression, which Python reads, for RE2.

    Raises:
        CannotCompile: It has what RE2 lacks; the message names the pattern and the part.
    """

    def written(part: re.Match[str]) -> str:
        try:
            return _WRITERS[str(part.lastgroup)](part[0])
        except CannotCompile as error:
            raise CannotCompile(f"the pattern {pattern!r} {error}") from None

    found = _PART.sub(written, pattern)
    if most := _too_many_times(pattern):
        raise CannotCompile(
            f"the pattern {pattern!r} has {most}: "
            f"RE2 repeats at most {_MOST_REPEATS} times, a repeat in a repeat as often as both multiplied"
        )
    return found


def _too_many_times(pattern: str) -> str:
    """Return the first part with something in it that RE2 repeats too often, all repeats around it multiplied."""
    groups, last = [(0, 1)], (0, 1)  # of each open group, and of the last part: its begin, and its most repeats
    for part in _PART.finditer(pattern):
        start, most = part.start(), 1
        if part[0].startswith("(") and part[0][-1] != ")":
            groups.append((start, most))
            continue
        if part[0] == ")":
            start, most = groups.pop()
        elif part.lastgroup == "repeat":
            start, most = last[0], last[1] * _times(part[0])
        if most > _MOST_REPEATS:
            return pattern[start : part.end()]
        last = start, most
        groups[-1] = groups[-1][0], max(groups[-1][1], most)
    return ""


def _times(repeat: str) -> int:
    """Return how often RE2 writes a part down for a repeat: the most that it says, or the least where that is open."""
    least, _, most = repeat.strip("{}*+?").partition(",")
    return int(most or least or 1) or 1


def _escape(text: str) -> str:
    letter = text[1]
    if letter.lower() in _CLASSES:
        found = _CLASSES[letter.lower()]
        return f"[{found}]" if letter.islower() else f"[^{found}]"
    if letter == "Z":
        return r"\z"
    return _character(text)


def _character(text: str) -> str:
    """Write an escape that means one character, in a set or outside."""
    letter = text[1]
    if letter in "uU":
        return rf"\x{{{text[2:]}}}"
    if letter in "123456789":
        raise CannotCompile(f"has {text}: RE2 cannot refer back; a character's octal number may be written \\x41")
    if letter == "N":
        raise CannotCompile(r"names a character with \N{...}, which RE2 cannot: write it, or its number as \u00e9")
    return text if letter.isascii() else letter


def _set(text: str) -> str:
    return text[0] + _MEMBER.sub(lambda member: _member(member[0]), text[1:])


def _member(text: str) -> str:
    if text == "[":
        return r"\["
    letter = text[1]
    if letter in "DWS":
        raise CannotCompile(rf"has \{letter} inside [...], which has no counterpart in RE2 beyond ASCII")
    if letter == "b":
        return r"\x08"
    return _CLASSES.get(letter) or _character(text)


def _group(text: str) -> str:
    if text.startswith("(?P<"):
        return "(?:"  # nobody asks for its name, which may be one that RE2 does not read
    flags = text[2:-1]
    if text[-1] not in ":)" or not _FLAGS_OF_BOTH.issuperset(flags):
        raise CannotCompile(f"has {text!r}: RE2 neither looks around nor has conditions, comments or flags but i, m, s")
    kept = flags.replace("u", "")  # how Python reads patterns anyway
    return f"(?{kept}{text[-1]}" if kept or text[-1] == ":" else ""


def _repeat(text: str) -> str:
    if text[-1] == "+" and text != "+":
        raise CannotCompile(f"has {text}, which gives nothing back, and RE2 cannot")
    return text.replace("{,", "{0,")  # which RE2 takes for a text


_WRITERS: dict[str, Callable[[str], str]] = {
    "escape": _escape,
    "set": _set,
    "group": _group,
    "repeat": _repeat,
    "other": str,
}
