"""Builders of small documents for the tests of the reader."""

from __future__ import annotations

from sloburn.errors import Problem, SpecError
from sloburn.slo.model import Slo
from sloburn.spec import parse_slos

INDICATOR = "{spans: {}, bad: {status: error}}"


def document(**fields: str) -> str:
    """Return a document with one SLO; a field is given as it is written in YAML."""
    defaults = {
        "name": "checkout-availability",
        "service": "checkout",
        "objective": "99.9",
        "period": "30d",
        "indicator": INDICATOR,
    }
    lines = [f"    {key}: {value}" for key, value in (defaults | fields).items()]
    return "\n".join(["version: sloburn/v1", "slos:", "  -", *lines, ""])


def read(**fields: str) -> Slo:
    """Read a document with one SLO."""
    (slo,) = parse_slos(document(**fields), "slos.yaml")
    return slo


def problems_of(text: str, file: str = "slos.yaml") -> tuple[Problem, ...]:
    """Return what is wrong with a document; nothing if it is right."""
    try:
        parse_slos(text, file)
    except SpecError as error:
        return error.problems
    return ()
