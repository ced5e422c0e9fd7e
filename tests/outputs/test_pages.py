"""The page's HTML: what it says in every state, and that what telemetry wrote stays text."""
# ruff: noqa: RUF001  minus, dash and times signs are what the page shows

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sloburn.outputs.assets import load_assets
from sloburn.outputs.pages import Pages, PageSettings
from sloburn.sli.status import SloState, SloStatus, Snapshot
from sloburn.slo.budget import Count
from tests.outputs import snapshots
from tests.outputs.gallery import GALLERY
from tests.outputs.snapshots import build_status, snapshot_of

BLOCKS = {"p", "li", "dd", "dt", "td", "small"}
VOID = {"meta", "link", "br", "img", "input"}
PAGES = Pages(load_assets(), PageSettings())


class Reading(HTMLParser):
    """Reads a page: its elements with their attributes, its text, and whether it is well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element that ends where it starts, as in SVG."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Check that what ends is what started last."""
        assert self._open.pop() == tag
        if tag in BLOCKS:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        """Remember text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """The text with its white space made even."""
        return " ".join("".join(self.words).split())

    def named(self, tag: str) -> Iterator[dict[str, str | None]]:
        """Return the attributes of every element of a name."""
        return (attributes for name, attributes in self.elements if name == tag)


def overview(*statuses: SloStatus, **changes: object) -> Reading:
    """Read the list of these SLOs."""
    return Reading(PAGES.overview(snapshot_of(*statuses, **changes)).decode())


def detail(status: SloStatus, snapshot: Snapshot | None = None) -> Reading:
    """Read the page of one SLO."""
    return Reading(PAGES.detail(snapshot or snapshot_of(status), status).decode())


@pytest.mark.parametrize("make", GALLERY.values(), ids=GALLERY)
def test_every_view_is_well_formed(make: Callable[[], Snapshot]) -> None:
    """Every view of the gallery nests well, names its title, and repeats neither ids nor NaN."""
    snapshot = make()
    views = [PAGES.overview(snapshot), *(PAGES.detail(snapshot, status) for status in snapshot.statuses[:12])]
    for html in views:
        page = Reading(html.decode())
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert len(list(page.named("h1"))) == 1
        assert "sloburn" in page.text
        assert not re.search(r"\b(nan|None|inf)\b", page.text)


@pytest.mark.parametrize("make", GALLERY.values(), ids=GALLERY)
def test_nothing_comes_from_elsewhere(make: Callable[[], Snapshot]) -> None:
    """No view loads from another host, runs inline script, or has an inline style: the policy would stop it."""
    snapshot = make()
    views = [PAGES.overview(snapshot), *(PAGES.detail(snapshot, status) for status in snapshot.statuses[:12])]
    for html in views:
        page = Reading(html.decode())
        for tag, attributes in page.elements:
            loads = [attributes.get("src"), attributes.get("href") if tag in {"link", "use"} else None]
            assert all(address is None or address.startswith(("/static/", "#")) for address in loads)
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert all(attributes.get("src") for attributes in page.named("script"))
        assert not list(page.named("style"))


def test_the_live_part_is_a_part_of_the_page() -> None:
    """What an update fetches is letter by letter what the page holds."""
    snapshot = snapshots.team_snapshot()
    assert PAGES.overview(snapshot, part=True).strip() in PAGES.overview(snapshot)
    status = snapshot.statuses[4]
    assert PAGES.detail(snapshot, status, part=True).strip() in PAGES.detail(snapshot, status)


def test_the_answer_is_the_headline_and_the_title() -> None:
    """One line answers the first question: first on the page, and in the browser's tab."""
    page = Reading(PAGES.overview(snapshots.demo_snapshot()).decode())
    assert page.text.startswith("1 of 2 SLOs burns · 1 page · sloburn Skip to the SLOs sloburn 1 of 2 SLOs burns")


def test_state_is_a_word_and_a_shape() -> None:
    """Nobody needs to see colours: each row has its state as word and as shape."""
    page = Reading(PAGES.overview(snapshots.team_snapshot()).decode())
    shapes = {str(use["href"]).removeprefix("#shape-") for use in page.named("use")}
    for word in ("page", "exhausted", "ticket", "no data", "ok", "no traffic"):
        assert word in page.text
        assert word.replace(" ", "-") in shapes


def test_a_fast_clock_is_said() -> None:
    """A demo's windows are never mistaken for those of production."""
    assert "Demo clock: windows run 60× faster; 1 h is 1 min." in overview(build_status(), time_scale=60).text
    assert "Demo clock" not in overview(build_status()).text


def test_an_empty_page_teaches() -> None:
    """Without SLOs it shows how to write one; without events, how to send the first span, and where to."""
    assert "No SLO is loaded" in overview().text
    idle = overview(build_status(state=SloState.NO_DATA, count=Count())).text
    assert "Waiting for the first event" in idle
    assert 'init_telemetry(service_name="checkout", endpoint="http://127.0.0.1:4318")' in idle
    assert "first span" not in overview(build_status()).text


def test_a_silent_service_says_since_when() -> None:
    """No data is frozen, and dated."""
    status = build_status(state=SloState.NO_DATA)
    assert "no data alerts frozen since 11:02:11" in overview(status).text
    assert "The service has not reported since 11:02:11. Alerts are frozen" in detail(status).text


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (snapshots.burning_status(), "At this pace the budget is gone in 21 h 1 min."),
        (build_status(), "99.96 % of events were good over the last 30 d; 99.9 % is promised."),
        (build_status(), "At this pace the budget outlasts the period."),
        (build_status(count=Count(9_970, 30), state=SloState.EXHAUSTED), "The budget is overspent."),
        (build_status(count=Count(9_990, 10), state=SloState.EXHAUSTED), "The budget is spent."),
        (build_status(state=SloState.NO_TRAFFIC), "The newest event came at 14:02:10."),
        (build_status(state=SloState.NO_TRAFFIC, count=Count()), "No event of this SLO has come in the last 30 d."),
    ],
)
def test_the_sentence_says_what_becomes_of_it(status: SloStatus, sentence: str) -> None:
    """The page of an SLO starts with one sentence for people."""
    assert sentence in detail(status).text


def test_exact_values_are_there_on_hovering() -> None:
    """Raw counts stand behind each figure."""
    titles = {attributes.get("title") for attributes in detail(snapshots.burning_status()).named("span")}
    assert "99.952049 %: 2,878,619 good of 2,880,000 events, 1,381 bad" in titles
    assert "2,878,619 good, 1,381 bad, 2,880,000 total" in titles


def test_groups_are_listed_under_their_slo() -> None:
    """The address of an SLO with groups lists them, and nothing else."""
    page = Reading(PAGES.group_overview(snapshots.team_snapshot(), "search-latency").decode())
    assert "search-latency by group" in page.text
    assert len([row for row in page.named("tr") if str(row.get("class")).startswith("row")]) == 2


def test_rows_with_different_windows_do_not_share_a_heading() -> None:
    """The column of burns names its window only where all rows have that one."""
    fast, slow = snapshots.demo_snapshot().statuses[0], build_status(snapshots.build_slo("slow"))
    assert "Burn 1 h Gone in" in overview(slow).text
    assert "Burn Gone in" in overview(slow, fast).text


def test_traces_link_to_a_viewer_where_there_is_one() -> None:
    """With a trace viewer each trace is one click away; without, its id can be copied."""
    status = snapshots.burning_status()
    jaeger = Pages(load_assets(), PageSettings(trace_url="http://jaeger.example/trace/{trace_id}"))
    page = Reading(jaeger.detail(snapshot_of(status), status).decode())
    assert f"http://jaeger.example/trace/{snapshots.TRACE_ID}" in {a.get("href") for a in page.named("a")}
    plain = detail(status)
    assert "open trace" not in plain.text
    assert snapshots.TRACE_ID in {button.get("data-copy") for button in plain.named("button")}


def test_hostile_text_stays_text() -> None:
    """Tags, quotes and runaway attributes of telemetry are text: no element and no attribute comes of them."""
    snapshot = snapshots.hostile_snapshot()
    for html in (PAGES.overview(snapshot), PAGES.detail(snapshot, snapshot.statuses[0])):
        page = Reading(html.decode())
        assert b"<script>alert" not in html
        assert "<script>alert(1)</script>" in page.text
        assert {attributes.get("src", "").split("?")[0] for attributes in page.named("script") if attributes} <= {  # type: ignore[union-attr]  # scripts have a source
            "/static/early.js",
            "/static/live.js",
        }
        assert not [a for a in page.named("a") if str(a.get("href")).startswith("javascript:")]


def test_hostile_text_is_kept_from_turning_its_surroundings() -> None:
    """Whatever telemetry decides stands in <bdi>, so a right-to-left mark turns only itself; and it is cut short."""
    snapshot = snapshots.hostile_snapshot()
    html = PAGES.detail(snapshot, snapshot.statuses[0]).decode()
    text = re.sub(r"<bdi\b[^>]*>.*?</bdi>|<code\b.*?</code>|<[^>]*>", "", html, flags=re.DOTALL)
    assert "\u202e" not in text
    assert len(html) < 60_000


def test_a_trace_viewers_address_is_not_broken_out_of() -> None:
    """A trace id with quotes and tags is quoted where it becomes an address."""
    pages = Pages(load_assets(), PageSettings(trace_url="http://jaeger.example/trace/{trace_id}"))
    snapshot = snapshots.hostile_snapshot()
    page = Reading(pages.detail(snapshot, snapshot.statuses[0]).decode())
    (link,) = [str(a["href"]) for a in page.named("a") if "jaeger" in str(a.get("href"))]
    assert re.fullmatch(r"http://jaeger\.example/trace/[A-Za-z0-9%._~-]+", link)


def test_trouble_names_cause_and_next_step() -> None:
    """An error is a page, too, and hostile addresses cannot write on it."""
    page = Reading(PAGES.trouble("There is no SLO named '<b>'.", "All SLOs are listed on the first page.").decode())
    assert "There is no SLO named '<b>'. All SLOs are listed" in page.text
    assert not list(page.named("b"))


def test_waiting_pages_come_back_by_themselves() -> None:
    """A page that is too early is loaded again; one that is wrong is not."""
    soon = Reading(PAGES.trouble("Starting.", "Wait.", reload_seconds=1).decode())
    assert [m["content"] for m in soon.named("meta") if m.get("http-equiv") == "refresh"] == ["1"]
    assert "http-equiv" not in PAGES.trouble("Gone.", "Go.").decode()


def test_a_rate_of_no_events_is_no_percentage() -> None:
    """0/0 is a dash on both views."""
    status = replace(build_status(state=SloState.NO_TRAFFIC, count=Count()), last_event_unix_nano=0)
    assert "– / 99.9" in overview(status).text
    assert "100.0" not in overview(status).text
    assert "SLI – of 99.9 % promised" in detail(status).text
