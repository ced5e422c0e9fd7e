"""Readers of indicators: which spans or data points are events, and which of them are bad.

However a document says it, with ``good`` or with ``bad``, an indicator leaves here as what is bad.
"""

from __future__ import annotations

from fractions import Fraction

from sloburn.slo.model import Condition, Indicator, MetricIndicator, Not, SpanIndicator
from sloburn.spec.conditions import Subject, read_condition, read_filter
from sloburn.spec.cursor import Cursor, Record
from sloburn.spec.matchers import KIND, NOTHING, ORDER, all_of, read_matcher
from sloburn.spec.values import read_limit, read_text

STAND_IN: Indicator = SpanIndicator(where=NOTHING, bad=NOTHING)


def read_indicator(at: Cursor) -> Indicator:
    """Read an indicator of spans or of a metric."""
    fields = at.fields()
    if not at.is_mapping:
        return STAND_IN
    if ("spans" in fields) is ("metric" in fields):
        found = "both" if "spans" in fields else "neither"
        return at.refuse(f"found {found} of spans and metric; expected exactly one of them", STAND_IN)
    return _read_spans(at) if "spans" in fields else _read_metric(at)


def _read_spans(at: Cursor) -> SpanIndicator:
    record = at.record("spans", "bad", "good")
    where = _read_selection(record.fields["spans"])
    return SpanIndicator(where=where, bad=_read_verdict(record, Subject.SPAN))


def _read_selection(at: Cursor) -> Condition:
    if at.is_null:
        return at.expected("a mapping; for every span of the service write {}", NOTHING)
    record = at.record("kind", "where")
    kind = record.may("kind", lambda place: read_matcher(place, KIND), NOTHING)
    where = record.may("where", lambda place: read_filter(place, Subject.SPAN), NOTHING)
    return all_of(tuple(part for part in (kind, where) if part != NOTHING))


def _read_metric(at: Cursor) -> MetricIndicator:
    record = at.record("metric", "where", "bad", "good")
    metric = read_text(record.fields["metric"])
    where = record.may("where", lambda place: read_filter(place, Subject.POINT), NOTHING)
    judge = next((record.fields[key] for key in ("good", "bad") if key in record), None)
    if judge is None or not _is_threshold(judge) or ("good" in record and "bad" in record):
        return MetricIndicator(metric=metric, where=where, bad=_read_verdict(record, Subject.POINT))
    threshold, is_duration = _read_threshold(judge, is_good="good" in record)
    return MetricIndicator(metric=metric, where=where, threshold=threshold, is_duration=is_duration)


def _read_verdict(record: Record, subject: Subject) -> Condition:
    if ("good" in record) is ("bad" in record):
        found = "both" if "good" in record else "neither"
        return record.at.refuse(f"found {found} of good and bad; expected exactly one of them", NOTHING)
    if "bad" in record:
        return read_condition(record.fields["bad"], subject)
    return Not(read_condition(record.fields["good"], subject))


def _is_threshold(at: Cursor) -> bool:
    """A threshold looks like a condition whose only fields are operators of order."""
    return at.is_mapping and bool(at.fields()) and at.fields().keys() <= ORDER.keys()


def _read_threshold(at: Cursor, *, is_good: bool) -> tuple[Fraction, bool]:
    fields = at.fields()
    if not is_good or len(fields) != 1 or not fields.keys() <= {"le", "lte"}:
        message = "a histogram's buckets tell what is at most a bound; write `good: {le: 300ms}`"
        return at.refuse(message, (Fraction(1), True))
    (limit,) = fields.values()
    return read_limit(limit)
