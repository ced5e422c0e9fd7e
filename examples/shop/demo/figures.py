"""What the story measured, act by act, for the summary and for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from examples.shop.demo.terminal import Step
from sloburn.duration import SECOND

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One number of the books: what customers saw, and what the processor counted."""

    name: str
    true: int
    counted: int

    def __str__(self) -> str:
        return f"{self.counted} {self.name}" + ("" if self.counted == self.true else f" (in truth {self.true})")


@dataclass(slots=True, kw_only=True)
class Figures:
    """Filled in as the story goes; None is what it never came to. Times are nanoseconds since the epoch."""

    scale: int
    page_url: str
    seconds_to_ready: float | None = None
    fault_unix_nano: int | None = None
    first_failure_unix_nano: int | None = None
    minimum_unix_nano: int | None = None
    fired_unix_nano: int | None = None
    seen_unix_nano: int | None = None
    seconds_to_page: float | None = None
    seconds_minimum: float | None = None
    seconds_added: float | None = None
    seconds_withheld: float | None = None
    exception: str | None = None
    trace_id: str | None = None
    mended_unix_nano: int | None = None
    resolved_unix_nano: int | None = None
    seconds_to_resolve: float | None = None
    budget_remaining: float | None = None
    books: list[Entry] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def known(value: Value | None) -> Value:
    """Return a figure that an earlier act has filled in."""
    if value is None:
        raise ValueError("this figure belongs to an act that has not been played")
    return value


def seconds(nanoseconds: int) -> float:
    """Return nanoseconds as seconds."""
    return nanoseconds / SECOND
