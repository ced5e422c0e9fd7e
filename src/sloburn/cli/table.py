"""Tables for people: columns as wide as what is in them."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, numbers: frozenset[int] = frozenset()) -> str:
    """Return rows of cells as lines with aligned columns.

    Args:
        rows: The cells; the first row is the heading.
        numbers: Columns whose cells stand to the right.
    """
    rows = [[_visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _visible(text: str) -> str:
    """Put a mark in the place of what cannot be seen: attributes come from telemetry, and a terminal obeys escapes."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
