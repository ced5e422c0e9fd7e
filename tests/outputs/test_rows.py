"""The list's figures: what a row says, and what it says on hovering."""
# ruff: noqa: RUF001  minus, dash and times signs are what the page shows

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sloburn.duration import DAY, HOUR, SECOND
from sloburn.outputs.rows import Row, list_rows, row_of
from sloburn.outputs.standing import Standing
from sloburn.sli.status import SloState
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import Alerting, Severity, WeightedIndicator
from tests.outputs import snapshots
from tests.outputs.snapshots import build_slo, build_status, firing


def test_a_burning_row_says_it_all() -> None:
    """State, SLI, budget, burn, end, the culprit and a trace: figures in brief, exact values for hovering."""
    row = row_of(snapshots.burning_status())
    assert (row.standing, row.sli.text, row.objective) == (Standing.PAGE, "99.95", "99.9")
    assert row.sli.title == "99.952049 %: 2,878,619 good of 2,880,000 events, 1,381 bad"
    assert (row.budget.figure.text, row.budget.left, row.budget.overspent) == ("52.0", "52.0%", False)
    assert row.budget.figure.title == ("52.048611 % left: 1,381 bad events of 2,880.0 that 2,880,000 events allow")
    assert (row.burn.text, row.burn_window, row.gone.text) == ("17.8×", "1 h", "21 h 1 min")
    assert row.because == "94 % of bad: http.route=/pay"
    assert row.trace_id == snapshots.TRACE_ID


def test_a_calm_row_accuses_nobody() -> None:
    """While an SLO holds, its row names neither suspects nor traces."""
    status = build_status(suspects=(snapshots.suspect(),), failing=(snapshots.failing_trace(),))
    row = row_of(status)
    assert (row.because, row.trace_id, row.remark) == ("", "", "")


def test_a_row_without_events_has_no_numbers() -> None:
    """No events are not 100 %: dashes, an empty bar, and the reason on hovering."""
    row = row_of(build_status(state=SloState.NO_TRAFFIC, count=Count()))
    assert [figure.text for figure in (row.sli, row.budget.figure, row.burn, row.gone)] == ["–"] * 4
    assert (row.sli.title, row.burn.title) == ("no events in the period", "no events in the last 1 h")
    assert (row.budget.known, row.budget.left) == (False, "0%")


def test_an_overspent_row() -> None:
    """Minus two budgets: the bar is empty and marked, and the end is behind us."""
    row = row_of(build_status(state=SloState.EXHAUSTED, count=Count(9_970, 30)))
    assert (row.budget.figure.text, row.budget.left, row.budget.overspent) == ("−200.0", "0.0%", True)
    assert (row.gone.text, row.gone.title) == ("gone", "the period's budget is spent")


@pytest.mark.parametrize(
    ("left", "text", "title"),
    [
        (None, "–", "at this pace it lasts"),
        (47 * SECOND, "47 s", "47 s at the current pace"),
        (2 * DAY + HOUR, "2 d 1 h", "176,400 s at the current pace"),
        (31 * DAY, ">30 d", "at this pace it lasts 31 d"),
    ],
)
def test_the_end_of_the_budget(left: int | None, text: str, title: str) -> None:
    """An end within the period is said, one beyond it is not pretended to be known."""
    figure = row_of(replace(build_status(), exhaustion_ns=left)).gone
    assert (figure.text, figure.title) == (text, title)


def test_the_end_of_a_weighted_budget_says_what_it_assumes() -> None:
    """Members may be younger than their periods: the end is worked out as if they were not, and says so."""
    status = build_status(replace(build_slo(), indicator=WeightedIndicator(members=(("cart", Fraction(1)),))))
    figure = row_of(replace(status, exhaustion_ns=47 * SECOND)).gone
    assert figure.title == "47 s at the current pace, every member's period taken for full"


def test_an_slo_without_windows_has_no_burn() -> None:
    """Without alert windows there is no burn to show."""
    row = row_of(build_status(build_slo(alerting=Alerting(windows=()))))
    assert (row.burn.text, row.burn.title, row.burn_window) == ("–", "no alert windows", "")


def remark(state: SloState, *alerts: Alert, count: Count | None = None) -> str:
    """Return the remark of an SLO with these alerts."""
    return row_of(build_status(state=state, count=count, alerts={alert.severity: alert for alert in alerts})).remark


def test_remarks() -> None:
    """What the one word hides: a frozen page, a page of a spent budget, an alert that is about to fire."""
    page, pending = firing(Severity.PAGE), Alert(severity=Severity.TICKET, state=AlertState.PENDING)
    assert remark(SloState.NO_DATA) == "alerts frozen"
    assert remark(SloState.NO_DATA, page) == "page frozen"
    assert remark(SloState.BURNING, page) == ""
    assert remark(SloState.OK, pending) == "ticket pending"
    assert remark(SloState.BURNING, page, pending) == "ticket pending"
    assert remark(SloState.BURNING, firing(Severity.TICKET), count=Count(9_900, 100)) == "ticket firing"


def test_addresses_survive_any_group() -> None:
    """The address of a group quotes whatever its values hold, and every row has a key of its own."""
    slo = build_slo(group_by=("route",))
    groups = ["/a b", "/a?b=c&d", "é", snapshots.SURROGATE, "/a,b"]
    rows = [row_of(build_status(slo, group=(("route", value),))) for value in groups]
    assert rows[0].href == "/slos/checkout-availability?group=route%3D%2Fa%20b"
    assert rows[1].href == "/slos/checkout-availability?group=route%3D%2Fa%3Fb%5C%3Dc%26d"
    assert len({row.key for row in rows}) == len({row.href for row in rows}) == len(groups)
    assert all(row.href.isascii() for row in rows)


def test_keys_do_not_depend_on_the_numbers() -> None:
    """The page finds a row again after an update by its key."""
    assert row_of(build_status()).key == row_of(build_status(count=Count(1, 1))).key


def texts(row: Row) -> list[str]:
    """Return what telemetry decided of a row."""
    return [row.group, row.because]


def test_long_text_is_cut() -> None:
    """A hostile attribute of five thousand letters cannot fill a row."""
    (row,) = list_rows(snapshots.hostile_snapshot())
    assert all(0 < len(text) < 200 for text in texts(row))
