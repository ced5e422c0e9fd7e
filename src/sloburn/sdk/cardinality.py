"""Keep labels bounded: a label that takes a new value for every customer must not cost the service its memory.

Two bounds, because many labels with few values multiply: values for each label, and sets of values for each metric.
What is over a bound is counted under `OVERFLOW`; nothing that was measured is lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import Enum

OVERFLOW = "__overflow__"
Label = str | bool | int | float | Enum | None

MOST_VALUES = 100
MOST_SERIES = 1000
_LONGEST_VALUE = 200


class LabelBounds:
    """Knows which values the labels of one metric have had.

    Args:
        most_values: Different values that one label may have.
        most_series: Different sets of values that the metric may have.
    """

    def __init__(self, *, most_values: int = MOST_VALUES, most_series: int = MOST_SERIES) -> None:
        self._most_values = most_values
        self._most_series = most_series
        self._values: dict[str, set[str | bool | int]] = {}
        self._series: set[tuple[tuple[str, str | bool | int], ...]] = set()
        self._lock = threading.Lock()
        self.overflows: Counter[str] = Counter()

    def bound(self, labels: Mapping[str, Label]) -> dict[str, str | bool | int]:
        """Return labels as attributes, with `OVERFLOW` for values that are one too many.

        Args:
            labels: By name; a label that is None is left out.
        """
        plain = tuple((name, _plain(value)) for name, value in labels.items() if value is not None)
        return dict(plain) if plain in self._series else self._admit(plain)

    def _admit(self, plain: tuple[tuple[str, str | bool | int], ...]) -> dict[str, str | bool | int]:
        with self._lock:
            bounded = tuple((name, self._admit_value(name, value)) for name, value in plain)
            if bounded not in self._series and len(self._series) >= self._most_series:
                self.overflows["*"] += 1
                return {name: OVERFLOW for name, _ in plain}
            self._series.add(bounded)
            return dict(bounded)

    def _admit_value(self, name: str, value: str | bool | int) -> str | bool | int:
        values = self._values.setdefault(name, set())
        if value in values:
            return value
        if len(values) >= self._most_values:
            self.overflows[name] += 1
            return OVERFLOW
        values.add(value)
        return value

    def after_fork(self) -> None:
        """Take a new lock in a forked child and count its own overflows; what is known stays known."""
        self._lock = threading.Lock()
        self.overflows = Counter()


def _plain(value: Label) -> str | bool | int:
    """Return what stands for a label: text, or a number of which there are few."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, bool | int):
        return value
    return (value if isinstance(value, str) else str(value))[:_LONGEST_VALUE]
