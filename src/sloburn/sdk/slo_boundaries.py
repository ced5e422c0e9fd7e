"""The thresholds of SLO documents, as bucket boundaries: a histogram can only be judged where it has a boundary.

The SDK shares no code with the processor's reader of these documents and needs a fraction of it: every duration that
is compared with, in our own form (``good: {le: 300ms}``) and in the queries of Sloth and OpenSLO (``le="0.3"``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sloburn.duration import SECOND, parse_duration
from sloburn.errors import ConfigError
from sloburn.sdk.documents import files_of, mappings, read_documents

_COMPARISONS = ("le", "lt", "gt", "ge", "lte", "gte")
_IN_QUERIES = re.compile(r'\ble\s*=~?\s*"([0-9.]+(?:e[+-]?\d+)?)"')
# A boundary is a series for every route and status, in every process.
MOST_BOUNDARIES = 50


def slo_boundaries(paths: Iterable[str]) -> tuple[float, ...]:
    """Return the thresholds in SLO documents, in seconds, ascending.

    Args:
        paths: Files, or folders of them.

    Raises:
        ConfigError: A file cannot be read.
        ValueError: There are more thresholds than a histogram should have boundaries.
    """
    found: set[float] = set()
    for path in (file for name in paths for file in files_of(Path(name))):
        for mapping in (mapping for document in read_documents(path) for mapping in mappings(document)):
            found.update(_thresholds(mapping))
    if len(found) > MOST_BOUNDARIES:
        raise ConfigError(f"the SLO files hold {len(found)} thresholds, more than {MOST_BOUNDARIES}")
    return tuple(sorted(found))


def _thresholds(mapping: dict[object, object]) -> Iterator[float]:
    for key, value in mapping.items():
        if isinstance(value, str) and key in _COMPARISONS:
            try:
                yield parse_duration(value) / SECOND
            except ValueError:
                continue
        elif isinstance(value, str):
            yield from (float(threshold) for threshold in _IN_QUERIES.findall(value))
