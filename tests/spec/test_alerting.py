"""Alert settings, as they are written."""

from __future__ import annotations

from fractions import Fraction

from sloburn.duration import HOUR, MINUTE
from sloburn.slo.model import BudgetLevel, Severity, Window
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


def test_budget_alerts() -> None:
    """Shares of the budget are read exactly, the highest first; each ends 5 points above where it fires."""
    text = "{budget: [{left: 0%, severity: page}, {left: 12.5%, severity: ticket, clear: 20%}, {left: 98 %}]}"
    levels = read(alerting=text.replace("98 %}", "98 %, severity: ticket}")).alerting.budget
    assert levels == (
        BudgetLevel(severity=Severity.TICKET, left=Fraction(98, 100), clear=Fraction(99, 100)),
        BudgetLevel(severity=Severity.TICKET, left=Fraction(1, 8), clear=Fraction(1, 5)),
        BudgetLevel(severity=Severity.PAGE, left=Fraction(0), clear=Fraction(1, 20)),
    )
    assert read().alerting.budget == ()


def test_groups_alert_apart_or_together() -> None:
    """Groups alert apart unless they are told to alert together."""
    assert read(group_by="[tenant]", alerting="{groups: together}").alerting.together
    assert not read(group_by="[tenant]", alerting="{groups: apart}").alerting.together
    assert not read(group_by="[tenant]").alerting.together


def test_attributes_for_the_autopsy() -> None:
    """Further attributes to compare are named in the document."""
    assert read(autopsy="[tenant.id, cloud.zone]").autopsy == ("tenant.id", "cloud.zone")
    assert read().autopsy == ()
