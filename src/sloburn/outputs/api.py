"""The JSON API, version 1: documents made of a snapshot.

Fields are added, never renamed, and every one is in every document, whatever the state: a number, moment or finding
that is not known is null, a text that was not written is empty, and so is a list that has nothing to list. What a
length stands for on a fast clock (`stands_for`) is null on a clock that runs as the SLO documents say.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from sloburn.duration import SECOND, format_duration
from sloburn.outputs.annotating import annotation_document
from sloburn.outputs.standing import summarize
from sloburn.outputs.wording import decimal_text, iso_text
from sloburn.sli.incomplete import Incomplete
from sloburn.sli.status import BudgetPoint, FailingTrace, Notice, SloStatus, Snapshot, Suspect, WindowBurn
from sloburn.slo.alerting import Alert, PairReading
from sloburn.slo.annotation import concerning
from sloburn.slo.early import EarlyEvidence
from sloburn.slo.exclusions import Interval, excluded
from sloburn.slo.missing import Bounds
from sloburn.slo.periods import period_begin
from sloburn.slo.timed import members_of, promise_text, slice_ns_of

Document = dict[str, Any]


def status_document(snapshot: Snapshot) -> Document:
    """Return everything that is known."""
    return summary_document(snapshot) | {
        "items": _items(snapshot),
        "slos": [slo_document(snapshot, status) for status in snapshot.statuses],
    }


def summary_document(snapshot: Snapshot) -> Document:
    """Return when, how fast the clock runs, and the one-line answer."""
    summary = summarize(snapshot)
    counts = {name: getattr(summary, name) for name in ("slos", "burning", "exhausted", "silent", "pages", "tickets")}
    return {
        "at": iso_text(snapshot.at_unix_nano),
        "at_unix_nano": snapshot.at_unix_nano,
        "time_scale": snapshot.time_scale,
        "summary": counts | {"text": summary.text},
        **_moment("history_begins", snapshot.history_unix_nano),
        "notices": [_notice(notice) for notice in snapshot.notices],
    }


def _notice(notice: Notice) -> Document:
    return {"text": notice.text, **_moment("since", notice.at_unix_nano), "over": notice.is_over}


def slos_document(snapshot: Snapshot) -> Document:
    """Return every SLO and group without what is long: traces, suspects, the budget's course."""
    slos = [head_document(status, snapshot.time_scale) for status in snapshot.statuses]
    return summary_document(snapshot) | {"slos": slos}


def named_document(snapshot: Snapshot, name: str) -> Document | None:
    """Return one SLO, an entry for each of its groups; None if there is no such SLO."""
    found = [status for status in snapshot.statuses if status.slo.name == name]
    if not found:
        return None
    slos = [slo_document(snapshot, status) for status in found]
    return summary_document(snapshot) | {"slos": slos}


def head_document(status: SloStatus, time_scale: int) -> Document:
    """Return an SLO's promise, numbers and alerts."""
    slo = status.slo
    return {
        "name": slo.name,
        "service": slo.service,
        "description": slo.description,
        "runbook": slo.runbook,
        "group": dict(status.group),
        "state": status.state.value,
        **_moment("since", status.since_unix_nano),
        "objective": decimal_text(slo.objective),
        "promise": promise_text(slo.indicator),
        "slice_seconds": (slice_ns_of(slo.indicator) / SECOND) or None,
        "members": list(members_of(slo.indicator)),
        **_length("period", slo.period.length_ns, time_scale),
        **_numbers(status),
        "burns": [_burn(burn, time_scale) for burn in status.burns],
        "pairs": [_pair(pair, slo.alerting.min_bad_events, time_scale) for pair in status.pairs],
        "alerts": [_alert(alert) for alert in status.alerts],
        **_moment("last_event", status.last_event_unix_nano),
        "early": None if status.early is None else _early(status.early),
        "incomplete": None if status.incomplete is None else _incomplete(status.incomplete, time_scale),
        "notes": list(status.notes),
        "clock_lead_seconds": (status.clock_lead_ns / SECOND) or None,
    }


def slo_document(snapshot: Snapshot, status: SloStatus) -> Document:
    """Return everything that is known of one SLO or group."""
    happened = concerning(snapshot.annotations, status.slo.service)
    return head_document(status, snapshot.time_scale) | {
        "suspects": [_suspect(suspect) for suspect in status.suspects],
        "failing": [_failing(trace) for trace in status.failing],
        "budget": [_budget_point(point) for point in status.budget],
        "annotations": [annotation_document(one) for one in happened],
        "excluded": [_excluded(one) for one in _gaps(snapshot, status)],
    }


def _items(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    items: dict[str, dict[str, int]] = {}
    for (signal, fate), count in sorted(snapshot.items.items()):
        items.setdefault(signal, {})[fate] = count
    return items


def _numbers(status: SloStatus) -> Document:
    left = status.exhaustion_ns
    return {
        "sli": _number(status.sli),
        "good": status.count.good,
        "bad": status.count.bad,
        "total": status.count.total,
        "budget_remaining": _number(status.budget_remaining),
        "budget_remaining_seconds": None if status.outage_ns is None else status.outage_ns / SECOND,
        "seconds_to_exhaustion": None if left is None else left / SECOND,
    }


def _burn(burn: WindowBurn, time_scale: int) -> Document:
    return {
        **_length("window", burn.length_ns, time_scale),
        "burn": _number(burn.burn),
        "good": burn.count.good,
        "bad": burn.count.bad,
    }


def _pair(pair: PairReading, min_bad_events: int, time_scale: int) -> Document:
    return {
        "severity": pair.window.severity.value,
        **_length("long", pair.window.long_ns, time_scale),
        **_length("short", pair.window.short_ns, time_scale),
        "factor": _number(pair.window.factor),
        "long_burn": _number(pair.long_burn),
        "short_burn": _number(pair.short_burn),
        "long_bad": pair.long.bad,
        "min_bad_events": min_bad_events,
        "over": pair.over,
    }


def _early(evidence: EarlyEvidence) -> Document:
    return {
        "text": evidence.text,
        "bad": evidence.bad,
        "total": evidence.total,
        "span_seconds": evidence.span_ns / SECOND,
        "bad_slices": float(evidence.bad_slices),
        "needed_slices": float(evidence.needed_slices),
        "budget_share": float(evidence.budget_share),
        "seconds_to_share": evidence.gone_ns / SECOND,
    }


def _incomplete(found: Incomplete, time_scale: int) -> Document:
    return {
        "text": found.text,
        "lack": found.lack.value,
        "missing": found.missing,
        "of": found.of,
        "sources": dict(found.sources),
        "sli": _bounds(found.sli),
        "budget_remaining": _bounds(found.budget_remaining),
        "burns": [
            {**_length("window", one.length_ns, time_scale), "missing": one.missing, "burn": _bounds(one.burn)}
            for one in found.burns
        ],
    }


def _bounds(bounds: Bounds | None) -> Document | None:
    return None if bounds is None else {"low": float(bounds.low), "high": float(bounds.high)}


def _alert(alert: Alert) -> Document:
    return {
        "severity": alert.severity.value,
        "alert": alert.kind,
        "state": alert.state.value,
        **_moment("since", alert.since_unix_nano),
        **_moment("pending_since", alert.pending_unix_nano),
        **_moment("fired_at", alert.fired_unix_nano),
        **_moment("resolved_at", alert.resolved_unix_nano),
    }


def _suspect(suspect: Suspect) -> Document:
    return {
        "key": suspect.key,
        "value": suspect.value,
        "bad": suspect.count.bad,
        "good": suspect.count.good,
        "bad_share": _number(suspect.bad_share),
        "good_share": _number(suspect.good_share),
        "lift": _number(suspect.lift),
    }


def _failing(trace: FailingTrace) -> Document:
    return {
        **_moment("at", trace.at_unix_nano),
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
        "name": trace.name,
        "status": trace.status,
        "duration_seconds": trace.duration_ns / SECOND,
        "exception": trace.exception,
        "message": trace.message,
        "attributes": dict(trace.attributes),
    }


def _budget_point(point: BudgetPoint) -> Document:
    return {
        **_moment("at", point.at_unix_nano),
        "remaining": _number(point.remaining),
        "good": point.count.good,
        "bad": point.count.bad,
    }


def _gaps(snapshot: Snapshot, status: SloStatus) -> tuple[Interval, ...]:
    begin = period_begin(status.slo.period, snapshot.at_unix_nano)
    return excluded(status.slo.exclusions, begin, snapshot.at_unix_nano)


def _excluded(span: Interval) -> Document:
    return {**_moment("from", span.begin_unix_nano), **_moment("to", span.end_unix_nano)}


def _moment(name: str, at_unix_nano: int) -> Document:
    if not at_unix_nano:
        return {name: None, f"{name}_unix_nano": None}
    return {name: iso_text(at_unix_nano), f"{name}_unix_nano": at_unix_nano}


def _length(name: str, length_ns: int, time_scale: int) -> Document:
    return {
        name: format_duration(length_ns),
        f"{name}_seconds": length_ns / SECOND,
        # The window that runs is 1m and stands for the 1h of the SLO's document.
        "stands_for" if name == "window" else f"{name}_stands_for": (
            format_duration(length_ns * time_scale) if time_scale > 1 else None
        ),
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
