"""How urgent SLOs are, and all of them in one line."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sloburn.duration import DAY, HOUR
from sloburn.outputs.pages import mood
from sloburn.outputs.rows import row_of
from sloburn.outputs.standing import Outlook, Standing, by_urgency, outlook_of, standing_of, summarize
from sloburn.sli.status import SloState, SloStatus, Snapshot
from sloburn.slo.budget import Count
from sloburn.slo.model import Severity
from tests.outputs import snapshots
from tests.outputs.snapshots import build_slo, build_status, firing

PAGE = {Severity.PAGE: firing(Severity.PAGE)}
TICKET = {Severity.TICKET: firing(Severity.TICKET)}
SPENT = Count(9_900, 100)


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        (build_status(), Standing.OK),
        (build_status(state=SloState.BURNING, alerts=PAGE), Standing.PAGE),
        (build_status(state=SloState.BURNING, alerts=PAGE | TICKET), Standing.PAGE),
        (build_status(state=SloState.BURNING, alerts=TICKET), Standing.TICKET),
        (build_status(state=SloState.EXHAUSTED, count=SPENT), Standing.EXHAUSTED),
        (build_status(state=SloState.BURNING, alerts=TICKET, count=SPENT), Standing.EXHAUSTED),
        (build_status(state=SloState.BURNING, alerts=PAGE, count=SPENT), Standing.PAGE),
        (build_status(state=SloState.NO_TRAFFIC, count=Count()), Standing.NO_TRAFFIC),
        (build_status(state=SloState.NO_DATA), Standing.NO_DATA),
        (build_status(state=SloState.NO_DATA, alerts=PAGE), Standing.NO_DATA),
    ],
)
def test_one_word_for_each_status(status: SloStatus, standing: Standing) -> None:
    """A page outranks a spent budget, which outranks a ticket; without data nothing else is claimed."""
    assert standing_of(status) is standing


def test_the_most_urgent_is_first() -> None:
    """The list starts with what somebody must do something about."""
    order = [status.slo.name for status in by_urgency(snapshots.team_snapshot().statuses)]
    assert order == [
        "checkout-availability",
        "invoice-pdf",
        "mail-delivery",
        "export-jobs",
        "login-availability",
        "search-latency",
        "search-latency",
        "admin-pages",
    ]


def test_of_two_pages_the_sooner_gone_is_first() -> None:
    """Among equals the budget that is gone first comes first; a budget that lasts comes last."""
    pages = [
        build_status(build_slo(name), state=SloState.BURNING, alerts=PAGE, exhaustion_ns=left)
        for name, left in (("a", DAY), ("b", HOUR), ("c", None))
    ]
    assert [status.slo.name for status in by_urgency(pages)] == ["b", "a", "c"]


def test_calm_rows_keep_their_places() -> None:
    """SLOs that hold are sorted by name, whatever their budgets do."""
    rows = [
        build_status(build_slo(name), count=Count(10_000 - bad, bad)) for name, bad in (("b", 9), ("a", 0), ("c", 5))
    ]
    assert [status.slo.name for status in by_urgency(rows)] == ["a", "b", "c"]


def test_a_frozen_page_stays_on_top() -> None:
    """A service that pages and then falls silent does not sink below one that raises a ticket."""
    frozen = build_status(build_slo("frozen"), state=SloState.NO_DATA, alerts=PAGE)
    ticket = build_status(build_slo("ticket"), state=SloState.BURNING, alerts=TICKET)
    assert [status.slo.name for status in by_urgency([ticket, frozen])] == ["frozen", "ticket"]


@pytest.mark.parametrize(
    ("snapshot", "text", "word"),
    [
        (snapshots.snapshot_of(), "No SLOs yet", Standing.NO_TRAFFIC),
        (
            snapshots.snapshot_of(build_status(state=SloState.NO_DATA, count=Count())),
            "Waiting for the first event",
            Standing.NO_DATA,
        ),
        (snapshots.snapshot_of(build_status()), "The SLO holds", Standing.OK),
        (snapshots.many_snapshot(14), "All 14 SLOs hold", Standing.OK),
        (snapshots.demo_snapshot(), "1 of 2 SLOs burns · 1 page", Standing.PAGE),
        (
            snapshots.team_snapshot(),
            "2 of 7 SLOs burn · 1 is exhausted · 1 has no data · 1 page · 1 ticket",
            Standing.PAGE,
        ),
        (
            snapshots.snapshot_of(build_status(state=SloState.EXHAUSTED, count=SPENT)),
            "1 of 1 SLO is exhausted",
            Standing.EXHAUSTED,
        ),
        (
            snapshots.snapshot_of(build_status(state=SloState.NO_DATA), build_status(build_slo("other"))),
            "1 of 2 SLOs has no data",
            Standing.NO_DATA,
        ),
    ],
)
def test_one_line_answers_the_first_question(snapshot: Snapshot, text: str, word: Standing) -> None:
    """Are we keeping our promises? The line says so, and its mood is the most urgent standing."""
    summary = summarize(snapshot)
    assert summary.text == text
    assert mood(summary) is word


def test_groups_of_one_slo_count_once_but_page_twice() -> None:
    """Two burning groups are one burning SLO, and two pages that somebody gets."""
    slo = build_slo(group_by=("route",))
    groups = [build_status(slo, state=SloState.BURNING, alerts=PAGE, group=(("route", r),)) for r in ("/a", "/b")]
    assert summarize(snapshots.snapshot_of(*groups)).text == "1 of 1 SLO burns · 2 pages"


@pytest.mark.parametrize(
    ("status", "outlook"),
    [
        (build_status(count=Count(9_970, 30)), Outlook.OVERSPENT),
        (build_status(count=Count(9_990, 10)), Outlook.SPENT),
        (snapshots.burning_status(), Outlook.GOES),
        (replace(build_status(), exhaustion_ns=20 * DAY), Outlook.GOES),
        (replace(build_status(), exhaustion_ns=31 * DAY), Outlook.LASTS),
        (replace(build_status(), exhaustion_ns=None), Outlook.LASTS),
        (build_status(windows={HOUR: Count()}), Outlook.QUIET),
        (build_status(state=SloState.NO_TRAFFIC), Outlook.QUIET),
    ],
)
def test_what_becomes_of_the_budget(status: SloStatus, outlook: Outlook) -> None:
    """An SLO that holds but burns faster than its period is not said to last."""
    assert outlook_of(status) is outlook


def test_exactly_zero_left_is_exhausted() -> None:
    """A budget that is spent to the last event is gone, though not overspent."""
    status = build_status(count=Count(9_990, 10))
    assert status.budget_remaining == Fraction(0)
    assert standing_of(status) is Standing.EXHAUSTED


def test_a_budget_alert_is_no_burn() -> None:
    """A budget alert calls somebody, but says that it burned, not that it burns."""
    low = replace(firing(Severity.TICKET), left=Fraction(1, 10))
    status = replace(build_status(), alerts=(low,))
    summary = summarize(snapshots.snapshot_of(status, build_status(build_slo("other"))))
    assert summary.text == "All 2 SLOs hold · 1 ticket"
    assert mood(summary) is Standing.TICKET
    assert standing_of(status) is Standing.TICKET
    assert row_of(status).remark == "at most 10 % left"
