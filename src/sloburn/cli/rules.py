"""``sloburn rules``: SLO documents to Prometheus rules."""

from __future__ import annotations

import argparse
from pathlib import Path

from sloburn.cli.output import may_write, write_output
from sloburn.duration import parse_duration
from sloburn.errors import CallError
from sloburn.rules import Compiled, Settings, compile_slos, operator_text, prometheus_text
from sloburn.rules.sources import CollectorSource, SloburnSource
from sloburn.rules.span_metrics import OURS, read_span_metrics
from sloburn.rules.steps import Pace
from sloburn.spec import load_slos

OPERATOR = "prometheus-operator"


def run(given: argparse.Namespace) -> int:
    """Compile, and write the rules to a file or to standard output.

    Returns:
        1 where an SLO was refused, unless `--partial` asks for the others.

    Raises:
        ConfigError: A flag is wrong, or the file cannot be written.
        SpecError: An SLO document is wrong.
    """
    settings = _settings(given)
    compiled = compile_slos(load_slos([Path(path) for path in given.paths]), settings)
    if not may_write(compiled.refused, compiled.notes, is_partial=given.partial):
        return 1
    write_output(given.output, _text(compiled, given))
    return 0


def _settings(given: argparse.Namespace) -> Settings:
    pace = Pace(step_ns=_duration("--interval", given.interval), settle_ns=_settle(given.settle))
    if given.source == "sloburn":
        return Settings(source=SloburnSource(), pace=pace)
    spans = read_span_metrics(Path(given.collector)) if given.collector else OURS
    metrics = dict(_renamed(text) for text in given.metric)
    return Settings(source=CollectorSource(spans=spans, metrics=metrics, job=given.job_label), pace=pace)


def _settle(text: str) -> int:
    return 0 if text in ("0", "0s") else _duration("--settle", text)


def _duration(flag: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CallError(f"{flag}: {error}") from None


def _renamed(text: str) -> tuple[str, str]:
    instrument, equals, name = text.partition("=")
    if not (instrument and equals and name):
        raise CallError(f"--metric: found {text!r}; expected INSTRUMENT=NAME, such as app.jobs=app_jobs_total")
    return instrument, name


def _text(compiled: Compiled, given: argparse.Namespace) -> str:
    return operator_text(compiled) if given.format == OPERATOR else prometheus_text(compiled)
