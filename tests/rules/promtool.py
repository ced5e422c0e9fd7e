"""Prometheus' own tool: checks rule files, and evaluates rules over a synthetic history."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sloburn.duration import SECOND
from sloburn.rules import Compiled, Settings, compile_slos, prometheus_text
from sloburn.rules.sources import CollectorSource, SloburnSource
from sloburn.rules.steps import Pace
from sloburn.slo.model import Slo
from tests.debian import program

Labels = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Series:
    """A counter's values at every step from 0 on; None where there is no sample.

    Args:
        name: Of the metric.
        labels: Of the series.
        values: One for each step.
    """

    name: str
    labels: Labels
    values: Sequence[int | None]

    def written(self) -> dict[str, str]:
        """Return the series as promtool reads it."""
        values = " ".join("_" if value is None else str(value) for value in self.values)
        return {"series": f"{self.name}{_labels(self.labels)}", "values": values}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a query must answer.

    Args:
        at: Seconds from the begin of the history.
        query: The query.
        samples: Labels and value of every sample.
    """

    at: int
    query: str
    samples: Sequence[tuple[Labels, float]]

    def written(self) -> dict[str, Any]:
        """Return the expectation as promtool reads it."""
        samples = [{"labels": _labels(labels), "value": value} for labels, value in self.samples]
        return {"expr": self.query, "eval_time": f"{self.at}s", "exp_samples": samples}


def _labels(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def at_once(step_seconds: int = 30, source: CollectorSource | SloburnSource | None = None) -> Settings:
    """Return settings by which steps are read at their end: in a test, everything is there by then."""
    pace = Pace(step_ns=step_seconds * SECOND, settle_ns=0)
    return Settings(source=source or CollectorSource(), pace=pace)


def compiled(slos: Iterable[Slo], settings: Settings | None = None) -> Compiled:
    """Compile SLOs; none may be refused."""
    found = compile_slos(slos, settings or at_once())
    assert found.refused == ()
    return found


def check(text: str, folder: Path) -> str:
    """Let promtool check a rule file; return what it says."""
    file = folder / "rules.yml"
    file.write_text(text)
    return _run("check", "rules", str(file))


def run_history(
    rules: Compiled, step_seconds: int, series: Iterable[Series], expected: Iterable[Expected], folder: Path
) -> None:
    """Evaluate rules at every step of a history and hold what queries answer against what is expected."""
    (folder / "rules.yml").write_text(prometheus_text(rules))
    _test(step_seconds, series, expected, folder)


def run_queries(series: Iterable[Series], expected: Iterable[Expected], folder: Path) -> None:
    """Hold what queries answer about series against what is expected, without any rules."""
    (folder / "rules.yml").write_text("groups: []\n")
    _test(60, series, expected, folder)


def _test(step_seconds: int, series: Iterable[Series], expected: Iterable[Expected], folder: Path) -> None:
    test = {
        "interval": f"{step_seconds}s",
        "input_series": [one.written() for one in series],
        "promql_expr_test": [one.written() for one in expected],
    }
    document = {"rule_files": ["rules.yml"], "evaluation_interval": f"{step_seconds}s", "tests": [test]}
    (folder / "test.yml").write_text(yaml.safe_dump(document, width=1_000_000))
    _run("test", "rules", str(folder / "test.yml"))


def _run(*arguments: str) -> str:
    call = [program("promtool", "prometheus"), *arguments]
    run = subprocess.run(call, capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    return run.stdout
