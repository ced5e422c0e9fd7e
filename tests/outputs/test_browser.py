"""The page in a real browser: what a person sees, keeps and can reach while it updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from sloburn.duration import SECOND
from sloburn.outputs.pages import PageSettings
from sloburn.outputs.rows import address
from sloburn.sli.status import SloState, Snapshot
from tests.outputs import snapshots
from tests.outputs.browsing import QUIET, axe_source, chromium
from tests.outputs.serving import Served, served
from tests.processor import wait_until

WAIT_MS = 60_000
SETTINGS = PageSettings(heartbeat_seconds=0.5)
TEAM = snapshots.team_snapshot()
BURNING = "/slos/checkout-availability"
GROUP = address(snapshots.hostile_snapshot().statuses[0])

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for all tests."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """Serve a team's bad day to all tests that change nothing."""
    with served(TEAM, settings=SETTINGS) as running:
        yield running


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open an address; afterwards the console must hold no error, and the policy no violation.

    The page's clock stands still, unless a test turns it: on a slow machine nothing looks old that is not meant to, and
    the snapshots' day is today.

    Args:
        browser: Where.
        url: What.
        options: Of the browser's context.
    """
    options.setdefault("viewport", {"width": 1120, "height": 800})
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    context = browser.new_context(timezone_id="America/New_York", **options)
    try:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        turn_clock(page, 0)
        page.goto(url)
        yield page
        assert complaints == []
    finally:
        context.close()


def turn_clock(page: Page, seconds: int) -> None:
    """Let the page believe that it is so long after the first snapshot."""
    page.clock.set_fixed_time(snapshots.NOW / SECOND + seconds)


def grow_old(page: Page, words: str) -> None:
    """Let the page's time pass until it is grey and says why: an answer on its way makes it young once more."""
    passed = count(6, 6)
    grey = "document.querySelector('.is-stale')?.querySelector('.pulse-word').textContent"
    seen = f"{grey} === 'stale' && document.querySelector('.lost').innerText"

    def is_old() -> bool:
        turn_clock(page, next(passed))
        return words in (page.evaluate(seen) or "")

    wait_until(is_old, words)


def after(snapshot: Snapshot, seconds: int, **changes: object) -> Snapshot:
    """Return a snapshot some seconds later, with its first SLO changed."""
    first = replace(snapshot.statuses[0], **changes)  # type: ignore[arg-type]  # tests name real fields
    at = snapshot.at_unix_nano + seconds * SECOND
    return replace(snapshot, at_unix_nano=at, statuses=(first, *snapshot.statuses[1:]))


def test_an_update_changes_the_numbers_and_nothing_else(browser: Browser) -> None:
    """Focus, selection and scroll survive; the row is the same element, in the same place, with new numbers."""
    snapshot = snapshots.many_snapshot(60)
    with served(snapshot, settings=SETTINGS) as server, opened(browser, server.url) as page:
        row = page.locator("tr", has_text="service-000-availability")
        page.get_by_role("link", name="service-040-availability").focus()
        page.evaluate("scrollTo(0, 700)")
        page.evaluate("document.querySelectorAll('.row')[0].marked = true")
        page.evaluate("getSelection().selectAllChildren(document.querySelectorAll('.name')[12])")
        before = page.evaluate("[scrollY, String(getSelection()), document.activeElement.textContent]")
        server.play(after(snapshot, 1, sli=Fraction(9_997, 10_000)))
        expect(row.locator(".c-sli .figure")).to_have_text("99.97 %")
        assert page.evaluate("document.querySelectorAll('.row')[0].marked") is True
        assert page.evaluate("[scrollY, String(getSelection()), document.activeElement.textContent]") == before
        assert before == [700, "service-012-availability", "service-040-availability"]


def test_rows_do_not_jump_away_from_a_focus(browser: Browser) -> None:
    """A new page rises to the top, except while somebody is in the list: then it waits, with its new state shown."""
    calm = snapshots.many_snapshot(3)
    loud = replace(calm.statuses[2], alerts=snapshots.burning_status().alerts, state=SloState.BURNING)
    storm = replace(calm, at_unix_nano=calm.at_unix_nano + SECOND, statuses=(*calm.statuses[:2], loud))
    with served(calm, settings=SETTINGS) as server, opened(browser, server.url) as page:
        names = page.locator(".row .name")
        names.nth(1).focus()
        server.play(storm)
        expect(page.locator("h1")).to_have_text("1 of 3 SLOs burns · 1 page")
        expect(page.locator(".row").nth(2).locator(".badge")).to_have_text("page")
        page.evaluate("document.activeElement.blur()")
        server.play(replace(storm, at_unix_nano=storm.at_unix_nano + SECOND))
        expect(names.nth(0)).to_have_text("service-002-availability")


def test_a_silent_server_greys_the_page_out(browser: Browser) -> None:
    """Six seconds without a word: the page greys out and says since when; the next word brings it back."""
    silent = PageSettings(heartbeat_seconds=600)
    with served(TEAM, settings=silent) as server, opened(browser, server.url) as page:
        lost, body = page.locator(".lost"), page.locator("body")
        expect(page.locator(".pulse-word")).to_have_text("live")
        grow_old(page, "Nothing heard from the server since")
        server.play(replace(TEAM, at_unix_nano=TEAM.at_unix_nano + SECOND))
        expect(body).not_to_contain_class("is-stale")
        expect(lost).to_be_hidden()


def test_numbers_that_stand_still_are_not_called_live(browser: Browser) -> None:
    """A server that answers but has nothing new is another trouble than one that is gone, and is told apart."""
    chatty = PageSettings(heartbeat_seconds=0.1)
    with served(TEAM, settings=chatty) as server, opened(browser, server.url) as page:
        expect(page.locator(".pulse-word")).to_have_text("live")
        grow_old(page, "its numbers stand still")


def test_rows_that_go_take_no_focus_along(browser: Browser) -> None:
    """When an SLO above disappears, who is in the list stays where they are."""
    snapshot = snapshots.many_snapshot(3)
    with served(snapshot, settings=SETTINGS) as server, opened(browser, server.url) as page:
        page.locator(".row .name").nth(2).focus()
        server.play(replace(snapshot, at_unix_nano=snapshots.NOW + SECOND, statuses=snapshot.statuses[1:]))
        expect(page.locator(".row")).to_have_count(2)
        assert page.evaluate("document.activeElement.textContent") == "service-002-availability"


def test_switches_change_time_and_theme_and_are_remembered(browser: Browser, server: Served) -> None:
    """UTC or local, automatic, light or dark: one click each, kept over a reload."""
    with opened(browser, server.url + BURNING, color_scheme="light") as page:
        fired = page.locator(".sev-page .m-fired time")
        expect(fired).to_have_text("13:59:11")
        zone, theme = page.locator("[data-switch=zone]"), page.locator("[data-switch=theme]")
        zone.click()
        expect(fired).to_have_text("08:59:11")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        theme.click()
        theme.click()
        expect(theme).to_have_text("dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        page.reload()
        expect(zone).to_have_text("local")
        expect(theme).to_have_text("dark")
        expect(fired).to_have_text("08:59:11")


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, server: Served) -> None:
    """At 375 pixels everything is readable by scrolling down alone."""
    with opened(browser, server.url, viewport={"width": 375, "height": 800}) as page:
        for path in ("/", BURNING, "/slos/invoice-pdf", "/slos/search-latency"):
            page.goto(server.url + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_hostile_text_breaks_nothing(browser: Browser) -> None:
    """Five thousand letters without a space, tags and marks: no script runs, nothing sticks out at any width."""
    with served(snapshots.hostile_snapshot(), settings=SETTINGS) as server, opened(browser, server.url) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        for path in ("/", GROUP):
            page.goto(server.url + path)
            expect(page.locator(".pulse-word")).to_have_text("live")
            for width in (1120, 800, 375):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)


def test_the_keyboard_reaches_everything(browser: Browser, server: Served) -> None:
    """The first Tab offers to skip to the SLOs; from there Enter opens the most urgent one."""
    with opened(browser, server.url) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "checkout-availability"
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{BURNING}")


def test_the_page_works_without_javascript(browser: Browser, server: Served) -> None:
    """Everything is in the HTML, which then loads itself again; switches that would do nothing are hidden."""
    with opened(browser, server.url + BURNING, java_script_enabled=False) as page:
        expect(page.locator("h1")).to_have_text("checkout-availability")
        expect(page.locator(".chart .line")).to_be_attached()
        expect(page.locator(".switches")).to_be_hidden()
        expect(page.locator(".pulse")).to_contain_text("as of 14:02:11 UTC")


def test_a_click_on_a_row_opens_it(browser: Browser, server: Served) -> None:
    """The whole row is a target, not only its name."""
    with opened(browser, server.url) as page:
        page.locator(".row .c-budget").first.click()
        page.wait_for_url(f"**{BURNING}")


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe-core, or skip with the reason."""
    try:
        return axe_source()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("path", ["/", BURNING, "/slos/invoice-pdf"])
def test_axe_finds_nothing(browser: Browser, server: Served, axe: str, path: str) -> None:
    """Contrast, names, roles and order are as WCAG 2.2 AA wants them, in both themes."""
    with opened(browser, server.url + path, bypass_csp=True) as page:
        expect(page.locator(".pulse-word")).to_have_text("live")
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("axe.run().then((result) => result.violations)")
            assert [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]] == [], scheme


def test_deploys_and_exclusions_are_drawn(browser: Browser, axe: str) -> None:
    """Lines and gaps lie where they belong, are said in words below, and axe has nothing to say of them."""
    with (
        served(snapshots.story_snapshot(), settings=SETTINGS) as story,
        opened(browser, story.url + BURNING, bypass_csp=True) as page,
    ):
        plot = page.locator(".plot").bounding_box()
        marks = [mark.bounding_box() for mark in page.locator(".mark line:not(.mark-hit)").all()]
        gap = page.locator(".gap").first.bounding_box()
        assert plot is not None
        assert gap is not None
        places = [mark["x"] for mark in marks if mark is not None]
        assert places == sorted(places)
        assert len(places) == 4
        assert plot["x"] <= gap["x"] < places[0] <= places[-1] <= plot["x"] + plot["width"]
        expect(page.locator(".mark text")).to_have_text(["v2.3.0", "v2.4.0", "2.4.1"])
        expect(page.locator(".marks").first).to_contain_text("2.4.1 first seen 13:55:11")
        expect(page.locator(".marks").last).to_contain_text("Not counted: failover drill: 1 time, 1 d together")
        expect(page.locator(".deploy")).to_have_text("2.4.1 was deployed 3 min 59 s before the burn began.")
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("axe.run().then((result) => result.violations)")
            assert [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]] == [], scheme
