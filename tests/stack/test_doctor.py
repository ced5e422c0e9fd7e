"""`sloburn doctor` against the real stack: a healthy one, and one of which a part is down."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from collector.stack.lifecycle import Stack

from tests.sdk.processes import environment

_PATIENCE_SECONDS = 400


def examine(stack: Stack, wait_seconds: int) -> tuple[int, list[dict[str, Any]]]:
    """Run the doctor, which finds the stack by its record; return its exit status and what it found about the hops."""
    command = [sys.executable, "-m", "sloburn.cli", "doctor", "--json", "--stack", str(stack.data)]
    command += ["--wait", str(wait_seconds), "--timeout", "30"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
    )
    found = json.loads(done.stdout)["findings"]
    return done.returncode, [one for one in found if one["about"] == "hops"]


def test_all_is_well(stack: Stack) -> None:
    """Span, metric and log line of the doctor are found behind the Collector, through every processor and queue."""
    status, found = examine(stack, 150)

    assert [one["level"] for one in found] == ["ok"] * 5, found
    assert status == 0


@pytest.mark.parametrize(
    ("name", "shown"), [("loki", "Loki"), ("prometheus", "Prometheus"), ("alertmanager", "Alertmanager")]
)
def test_the_server_that_is_down_is_named(stack: Stack, name: str, shown: str) -> None:
    """With one server down, that one is the problem, and that it has to be started is the advice."""
    stack.stop(name)
    try:
        status, found = examine(stack, 150)
    finally:
        stack.start(name)
    (problem,) = [one for one in found if one["level"] == "problem"]

    assert status == 1
    assert problem["text"].startswith(f"{shown} (")
    assert problem["text"].endswith(") does not answer: Connection refused")
    assert problem["advice"].startswith("start it")


def test_nobody_is_asked_behind_a_collector_that_is_down(stack: Stack) -> None:
    """With the Collector down there is nothing to look for behind it."""
    stack.stop("otelcol")
    try:
        status, found = examine(stack, 150)
    finally:
        stack.start("otelcol")

    assert status == 1
    assert [one["level"] for one in found] == ["note"]
