"""Alert settings, as they are written."""

from __future__ import annotations

from fractions import Fraction

from sloburn.duration import HOUR, MINUTE
from sloburn.slo.model import Severity, Window
from tests.spec.documents import read

OWN = "[{severity: ticket, long: 6h, short: 30m, burn: 2.5}, {severity: page, long: 30m, short: 3m, budget: 1%}]"


def test_a_table_of_ones_own() -> None:
    """Own windows replace the workbook's, fastest first; a budget share becomes a factor of the period."""
    slo = read(alerting=f"{{windows: {OWN}}}")
    fast = Window(severity=Severity.PAGE, long_ns=30 * MINUTE, short_ns=3 * MINUTE, factor=Fraction("14.4"))
    slow = Window(severity=Severity.TICKET, long_ns=6 * HOUR, short_ns=30 * MINUTE, factor=Fraction("2.5"))
    assert slo.alerting.windows == (fast, slow)


def test_own_windows_are_lowered_too() -> None:
    """A factor of one's own that no outage can reach is lowered, and a note says so."""
    alerting = read(objective="75", alerting=f"{{windows: {OWN}}}").alerting
    assert [float(window.factor) for window in alerting.windows] == [3.6, 2.5]
    assert len(alerting.notes) == 1
    assert alerting.notes[0].startswith("page 30m + 3m: no outage can burn faster than 4 at an objective of 75 %")


def test_other_settings() -> None:
    """The rest is taken as written; what is not written has its default."""
    alerting = read(alerting="{min_bad_events: 0, for: 2m, early_page: true}").alerting
    assert (alerting.min_bad_events, alerting.for_ns, alerting.early_page) == (0, 2 * MINUTE, True)
    plain = read().alerting
    assert (plain.min_bad_events, plain.for_ns, plain.early_page, len(plain.windows)) == (5, 0, False, 4)
