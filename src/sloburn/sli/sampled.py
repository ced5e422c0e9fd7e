"""What sampling does to a series: one bad span stands for many, so one error must not page for being heavy."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from sloburn.sli.ledger import Ledger
from sloburn.sli.weights import margin
from sloburn.slo.model import Slo

NEVER = (1, 0)


class Weighed(Protocol):
    """A series, as far as its weights go (`sloburn.sli.series.Series`)."""

    slo: Slo
    weight: tuple[int, int]
    ledger: Ledger


def heavier(held: tuple[int, int], weight: int, at: int, slo: Slo) -> tuple[int, int]:
    """Return the heaviest weight of late and when it was last seen.

    Args:
        held: What it was.
        weight: Of an event that came now.
        at: When, nanoseconds since the epoch.
        slo: The promise: a weight counts for as long as an alert looks back.
    """
    return (weight, at) if weight >= held[0] or at - held[1] > _memory_ns(slo) else held


def weight_at(series: Weighed, now: int) -> int:
    """Return for how many events one of the look-backs may stand at the most."""
    weight, at = series.weight
    return weight if now - at <= _memory_ns(series.slo) else 1


def guarded(series: Weighed, now: int) -> Slo:
    """Return the promise with as many bad events needed as so many bad spans stand for."""
    weight = weight_at(series, now)
    if weight == 1:
        return series.slo
    alerting = series.slo.alerting
    least = alerting.min_bad_events * weight
    return replace(series.slo, alerting=replace(alerting, min_bad_events=least))


def sampling_notes(series: Weighed, now: int) -> list[str]:
    """Return in words what the figures are worth while they are made of sampled spans."""
    weight = weight_at(series, now)
    if weight == 1:
        return []
    least, bad = guarded(series, now).alerting.min_bad_events, series.ledger.reaches[-1].bad
    early = "; the early page waits for unsampled spans" if series.slo.alerting.early_page else ""
    return [
        f"sampled spans count by their weight: one stands for up to {weight:,} events, so {least:,} bad events are "
        f"needed before an alert fires{early}; the {bad:,} bad events of the period are an estimate, give or take "
        f"{margin(bad, weight):,}"
    ]


def _memory_ns(slo: Slo) -> int:
    return max((window.long_ns for window in slo.alerting.windows), default=slo.period.length_ns)
