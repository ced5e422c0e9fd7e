"""Count what logs and the audit trail have lost, so that no loss stays unseen."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sloburn.sdk.audit import get_audit_logger
from sloburn.sdk.log_files import LOST_LINES


def watch_losses(meter: Meter) -> None:
    """Report lost lines and lost audit records; while there are none, nothing is exported."""
    for name, unit, text, count in (
        ("sloburn.log.lines.lost", "{line}", "Log lines that could not be written.", lambda: LOST_LINES.count),
        (
            "sloburn.audit.records.lost",
            "{record}",
            "Audit records that could not be written.",
            lambda: get_audit_logger().lost,
        ),
    ):
        meter.create_observable_counter(name, [_observe(count)], unit=unit, description=text)


def after_fork() -> None:
    """Count from zero in a forked child: what was lost before is the parent's to report."""
    LOST_LINES.count = 0
    get_audit_logger().lost = 0


def _observe(count: Callable[[], int]) -> Callable[[CallbackOptions], list[Observation]]:
    def callback(_: CallbackOptions) -> list[Observation]:
        lost = count()
        return [Observation(lost)] if lost else []

    return callback
