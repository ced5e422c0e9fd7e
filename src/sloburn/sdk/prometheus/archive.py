"""What ended processes have counted, in one file that replaces theirs.

The file names the files that it took over. So it does not matter when the process that archives is killed: a file that
is named is not counted a second time, whether it was removed or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

from sloburn.sdk.prometheus.merge import bounded, merge
from sloburn.sdk.prometheus.series import Series, describe, read_description

_MOST_SERIES = 20_000
# What a process measured at its end says nothing about now.
_KEPT_KINDS = ("counter", "histogram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The counters and histograms of ended processes.

    Args:
        absorbed: Names of the files that are contained and may still be there.
        series: Their sums.
        lost: Updates that they lost.
    """

    absorbed: frozenset[str] = frozenset()
    series: tuple[Series, ...] = ()
    lost: int = 0

    def absorb(self, name: str, series: Iterable[Series], lost: int) -> Archive:
        """Return the archive with the series of one more file."""
        kept = [part for part in series if part.instrument.kind in _KEPT_KINDS]
        merged = bounded(merge([*kept, *self.series]), _MOST_SERIES)
        return Archive(absorbed=self.absorbed | {name}, series=tuple(merged), lost=self.lost + lost)

    def without_removed(self, present: frozenset[str]) -> Archive:
        """Return the archive without the names of files that are gone."""
        return Archive(absorbed=self.absorbed & present, series=self.series, lost=self.lost)


def read_archive(path: Path) -> Archive:
    """Read an archive; an empty one when there is none, or none that can be read."""
    try:
        document = json.loads(path.read_bytes())
        return Archive(
            absorbed=frozenset(document["absorbed"]),
            series=tuple(_read(part) for part in document["series"]),
            lost=int(document["lost"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Archive()


def write_archive(path: Path, archive: Archive) -> None:
    """Replace an archive in one step.

    Raises:
        OSError: It cannot be written; the old one is as it was.
    """
    document = {
        "absorbed": sorted(archive.absorbed),
        "lost": archive.lost,
        "series": [
            {"text": describe(part.instrument, part.attributes), "value": str(part.value), "counts": part.counts}
            for part in archive.series
        ],
    }
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    draft.replace(path)


def _read(part: dict[str, object]) -> Series:
    instrument, attributes = read_description(cast("dict[str, object]", part["text"]))
    counts = tuple(int(count) for count in cast("list[int]", part["counts"]))
    return Series(instrument=instrument, attributes=attributes, value=Fraction(str(part["value"])), counts=counts)
