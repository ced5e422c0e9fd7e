"""What a doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: ``problem`` if telemetry does not arrive because of it, or arrives twice.
        about: What was looked at: settings, packages, instrumentation, network, round trip or hops.
        text: What was found, in one sentence.
        advice: What to do about it, empty when there is nothing to do.
    """

    level: Level
    about: str
    text: str
    advice: str = ""

    def document(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"level": self.level, "about": self.about, "text": self.text, "advice": self.advice}


def ok(about: str, text: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(level="ok", about=about, text=text)


def note(about: str, text: str, advice: str = "") -> Finding:
    """Return a finding that people should know of."""
    return Finding(level="note", about=about, text=text, advice=advice)


def problem(about: str, text: str, advice: str = "") -> Finding:
    """Return a finding that explains why nothing arrives."""
    return Finding(level="problem", about=about, text=text, advice=advice)
