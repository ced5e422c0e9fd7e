"""That a service's clock is ahead is said wherever its numbers are: metrics, API, page."""

from __future__ import annotations

from dataclasses import replace

from sloburn.duration import MINUTE, SECOND
from sloburn.outputs.api import head_document
from sloburn.outputs.detail import detail_of
from sloburn.outputs.exposition import render_metrics
from sloburn.outputs.pages import Pages, PageSettings, lead_lines
from sloburn.sli.leads import lead_note
from sloburn.slo import naming
from tests.outputs import snapshots

NAME = naming.SENDER_CLOCK_LEAD_SECONDS


def test_metrics_hold_the_lead() -> None:
    """The lead is a gauge by service, and absent where no clock leads."""
    snapshot = replace(snapshots.team_snapshot(), clock_leads={"shop": 200 * SECOND})
    _, body = render_metrics(snapshot)
    assert [line for line in body.decode().splitlines() if line.startswith(NAME)] == [f'{NAME}{{service="shop"}} 200.0']
    assert NAME not in render_metrics(snapshots.team_snapshot())[1].decode()


def test_the_api_and_the_page_say_it() -> None:
    """The API has the number and the words, the page the words."""
    note = lead_note("shop", 200 * SECOND)
    status = replace(snapshots.build_status(), clock_lead_ns=200 * SECOND, notes=(note,))
    document = head_document(status, 1)
    assert (document["clock_lead_seconds"], document["notes"]) == (200.0, [note])
    assert head_document(snapshots.build_status(), 1)["clock_lead_seconds"] is None
    assert note in detail_of(snapshots.snapshot_of(status), status).notes


def test_every_page_says_it_and_stays_short() -> None:
    """The overview names those that are most ahead, and how many more there are."""
    pages = Pages({}, PageSettings())
    assert "clock is" not in pages.overview(snapshots.team_snapshot(), part=True).decode()
    leads = {f"s{number}": number * SECOND for number in range(10, 15)}
    html = pages.overview(replace(snapshots.team_snapshot(), clock_leads=leads), part=True).decode()
    found = [line for line in html.splitlines() if "<strong>Clock:" in line]
    assert len(found) == 4
    assert all(f"{second} s ahead" in line for second, line in zip((14, 13, 12), found, strict=False))
    assert "and of 2 more" in found[3]
    (line,) = lead_lines(replace(snapshots.team_snapshot(), clock_leads={"x" * 10_000: MINUTE}))
    assert len(line) < 300
