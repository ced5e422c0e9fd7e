"""Whole documents: every field of an SLO, its defaults and the form that DESIGN shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from sloburn.duration import DAY, MINUTE
from sloburn.slo.catalog import workbook_windows
from sloburn.slo.conditions import Match, Op, Source
from sloburn.slo.model import Alerting, Period, Slo, SpanIndicator
from sloburn.spec import parse_slos
from sloburn.spec.syntax import MAX_DEPTH
from tests.spec.documents import document, problems_of, read

MONTH = Period(length_ns=30 * DAY)


def test_smallest_document() -> None:
    """What is left out takes its default: the workbook's windows, five bad events, no groups."""
    (slo,) = parse_slos(document(), "slos.yaml")

    assert isinstance(slo.indicator, SpanIndicator)
    assert slo == Slo(
        name="checkout-availability",
        service="checkout",
        objective=Fraction(999, 1000),
        period=MONTH,
        indicator=SpanIndicator(
            where=slo.indicator.where, bad=Match(source=Source.STATUS, op=Op.EQ, operands=("error",))
        ),
        alerting=Alerting(windows=workbook_windows(MONTH), min_bad_events=5, for_ns=0),
    )


def test_every_field() -> None:
    """Each optional field reaches the model."""
    slo = read(
        description="Customers can pay.",
        runbook="https://runbooks.example/checkout",
        group_by="[http.route, region]",
        alerting="{min_bad_events: 0, for: 1m}",
    )

    assert slo.description == "Customers can pay."
    assert slo.runbook == "https://runbooks.example/checkout"
    assert slo.group_by == ("http.route", "region")
    assert slo.alerting == Alerting(windows=workbook_windows(MONTH), min_bad_events=0, for_ns=MINUTE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("99.9", Fraction(999, 1000)),
        ("99.9%", Fraction(999, 1000)),
        ("99.9 %", Fraction(999, 1000)),
        ('"99.9"', Fraction(999, 1000)),
        ("95", Fraction(95, 100)),
        ("99.999999999999", 1 - Fraction(1, 10**14)),
        ("0.5%", Fraction(5, 1000)),
        ("1", Fraction(1, 100)),
    ],
)
def test_objectives(text: str, expected: Fraction) -> None:
    """An objective is a percentage, with or without its sign, and exact."""
    assert read(objective=text).objective == expected


def test_windows_follow_the_period() -> None:
    """At 28 days the workbook's factors are 13.44, 5.6, 2.8 and 0.933...: budget share x period / long window."""
    factors = [window.factor for window in read(period="28d").alerting.windows]

    assert factors == [Fraction(1344, 100), Fraction(56, 10), Fraction(28, 10), Fraction(14, 15)]


def test_factors_that_cannot_be_reached_are_lowered() -> None:
    """At 90 % nothing burns faster than 10: the first window gets 9 instead of 14.4, and a note can say so."""
    slo = read(objective="90")

    assert [window.factor for window in slo.alerting.windows] == [9, 6, 3, 1]
    assert len(slo.alerting.notes) == 1


def test_nesting_is_bounded() -> None:
    """A document nested beyond reason is refused, not recursed into."""
    (problem,) = problems_of("[" * 10_000)

    assert problem.message == f"nested more than {MAX_DEPTH} levels deep"


@pytest.mark.parametrize(
    ("text", "line"),
    [("version: sloburn/v1\nslos: [", 2), ("version: sloburn/v1\nslos:\n\t- a", 3), ("a: 1\nb: \x00", 2)],
)
def test_broken_yaml(text: str, line: int) -> None:
    """What is no YAML is refused with the parser's own words and a line near the damage."""
    (problem,) = problems_of(text)

    assert problem.message.startswith("this is no valid YAML: ")
    assert abs(problem.line - line) <= 1


def test_syntax_is_read_alike_without_the_c_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PyYAML that was built without libyaml reads the same SLO."""
    fast = read()
    monkeypatch.setattr("sloburn.spec.syntax._Loader", yaml.SafeLoader)

    assert read() == fast


def test_the_form_that_the_design_shows() -> None:
    """The sketch of a document, the common case, is read as it stands."""
    slos = parse_slos((Path(__file__).parent / "checkout.yaml").read_text(), "checkout.yaml")

    assert [slo.name for slo in slos] == ["checkout-availability", "checkout-latency"]
