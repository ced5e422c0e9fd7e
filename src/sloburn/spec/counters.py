"""Readers of counter pairs: two of ``good``, ``bad`` and ``total``, each a metric and a filter on its data points."""

from __future__ import annotations

from sloburn.slo.conditions import AnyOf, Not
from sloburn.slo.model import Counter, CounterIndicator, EventIndicator, MetricIndicator
from sloburn.spec.conditions import Subject, read_filter
from sloburn.spec.cursor import Cursor
from sloburn.spec.matchers import NOTHING
from sloburn.spec.values import read_text

SIDES = ("good", "bad", "total")

_STAND_IN = CounterIndicator()
_EXAMPLE = "counters: {bad: jobs.failed, total: jobs.started}"


def read_counters(at: Cursor) -> EventIndicator:
    """Read an indicator of two counters; two filters of one metric become an indicator of that metric."""
    record = at.record("counters")
    found = record.fields["counters"]
    if not found.is_mapping:
        return found.expected(f"two of good, bad and total; for instance `{_EXAMPLE}`", _STAND_IN)
    pair = {name: _read_counter(place) for name, place in found.record(*SIDES).fields.items()}
    if len(pair) != 2:
        said = " and ".join(pair) or "none of them"
        return found.refuse(f"expected two of good, bad and total; found {said}", _STAND_IN)
    one, other = pair.values()
    if one == other:
        return found.refuse("both counters are the same; expected another metric, or another `where`", _STAND_IN)
    return _of_one(pair) if one.metric == other.metric else CounterIndicator(**pair)


def _read_counter(at: Cursor) -> Counter:
    if at.is_scalar:
        return Counter(metric=read_text(at), where=NOTHING)
    record = at.record("metric", "where")
    return Counter(
        metric=record.need("metric", read_text, "", "jobs.failed"),
        where=record.may("where", lambda place: read_filter(place, Subject.POINT), NOTHING),
    )


def _of_one(pair: dict[str, Counter]) -> MetricIndicator:
    """Return what two filters of one metric mean: each point is judged whole, so nothing has to be paired."""
    metric = next(iter(pair.values())).metric
    if "total" not in pair:
        good, bad = pair["good"].where, pair["bad"].where
        return MetricIndicator(metric=metric, where=AnyOf((good, bad)), bad=bad)
    bad = pair["bad"].where if "bad" in pair else Not(pair["good"].where)
    return MetricIndicator(metric=metric, where=pair["total"].where, bad=bad)
