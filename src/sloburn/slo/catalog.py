"""The windows of the SRE workbook, as data.

Source: The Site Reliability Workbook, chapter 5, table 5-8 and the listing below it (which adds the 1d + 2h row).
The engine and the rule compiler both read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sloburn.duration import DAY, HOUR, MINUTE
from sloburn.slo.budget import burn_factor
from sloburn.slo.model import Period, Severity, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookRow:
    """One row: fire when `budget_share` of the period's budget is gone within the long window."""

    severity: Severity
    long_ns: int
    short_ns: int
    budget_share: Fraction


WORKBOOK: tuple[WorkbookRow, ...] = (
    WorkbookRow(severity=Severity.PAGE, long_ns=1 * HOUR, short_ns=5 * MINUTE, budget_share=Fraction(2, 100)),
    WorkbookRow(severity=Severity.PAGE, long_ns=6 * HOUR, short_ns=30 * MINUTE, budget_share=Fraction(5, 100)),
    WorkbookRow(severity=Severity.TICKET, long_ns=1 * DAY, short_ns=2 * HOUR, budget_share=Fraction(10, 100)),
    WorkbookRow(severity=Severity.TICKET, long_ns=3 * DAY, short_ns=6 * HOUR, budget_share=Fraction(10, 100)),
)


def workbook_windows(period: Period) -> tuple[Window, ...]:
    """Return the workbook's windows for a period; those longer than the period are left out."""
    return tuple(
        Window(
            severity=row.severity,
            long_ns=row.long_ns,
            short_ns=row.short_ns,
            factor=burn_factor(row.budget_share, period.length_ns, row.long_ns),
        )
        for row in WORKBOOK
        if row.long_ns <= period.length_ns
    )
