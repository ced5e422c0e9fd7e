"""What the page of one SLO says."""
# ruff: noqa: RUF001  minus, dash and times signs are what the page shows

from __future__ import annotations

from dataclasses import replace

import pytest

from sloburn.duration import DAY, HOUR, MINUTE
from sloburn.outputs.detail import Detail, detail_of, find_status, verdict
from sloburn.outputs.standing import Standing
from sloburn.sli.status import SloState, Snapshot
from sloburn.slo.alerting import Alert, AlertState, PairReading, read_pair
from sloburn.slo.budget import Count
from sloburn.slo.model import Severity
from tests.outputs import snapshots
from tests.outputs.snapshots import build_slo, build_status, suspect


def detail(snapshot: Snapshot) -> Detail:
    """Return the page of the first SLO of a snapshot."""
    return detail_of(snapshot, snapshot.statuses[0])


def pair(long: Count, short: Count) -> PairReading:
    """Read the fastest pair of an SLO of 99.9 %: over above 14.4."""
    slo = build_slo()
    return read_pair(slo.alerting.windows[0], slo.objective, long=long, short=short)


@pytest.mark.parametrize(
    ("long", "short", "words"),
    [
        (Count(), Count(), "no events"),
        (Count(10_000, 0), Count(100, 0), "below: 0 % of the threshold"),
        (Count(9_928, 72), Count(1_000, 0), "below: 50 % of the threshold"),
        (Count(9_928, 72), Count(), "below: 50 % of the threshold"),
        (Count(9_928, 72), Count(90, 10), "rising: long window at 50 %"),
        (Count(9_700, 300), Count(100, 0), "easing: short window is below"),
        (Count(9_700, 300), Count(), "short window is silent"),
        (Count(9_712, 288), Count(900, 100), "over: 2.0× the threshold"),
        (Count(9_000, 1_000), Count(0, 100), "over: 6.9× the threshold"),
        (Count(0, 1_000), Count(0, 100), "over: 69× the threshold"),
        (Count(9_840, 160), Count(900, 100), "over: 1.11× the threshold"),
        (Count(96, 4), Count(1, 1), "over, but 4 of 5 bad events needed"),
        (Count(9_856, 144), Count(9_856, 144), "below: 100 % of the threshold"),
    ],
)
def test_verdicts(long: Count, short: Count, words: str) -> None:
    """A pair says in words where it stands and by how much; exactly at the threshold is not over."""
    assert verdict(pair(long, short), 5) == words


def test_bars_have_their_threshold_in_the_middle() -> None:
    """Nothing is at the left end, the threshold half-way, a total outage near the right end."""
    outage = {HOUR: Count(0, 1_000), 5 * MINUTE: Count(9_856, 144)}
    reading = detail(snapshots.snapshot_of(build_status(windows=outage))).pairs[0]
    assert (reading.long.place, reading.long.over) == ("98.6%", True)
    assert (reading.short.place, reading.short.over) == ("50.0%", False)
    assert reading.short.burn.title == "144 bad of 10,000 events in the last 5 min"


def test_a_fast_clock_names_both_windows() -> None:
    """On the demo's clock each window says what it stands for; in production it stands for itself."""
    fast = detail(snapshots.demo_snapshot())
    assert (fast.period, fast.period_stands_for) == ("12 h", "30 d")
    assert (fast.pairs[3].long.window, fast.pairs[3].long.stands_for) == ("1 h 12 min", "3 d")
    assert detail(snapshots.team_snapshot()).pairs[3].long.stands_for == ""


@pytest.mark.parametrize(
    ("runbook", "link", "text"),
    [
        ("https://runbooks.example/x", "https://runbooks.example/x", ""),
        ("http://runbooks.example/x", "http://runbooks.example/x", ""),
        ("javascript:alert(1)", "", "javascript:alert(1)"),
        ("ask Petra", "", "ask Petra"),
        ("", "", ""),
    ],
)
def test_only_web_addresses_become_links(runbook: str, link: str, text: str) -> None:
    """A runbook is followed only where a browser fetches a page; anything else is shown as text."""
    shown = detail(snapshots.snapshot_of(build_status(build_slo(runbook=runbook))))
    assert (shown.runbook, shown.runbook_text) == (link, text)


def test_an_alerts_life_is_told_in_order() -> None:
    """An alert that resolved, then fired again, starts with the resolution of its life before."""
    again = Alert(
        severity=Severity.PAGE,
        state=AlertState.FIRING,
        pending_unix_nano=snapshots.NOW - 2 * MINUTE,
        fired_unix_nano=snapshots.NOW - MINUTE,
        resolved_unix_nano=snapshots.NOW - DAY,
    )
    rows = detail(snapshots.snapshot_of(build_status(alerts={Severity.PAGE: again}))).alerts
    assert [moment.word for moment in rows[0].moments] == ["resolved", "pending", "fired"]
    assert (rows[1].state, rows[1].moments) == (AlertState.INACTIVE, ())


def test_suspects() -> None:
    """Shares of bad and good side by side, and how many times more common a value is among the bad."""
    found = (suspect(), suspect("error.type", "Boom", 91, 0), suspect("a", "b", 3, 2), suspect("rare", "x", 100, 1))
    no_good = replace(suspect(), good_share=None)
    rows = detail(snapshots.snapshot_of(build_status(suspects=(*found, no_good)))).suspects
    assert [row.lift for row in rows] == ["7.8×", "only bad", "1.50×", "100×", "–"]
    assert (rows[0].bad_share, rows[0].good_share, rows[0].bad_place, rows[0].good_place) == (
        "94",
        "12",
        "94.0%",
        "12.0%",
    )
    assert (rows[4].good_share, rows[4].good_place) == ("–", "0.0%")
    assert rows[0].title == "94 bad and 12 good events have it"


def test_a_trace_shows_a_bounded_part_of_itself() -> None:
    """Eight attributes and some hundred letters each: the rest is counted, not shown."""
    attributes = tuple((f"k{n}", "v" * 1_000) for n in range(11))
    status = build_status(failing=(snapshots.failing_trace(attributes=attributes, message="m" * 1_000),))
    (trace,) = detail(snapshots.snapshot_of(status)).failing
    assert (len(trace.attributes), trace.more) == (8, 3)
    assert (len(trace.attributes[0][1]), len(trace.message)) == (200, 400)
    assert trace.duration == "31 ms"


def test_a_trace_does_not_repeat_itself() -> None:
    """Attributes that say what status, exception and name say already are left out."""
    trace = snapshots.failing_trace(
        attributes=(("http.response.status_code", "500"), ("error.type", "Boom"), ("http.route", "/pay")),
        exception="Boom",
    )
    (row,) = detail(snapshots.snapshot_of(build_status(failing=(trace,)))).failing
    assert (row.attributes, row.more) == ((("http.route", "/pay"),), 0)


def test_only_the_newest_traces_are_shown() -> None:
    """A page holds ten traces and counts the others."""
    status = build_status(failing=tuple(snapshots.failing_trace(index) for index in range(23)))
    shown = detail(snapshots.snapshot_of(status))
    assert (len(shown.failing), shown.failing[0].trace_id, shown.more_failing) == (10, snapshots.TRACE_ID, 13)


def test_since_belongs_to_the_state() -> None:
    """A ticket of a spent budget is shown as exhausted, but what it is since then is burning."""
    status = build_status(
        state=SloState.BURNING, alerts={Severity.TICKET: snapshots.firing(Severity.TICKET)}, count=Count(9_900, 100)
    )
    shown = detail(snapshots.snapshot_of(status))
    assert (shown.row.standing, shown.state) == (Standing.EXHAUSTED, SloState.BURNING)


def test_groups_know_their_siblings() -> None:
    """The page of a group links to the others, most urgent first, and marks itself."""
    snapshot = snapshots.team_snapshot()
    status = find_status(snapshot, "search-latency", "http.route=/suggest")
    assert status is not None
    siblings = detail_of(snapshot, status).siblings
    assert [(s.text, s.current, s.standing) for s in siblings] == [
        ("http.route=/search", False, Standing.OK),
        ("http.route=/suggest", True, Standing.OK),
    ]
    assert detail(snapshot).siblings == ()


def test_groups_are_found_by_label() -> None:
    """A name finds an SLO without groups, name and label find a group, and anything else finds nothing."""
    snapshot = snapshots.team_snapshot()
    assert find_status(snapshot, "mail-delivery", "") is snapshot.statuses[3]
    assert find_status(snapshot, "search-latency", "") is None
    assert find_status(snapshot, "search-latency", "http.route=/nowhere") is None
    assert find_status(snapshot, "nothing", "") is None


def test_groups_that_alert_together_say_who_speaks() -> None:
    """The whole says that it sums its groups; a group says where its alerts are, and how little traffic it has."""
    plain = build_slo(group_by=("tenant",))
    slo = replace(plain, alerting=replace(plain.alerting, together=True))
    whole = build_status(slo)
    group = build_status(slo, count=Count(1_000, 2), group=(("tenant", "a"),), alerts={})
    group = replace(group, alerts=())
    snapshot = snapshots.snapshot_of(whole, group)
    top, part = detail_of(snapshot, whole), detail_of(snapshot, group)
    assert (top.speaks_for_groups, top.spoken_for, top.row.group) == (True, False, "all groups")
    assert (part.speaks_for_groups, part.spoken_for, part.alerts) == (False, True, ())
    assert part.low_traffic.startswith("only 1 event in the last 1 h, where one failure alone is over below 70")
    assert [sibling.text for sibling in part.siblings] == ["all groups", "tenant=a"]


def test_budget_alerts_say_what_they_watch() -> None:
    """A budget alert is told from the burn alert of its severity, and when it ends."""
    snapshot = snapshots.story_snapshot()
    alerts = detail_of(snapshot, snapshot.statuses[0]).alerts
    assert [alert.watches for alert in alerts] == [
        "",
        "",
        "at most 55 % of the budget left; ends above 60 %",
        "budget exhausted; ends above 5 %",
    ]
