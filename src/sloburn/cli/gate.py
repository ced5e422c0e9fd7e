"""``sloburn gate``: may this deploy go on? Exit status 0 open, 1 closed, 2 wrong call, 3 cannot tell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from sloburn.cli.table import aligned
from sloburn.duration import format_duration, parse_duration
from sloburn.outputs.wording import NOTHING, burn_text, percent_text
from sloburn.server.gate import CannotTell, Limit, Standing, Terms, Verdict, ask_processor, ask_prometheus, judge

DEFAULT_PROCESSOR = "http://127.0.0.1:4321"
CLOSED, WRONG_CALL, CANNOT_TELL = 1, 2, 3


def run(given: argparse.Namespace) -> int:
    """Ask, judge, print; return the exit status."""
    try:
        terms = _terms(given)
    except ValueError as error:
        return _fail(str(error), WRONG_CALL)
    try:
        found = _ask(given)
        verdicts = judge(found, terms)
    except CannotTell as error:
        return _fail(f"cannot tell: {error}", CANNOT_TELL)
    print(_json(verdicts) if given.json else _text(verdicts, terms))
    return CLOSED if any(verdict.reasons for verdict in verdicts) else 0


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def _ask(given: argparse.Namespace) -> tuple[Standing, ...]:
    if given.prometheus:
        return ask_prometheus(given.prometheus, given.timeout)
    return ask_processor(given.processor or DEFAULT_PROCESSOR, given.timeout)


def _terms(given: argparse.Namespace) -> Terms:
    terms = Terms(
        slos=tuple(given.slo),
        min_budget=None if given.min_budget is None else _share(given.min_budget),
        max_burn=tuple(_limit(text) for text in given.max_burn),
        no_data_fails=given.no_data == "fail",
    )
    return terms if terms.min_budget is not None or terms.max_burn else replace(terms, min_budget=Fraction(0))


def _share(text: str) -> Fraction:
    try:
        return _bare(Fraction(text.removesuffix("%").strip()) / 100 if text.endswith("%") else Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--min-budget: found {text!r}; expected a share of the budget like 10%") from None


def _bare(share: Fraction) -> Fraction:
    if not 0 <= share <= 1:  # is 10 meant to be 10 %, or ten times the budget?
        raise ValueError(share)
    return share


def _limit(text: str) -> Limit:
    burn, _, window = text.partition("@")
    try:
        return Limit(burn=Fraction(burn), window_ns=parse_duration(window))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--max-burn: found {text!r}; expected BURN@WINDOW like 6@1h") from None


def _text(verdicts: Sequence[Verdict], terms: Terms) -> str:
    burns = [f"BURN {format_duration(limit.window_ns)}" for limit in terms.max_burn]
    rows = [("SLO", "GROUP", "STATE", "BUDGET LEFT", *burns, "GATE", "WHY")]
    for verdict in verdicts:
        standing = verdict.standing
        budget = percent_text(standing.budget)
        rows.append(
            (
                standing.slo,
                standing.group,
                standing.state,
                f"{budget} %" if budget != NOTHING else NOTHING,
                *(burn_text(standing.burns.get(limit.window_ns)) for limit in terms.max_burn),
                "closed" if verdict.reasons else "open",
                "; ".join(verdict.reasons),
            )
        )
    closed = sum(bool(verdict.reasons) for verdict in verdicts)
    answer = f"The gate is closed: {closed} of {len(verdicts)} say no." if closed else "The gate is open."
    return f"{aligned(rows, numbers=frozenset(range(3, 4 + len(burns))))}\n\n{answer}"


def _json(verdicts: Sequence[Verdict]) -> str:
    document = {
        "open": not any(verdict.reasons for verdict in verdicts),
        "slos": [
            {
                "slo": verdict.standing.slo,
                "group": verdict.standing.group,
                "state": verdict.standing.state,
                "budget_remaining": None if verdict.standing.budget is None else float(verdict.standing.budget),
                "burns": {format_duration(ns): float(burn) for ns, burn in sorted(verdict.standing.burns.items())},
                "open": not verdict.reasons,
                "reasons": list(verdict.reasons),
            }
            for verdict in verdicts
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
