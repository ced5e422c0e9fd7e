"""``sloburn doctor``: explain why telemetry does not arrive."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from sloburn.sdk.config import Arguments
from sloburn.sdk.doctor.finding import Finding
from sloburn.sdk.environment import process_environment, without_misspelt

# A misspelt variable, over which OpenTelemetry raises while it is imported, is something to report.
with without_misspelt():
    from sloburn.sdk.doctor.examine import Examination, examine
    from sloburn.sdk.doctor.hops import Hops
    from sloburn.sdk.doctor.stack import StackPlaces, find_stack

_MARKS = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}


def run(given: argparse.Namespace) -> int:
    """Print what is found; 1 when something is in the way.

    Raises:
        ConfigError: The application cannot be imported, or an address is none.
    """
    findings, out = [], sys.stdout
    # What an application prints when it is imported is not part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        for finding in examine(_examination(given)):
            findings.append(finding)
            if not given.json:
                print(_lines(finding), file=out, flush=True)
    problems = [finding for finding in findings if finding.level == "problem"]
    if given.json:
        print(
            json.dumps({"problems": len(problems), "findings": [finding.document() for finding in findings]}, indent=2)
        )
    elif problems:
        print(f"\n{len(problems)} problem{'s' if len(problems) != 1 else ''}; the first: {problems[0].text}")
    else:
        print("\nall is well: spans, metrics and logs arrive")
    return int(bool(problems))


def _examination(given: argparse.Namespace) -> Examination:
    environ = process_environment()
    stack = None if given.stack is None else find_stack(given.stack, Path.cwd(), environ)
    return Examination(
        arguments=Arguments(endpoint=given.endpoint or _endpoint(given, stack, environ), protocol=given.protocol),
        app=given.app or "",
        hops=_hops(given, stack.hops if stack else Hops()),
        timeout_seconds=given.timeout,
        wait_seconds=given.wait,
    )


def _endpoint(given: argparse.Namespace, stack: StackPlaces | None, environ: Mapping[str, str]) -> str | None:
    """Return the address of the stack's Collector, unless the environment has another that is to be examined."""
    if stack is None or any(key.startswith("OTEL_EXPORTER_OTLP_") and key.endswith("ENDPOINT") for key in environ):
        return None
    return stack.endpoints[given.protocol or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"]


def _hops(given: argparse.Namespace, usual: Hops) -> Hops:
    return Hops(
        prometheus=given.prometheus or usual.prometheus,
        jaeger=given.jaeger or usual.jaeger,
        loki=given.loki or usual.loki,
        processor=given.processor or usual.processor,
        alertmanager=given.alertmanager or usual.alertmanager,
        collector=given.collector or usual.collector,
    )


def _lines(finding: Finding) -> str:
    first = f"{_MARKS[finding.level]} {finding.about}: {finding.text}"
    return f"{first}\n          → {finding.advice}" if finding.advice else first
