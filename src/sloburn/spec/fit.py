"""What an SLO over slices of time needs beside its indicator: windows that hold slices, and nothing made for events."""

from __future__ import annotations

from dataclasses import replace

from sloburn.duration import format_duration
from sloburn.slo.model import FreshnessIndicator, Slo
from sloburn.slo.timed import MIN_BAD_SLICES, SLICES_IN_WINDOW, fit_windows, members_of, slice_ns_of
from sloburn.spec.cursor import Cursor, Record
from sloburn.spec.slices import read_slices


def fit_slo(record: Record, slo: Slo) -> Slo:
    """Return an SLO with its events put into slices, and its alert settings fitted to them.

    Args:
        record: The SLO's fields in its document.
        slo: What was read of them.
    """
    if "slices" in record:
        slo = _sliced(record.fields["slices"], slo)
    slice_ns = slice_ns_of(slo.indicator)
    if members_of(slo.indicator) and slo.group_by:
        record.fields["group_by"].refuse("an SLO over other SLOs has no attributes; remove the key", None)
    if slo.alerting.early_page and (slice_ns or members_of(slo.indicator)):
        message = "early_page looks at single events, which this SLO does not count; remove the key"
        _refuse(record, "early_page", message)
    if slo.alerting.together and slice_ns:
        _refuse(record, "groups", "slices are judged group by group; remove the key")
    return _fitted(record, slo, slice_ns) if slice_ns else slo


def _sliced(at: Cursor, slo: Slo) -> Slo:
    if slice_ns_of(slo.indicator) or members_of(slo.indicator):
        return at.refuse("only SLOs on single events are put into slices; remove the key", slo)
    return replace(slo, indicator=read_slices(at, slo.indicator))  # type: ignore[arg-type]  # single events are left


def _fitted(record: Record, slo: Slo, slice_ns: int) -> Slo:
    alerting = slo.alerting
    if isinstance(slo.indicator, FreshnessIndicator) and 2 * slo.indicator.within_ns > slo.period.length_ns:
        found = format_duration(slo.indicator.within_ns)
        message = f"an age of {found} is no matter for a period of {format_duration(slo.period.length_ns)}"
        record.fields["indicator"].refuse(f"{message}; expected at most half of the period", None)
    if "min_bad_events" not in _alerting(record):
        alerting = replace(alerting, min_bad_events=MIN_BAD_SLICES)
    shortest = min((window.long_ns for window in alerting.windows), default=slo.period.length_ns)
    if 2 * SLICES_IN_WINDOW * slice_ns > shortest:
        message = f"a window of {format_duration(shortest)} holds too few slices of {format_duration(slice_ns)}"
        _refuse(record, "windows", f"{message}; expected at least {2 * SLICES_IN_WINDOW} in every long window")
        return slo
    return replace(slo, alerting=fit_windows(alerting, slice_ns))


def _alerting(record: Record) -> dict[str, Cursor]:
    at = record.fields.get("alerting")
    return at.fields() if at is not None and at.is_mapping else {}


def _refuse(record: Record, key: str, message: str) -> None:
    _alerting(record).get(key, record.at).refuse(message, None)
