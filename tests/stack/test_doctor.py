"""`sloburn doctor` against the real stack: a healthy one, and one of which a part is down."""

from __future__ import annotations

import json
from typing import Any

from collector.stack.lifecycle import Stack
from collector.stack.services import url

from tests.sdk.processes import run
from tests.stack.backends import Backends

_CLI = "import sys; from sloburn.cli import main; sys.exit(main(sys.argv[1:]))"


def examine(backends: Backends, wait_seconds: int) -> tuple[int, list[dict[str, Any]]]:
    """Run the doctor and return its exit status and what it found about the hops."""
    servers = {"jaeger": "jaeger", "prometheus": "prometheus", "loki": "loki", "processor": "sloburn"}
    hops = [part for flag, name in servers.items() for part in (f"--{flag}", url(backends.ports, name))]
    hops += ["--collector", url(backends.ports, "otelcol"), "--wait", str(wait_seconds)]
    done = run(_CLI, "doctor", "--json", "--endpoint", url(backends.ports, "otlp_http"), *hops)
    found = json.loads(done.stdout)["findings"]
    return done.status, [one for one in found if one["about"] == "hops"]


def test_all_is_well(stack: Stack, backends: Backends) -> None:
    """Span, metric and log line of the doctor are found behind the Collector, through every processor and queue."""
    status, found = examine(backends, 50)

    assert [one["level"] for one in found] == ["ok"] * 4, found
    assert status == 0


def test_the_hop_that_fails_is_named(stack: Stack, backends: Backends) -> None:
    """With Loki down, Loki is the one problem, and the Collector's queue to it is named."""
    stack.stop("loki")
    try:
        status, found = examine(backends, 20)
    finally:
        stack.start("loki")
    (problem,) = [one for one in found if one["level"] == "problem"]

    assert status == 1
    assert problem["text"].startswith("Loki (")
    assert "otlp_http/loki" in problem["advice"]
