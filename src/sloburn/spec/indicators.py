"""Readers of indicators: which spans, data points or log records are events, and which of them are bad.

However a document says it, with ``good`` or with ``bad``, an indicator leaves here as what is bad.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from sloburn.slo.conditions import Condition, Not
from sloburn.slo.model import EventIndicator, LogIndicator, MetricIndicator, Snap, SpanIndicator
from sloburn.spec.conditions import Subject, read_condition, read_filter
from sloburn.spec.counters import read_counters
from sloburn.spec.cursor import Cursor, Record, listed
from sloburn.spec.matchers import EVENT, KIND, NOTHING, ORDER, all_of, read_matcher
from sloburn.spec.severity import read_severity
from sloburn.spec.values import read_choice, read_limit, read_text

NO_INDICATOR: EventIndicator = SpanIndicator(where=NOTHING, bad=NOTHING)


def read_indicator(at: Cursor) -> EventIndicator:
    """Read an indicator of single events: the key that only one kind has tells which it is."""
    fields = at.fields()
    if not at.is_mapping:
        return NO_INDICATOR
    found = [kind for kind in _KINDS if kind in fields]
    if len(found) == 1:
        return _KINDS[found[0]](at)
    said = " and ".join(found) or "none of them"
    return at.refuse(f"expected exactly one of {listed(_KINDS)}; found {said}", NO_INDICATOR)


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


def _read_logs(at: Cursor) -> LogIndicator:
    record = at.record("logs", "bad", "good")
    where = _read_log_selection(record.fields["logs"])
    return LogIndicator(where=where, bad=_read_verdict(record, Subject.LOG))


def _read_log_selection(at: Cursor) -> Condition:
    if at.is_null:
        return at.expected("a mapping; for every log record of the service write {}", NOTHING)
    record = at.record("event", "severity", "where")
    event = record.may("event", lambda place: read_matcher(place, EVENT), NOTHING)
    severity = record.may("severity", read_severity, NOTHING)
    where = record.may("where", lambda place: read_filter(place, Subject.LOG), NOTHING)
    return all_of(tuple(part for part in (event, severity, where) if part != NOTHING))


def _read_metric(at: Cursor) -> MetricIndicator:
    record = at.record("metric", "where", "bad", "good")
    metric = read_text(record.fields["metric"])
    where = record.may("where", lambda place: read_filter(place, Subject.POINT), NOTHING)
    judge = next((record.fields[key] for key in ("good", "bad") if key in record), None)
    if judge is None or not _is_threshold(judge) or ("good" in record and "bad" in record):
        return MetricIndicator(metric=metric, where=where, bad=_read_verdict(record, Subject.POINT))
    threshold, is_duration, snap = _read_threshold(judge, is_good="good" in record)
    return MetricIndicator(metric=metric, where=where, threshold=threshold, is_duration=is_duration, snap=snap)


def _read_verdict(record: Record, subject: Subject) -> Condition:
    if ("good" in record) is ("bad" in record):
        found = "both" if "good" in record else "neither"
        return record.at.refuse(f"found {found} of good and bad; expected exactly one of them", NOTHING)
    if "bad" in record:
        return read_condition(record.fields["bad"], subject)
    return Not(read_condition(record.fields["good"], subject))


def _is_threshold(at: Cursor) -> bool:
    """A threshold looks like a condition whose only fields are operators of order."""
    found = at.fields().keys() - {"snap"} if at.is_mapping else set()
    return bool(found) and found <= ORDER.keys()


def _read_threshold(at: Cursor, *, is_good: bool) -> tuple[Fraction, bool, Snap]:
    fields = at.fields()
    snap = fields.pop("snap", None)
    if not is_good or len(fields) != 1 or not fields.keys() <= {"le", "lte"}:
        message = "a histogram's buckets tell what is at most a bound; write `good: {le: 300ms}`"
        return at.refuse(message, (Fraction(1), True, Snap.REFUSED))
    (limit,) = fields.values()
    return (*read_limit(limit), Snap(read_choice(snap, ("down", "up"))) if snap else Snap.REFUSED)


_KINDS: dict[str, Callable[[Cursor], EventIndicator]] = {
    "spans": _read_spans,
    "metric": _read_metric,
    "counters": read_counters,
    "logs": _read_logs,
}

EVENT_KINDS = tuple(_KINDS)
