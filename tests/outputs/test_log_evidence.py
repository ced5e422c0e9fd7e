"""A bad log record on the page of an SLO: its line, without what only spans have."""

from __future__ import annotations

from dataclasses import replace

from sloburn.outputs.detail import detail_of
from tests.outputs import snapshots
from tests.outputs.snapshots import build_status


def test_a_record_without_a_trace_has_neither_ids_nor_duration() -> None:
    """What a log record does not have is left out instead of shown as nothing."""
    record = replace(snapshots.failing_trace(name="charge failed"), trace_id="", span_id="", duration_ns=0)
    status = build_status(failing=(record,))
    (shown,) = detail_of(snapshots.snapshot_of(status), status).failing
    assert (shown.name, shown.trace_id, shown.duration) == ("charge failed", "", "")
