"""Patterns of Python's for RE2: the same texts match, or what has no counterpart is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sloburn.rules.promql import quote
from sloburn.rules.re2 import to_re2
from sloburn.rules.refusals import CannotCompile
from tests.rules.promtool import Expected, Series, run_queries

TRANSLATED = {
    r"/pay/\d+": r"/pay/[\p{Nd}]+",
    r"\u00fa\U00000041": r"\x{00fa}\x{00000041}",
    r"[\u0041-\u005a]": r"[\x{0041}-\x{005a}]",
    r"a{,3}b{,}?c{2,}d{4}": r"a{0,3}b{0,}?c{2,}d{4}",
    r"[a{,3}]": r"[a{,3}]",
    r"\{,3}": r"\{,3}",
    r"a{}+b{x}+": r"a{}+b{x}+",
    r"\++[+*]+\*+?": r"\++[+*]+\*+?",
    r"(?iu)a(?s-i:.)(?u:b)(?:c)": r"(?i)a(?s-i:.)(?:b)(?:c)",
    r"(?P<größe>a)": r"(?:a)",
    r"a\Z": r"a\z",
    r"[\b]\b": r"[\x08]\b",
    r"[[:alpha:]]": r"[\[:alpha:]]",
    r"\é": "é",
    r"[^]\s]\W": r"[^]\t-\r\x1c-\x20\x{85}\p{Z}][^\p{L}\p{N}_]",
    r"\\\\u0041": r"\\\\u0041",
    r"\\\u0041": r"\\\x{0041}",
}
REFUSED = {
    r"(?x) a b": "'(?x)'",
    r"(?a:\w)": "'(?a:'",
    r"(?=a)b": "'(?=a'",
    r"a(?!b)": "'(?!b'",
    r"(?<=a)b": "'(?<='",
    r"(a)(?(1)b|c)": "'(?(1'",
    r"(?P<n>a)(?P=n)": "'(?P='",
    r"(?#x)a": "'(?#x'",
    r"(a)\1": r"has \1: RE2 cannot refer back",
    r"[\1]": r"has \1: RE2 cannot refer back",
    r"\N{DASH}": r"\N{...}",
    r"[\D]": r"\D inside [...]",
    r"a{1001}": "has a{1001}: RE2 repeats at most 1000 times",
    r"x(?:[\w-]{1,63}\.){1,20}com": r"has (?:[\w-]{1,63}\.){1,20}: RE2",
    r"(\w{2,30}-){0,50}": r"has (\w{2,30}-){0,50}: RE2",
    "(?:a{40}){40}": "has (?:a{40}){40}: RE2",
    "(?:a{7}(?P<n>b|(?:c{11})*(?:d{11,}[)])?){13}){7}e": "){7}: RE2",
    "a++": "has ++, which gives nothing back",
    "a{2}+": "has {2}+, which gives nothing back",
    "(?>a)": "'(?>a'",
}
# At RE2's limit: what is repeated without end counts by its least.
REPEATED = (
    r"(?:[\w-]{1,63}\.){1,15}com",
    "(?:a{40}){25}",
    "(?:(?:a{1,10}){10,}?b+){,10}",
    "(?:a{500}|(?i:b{500})){2}c{1000}",
)
TEXTS = ("", "a", "aaa", "/pay/42", "/pay/٤٢", "úA", "b", "{,3}", "a{,3}", "é", "A\nB", "ABc", "+", "\\\\u0041", "\\A")


@pytest.mark.parametrize("pattern", TRANSLATED)
def test_translated(pattern: str) -> None:
    """What RE2 writes in another way is written in that way, and nothing else is touched."""
    assert to_re2(pattern) == TRANSLATED[pattern]


@pytest.mark.parametrize("pattern", REFUSED)
def test_refused(pattern: str) -> None:
    """What RE2 cannot say is refused by the pattern and the part of it."""
    with pytest.raises(CannotCompile) as refusal:
        to_re2(pattern)

    assert str(refusal.value).startswith(f"the pattern {pattern!r} ")
    assert REFUSED[pattern] in str(refusal.value)


def test_prometheus_finds_what_python_does(tmp_path: Path) -> None:
    """For every pattern that is translated, Prometheus itself finds the texts that Python finds."""
    series = [Series(name="seen", labels={"text": text}, values=[1]) for text in TEXTS]
    expected = [
        Expected(at=0, query=f"count(seen{{text=~{quote(to_re2(pattern))}}}) or vector(0)", samples=[({}, found)])
        for pattern in (*TRANSLATED, *REPEATED)
        if "[[" not in pattern  # Python warns of it
        for found in [sum(re.fullmatch(pattern, text) is not None for text in TEXTS)]
    ]

    assert len({one.samples[0][1] for one in expected}) > 2
    run_queries(series, expected, tmp_path)
