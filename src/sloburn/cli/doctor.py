"""``sloburn doctor``: explain why telemetry does not arrive."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from sloburn.sdk.config import Arguments
from sloburn.sdk.doctor.examine import Examination, examine
from sloburn.sdk.doctor.finding import Finding
from sloburn.sdk.doctor.hops import Hops

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
    return Examination(
        arguments=Arguments(endpoint=given.endpoint, protocol=given.protocol),
        app=given.app or "",
        hops=Hops(
            prometheus=given.prometheus or "",
            jaeger=given.jaeger or "",
            loki=given.loki or "",
            processor=given.processor or "",
        ),
        timeout_seconds=given.timeout,
        wait_seconds=given.wait,
    )


def _lines(finding: Finding) -> str:
    first = f"{_MARKS[finding.level]} {finding.about}: {finding.text}"
    return f"{first}\n          → {finding.advice}" if finding.advice else first
