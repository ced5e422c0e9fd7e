"""What the demo prints: aligned lines of at most 100 columns, in colour only where a person looks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from examples.shop.demo.interrupt import Interrupted
from sloburn.clock import monotonic

COLUMNS = 100
LABEL_COLUMNS = 10
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the summary.

    Args:
        name: What should happen.
        seen: Whether it did; None if the story never came so far.
        detail: The figures.
    """

    name: str
    seen: bool | None = None
    detail: str = ""


def wants_color(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether colour is welcome: a terminal, and no `NO_COLOR` (https://no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Terminal:
    """Prints the story, each line with the seconds since the start.

    Args:
        stream: Where to.
        color: Whether to use ANSI colours.
    """

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._stream = stream
        self._color = color
        self._started = monotonic()
        self._label = ""

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the story began."""
        return monotonic() - self._started

    def title(self, text: str) -> None:
        """Print the first line."""
        self._print(f"\n{self._paint(text, 'bold')}\n")

    def fact(self, label: str, text: str) -> None:
        """Print something that is true all the time, without a time of its own."""
        self._lines(f"{'':11}", label, text, "cyan")

    def say(self, label: str, text: str, color: str = "cyan", *, hang: int = 0) -> None:
        """Print what happens now.

        Args:
            label: What kind of news; printed once, however many lines follow under it.
            text: The news.
            color: Of the label.
            hang: How many columns further right a long text goes on.
        """
        shown = "" if label == self._label else label
        if shown and self._label:
            self._print("")
        self._label = label
        self._lines(f"{self.elapsed_seconds:7.1f} s  ", shown, text, color, hang)

    def summary(self, steps: list[Step]) -> None:
        """Print every step and whether it was observed."""
        self._print(f"\n{self._paint('What was observed', 'bold')}\n")
        width = max(len(step.name) for step in steps)
        for step in steps:
            mark, color = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}[step.seen]
            first, *rest = _wrap(step.detail, COLUMNS - width - 6) or [""]
            self._print(f"  {self._paint(mark, color)} {step.name:<{width}}  {first}".rstrip())
            for line in rest:
                self._print(f"{'':{width + 6}}{line}")
        self._print("")

    def plain(self, text: str) -> None:
        """Print a line as it is."""
        self._print(text)

    def _lines(self, margin: str, label: str, text: str, color: str, hang: int = 0) -> None:
        indent = len(margin) + LABEL_COLUMNS
        first, *rest = _wrap(text, COLUMNS - indent, hang)
        self._print(f"{self._paint(margin, 'dim')}{self._paint(f'{label:<{LABEL_COLUMNS}}', color)}{first}")
        for line in rest:
            self._print(f"{'':{indent}}{line}")

    def _paint(self, text: str, color: str) -> str:
        return f"\033[{CODES[color]}m{text}\033[0m" if self._color else text

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except OSError:  # a closed pipe, a terminal that is gone: nobody is left to tell the story to
            raise Interrupted from None


def _wrap(text: str, columns: int, hang: int = 0) -> list[str]:
    return textwrap.wrap(text, columns, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False)
