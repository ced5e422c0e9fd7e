"""Put together what several processes have counted.

Sums are exact rational numbers: whichever processes are alive and whichever are archived, the same additions give the
same sum, so that a counter never goes back by a rounding error, which Prometheus would take for a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sloburn.sdk.exemplars import SHOWN_NANOSECONDS
from sloburn.sdk.prometheus.series import Exemplar, Series, Value

OVERFLOW: tuple[tuple[str, Value], ...] = (("otel.metric.overflow", True),)
# Instruments that describe the machine: every process on it sees the same, so their values are not added up.
_HOST_PREFIX = "system."


def merge(parts: Iterable[Series]) -> list[Series]:
    """Merge series of several processes.

    Counters, sums and histograms are added up. The gauge that was set last wins. Of a histogram whose buckets differ
    between processes, as during a deployment, the first one's are kept and the others are left out.

    Args:
        parts: Series in any order, those whose buckets are to be kept first.

    Returns:
        One series for each instrument and set of attributes, in the order of their first appearance.
    """
    merged: dict[tuple[object, ...], Series] = {}
    boundaries: dict[tuple[object, ...], tuple[float, ...]] = {}
    for part in parts:
        bounds = boundaries.setdefault(part.key[:-1], part.instrument.boundaries)
        if bounds != part.instrument.boundaries:
            continue
        known = merged.get(part.key)
        merged[part.key] = part if known is None else _together(known, part)
    return list(merged.values())


def without_old(parts: Iterable[Series], now: int) -> Iterator[Series]:
    """Leave out exemplars that nobody has to see any more, as `sloburn.sdk.exemplars.shown` does for OTLP.

    Args:
        parts: Series in any order.
        now: Nanoseconds since the epoch.
    """
    for part in parts:
        kept = {bucket: one for bucket, one in part.exemplars.items() if now - one.unix_nano < SHOWN_NANOSECONDS}
        yield part if len(kept) == len(part.exemplars) else replace(part, exemplars=kept)


def bounded(parts: list[Series], most: int) -> list[Series]:
    """Merge what is over a number of series into the overflow series of its instrument; nothing counted is lost."""
    kept, rest = parts[:most], parts[most:]
    return merge([*kept, *(replace(part, attributes=OVERFLOW) for part in rest)]) if rest else kept


def _together(one: Series, other: Series) -> Series:
    if one.instrument.kind == "gauge" or one.instrument.name.startswith(_HOST_PREFIX):
        is_later = (other.unix_nano, other.value) > (one.unix_nano, one.value)
        return other if is_later else one
    return replace(
        one,
        value=one.value + other.value,
        counts=tuple(mine + theirs for mine, theirs in zip(one.counts, other.counts, strict=True)),
        exemplars=_newest(one, other),
        unix_nano=max(one.unix_nano, other.unix_nano),
    )


def _newest(one: Series, other: Series) -> dict[int, Exemplar]:
    found = dict(one.exemplars)
    for bucket, exemplar in other.exemplars.items():
        if bucket not in found or _rank(exemplar) > _rank(found[bucket]):
            found[bucket] = exemplar
    return found


def _rank(exemplar: Exemplar) -> int:
    """Return the time of an exemplar; one that a sampler keeps is better than what is minutes newer."""
    return exemplar.unix_nano + (SHOWN_NANOSECONDS if exemplar.is_marked else 0)
