"""What `sloburn doctor` says, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.sdk.processes import run

CLI = "import sys; from sloburn.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the doctor said."""

    status: int
    findings: list[dict[str, str]]

    def texts(self, about: str, level: str = "problem") -> list[str]:
        """Return the sentences about something."""
        return [one["text"] for one in self.findings if (one["about"], one["level"]) == (about, level)]

    def advice(self, about: str) -> str:
        """Return all advice about something."""
        return " ".join(one["advice"] for one in self.findings if one["about"] == about)


def doctor(*arguments: str, extra: Mapping[str, str] | None = None) -> Diagnosis:
    """Run it, and return its exit status and what it found."""
    done = run(CLI, "doctor", "--json", "--timeout", "30", *arguments, extra=extra)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    assert document["problems"] == sum(one["level"] == "problem" for one in document["findings"])
    return Diagnosis(status=done.status, findings=document["findings"])
