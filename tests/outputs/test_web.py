"""The addresses of the application: status codes, headers, caches and sizes."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import httpx
import pytest

from sloburn.outputs.board import Board
from sloburn.outputs.exposition import TallyKind, TallySample
from sloburn.outputs.headers import SECURITY_HEADERS
from sloburn.outputs.pages import PageSettings
from sloburn.outputs.web import page_app
from sloburn.sli.status import SloState, Snapshot
from sloburn.slo import naming
from sloburn.slo.budget import Count
from tests.outputs import snapshots
from tests.outputs.serving import Direct

PAGES = (
    "/",
    "/slos/checkout-availability",
    "/slos/search-latency",
    "/slos/search-latency?group=http.route%3D%2Fsearch",
)
API = ("/api/v1/status", "/api/v1/slos", "/api/v1/slos/search-latency")


def client_of(snapshot: Snapshot | None = None, **options: object) -> Direct:
    """Return a client of an application that shows this snapshot."""
    board = Board()
    if snapshot is not None:
        board.publish(snapshot)
    return Direct(page_app(board, **options))  # type: ignore[arg-type]  # real options


@pytest.fixture(scope="module")
def client() -> Direct:
    """Return a client of an application that shows a team's bad day."""
    return client_of(snapshots.team_snapshot())


@pytest.mark.parametrize("path", PAGES)
def test_views_have_addresses(client: Direct, path: str) -> None:
    """Every view is a page of its own that no cache keeps."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize("path", PAGES)
def test_views_have_a_live_part(client: Direct, path: str) -> None:
    """The part that updates can be fetched alone, and is what the page holds."""
    part = client.get(path, params={**httpx.URL(path).params, "part": "live"}).text
    assert part.startswith('<div id="live"')
    assert part.strip() in client.get(path).text


@pytest.mark.parametrize("path", API)
def test_the_api_is_json(client: Direct, path: str) -> None:
    """Every document has the moment and the summary."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["summary"]["pages"] == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/slos/nothing", "There is no SLO named &#39;nothing&#39;."),
        ("/slos/search-latency?group=x", "SLO &#39;search-latency&#39; has no group &#39;x&#39;."),
        ("/static/nothing.js", "There is no such file."),
        ("/static/..%2fweb.py", "Not Found"),
        ("/slos/%3Cscript%3E", "There is no SLO named &#39;&lt;script&gt;&#39;."),
        ("/nowhere", "Not Found"),
    ],
)
def test_a_wrong_address_is_a_page_that_helps(client: Direct, path: str, words: str) -> None:
    """People get a page that names what is wrong and leads back."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert words in answer.text
    assert 'href="/">All SLOs</a>' in answer.text


def test_a_wrong_address_of_the_api_is_json(client: Direct) -> None:
    """Machines get JSON."""
    answer = client.get("/api/v1/slos/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "There is no SLO named 'nothing'."})
    assert client.get("/api/v2").json() == {"error": "Not Found"}


def test_a_wrong_method_names_the_right_ones(client: Direct) -> None:
    """The page is for reading."""
    answer = client.call("POST", "/api/v1/status")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize("path", [*PAGES, *API, "/metrics", "/healthz", "/nowhere", "/static/live.js"])
def test_every_answer_is_locked_down(client: Direct, path: str) -> None:
    """Whatever the address: nothing from elsewhere, no guessing of types, no frames, no referrer."""
    headers = client.get(path).headers
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "unsafe" not in headers["content-security-policy"]


def test_pinned_files_are_kept_for_ever(client: Direct) -> None:
    """A file under the address of its content never changes; under its bare name it is asked for again."""
    page = client.get("/").text
    href = page.split('src="')[1].split('"')[0]
    assert client.get(href).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/live.js").headers["cache-control"] == "no-cache"
    assert client.get("/static/live.js?v=old").headers["cache-control"] == "no-cache"
    assert client.get("/static/live.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_metrics_come_in_the_format_asked_for(client: Direct) -> None:
    """Prometheus asks for OpenMetrics and gets it; curl gets the classic format."""
    accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    assert client.get("/metrics", headers=accept).headers["content-type"].startswith("application/openmetrics-text")
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "Accept" in plain.headers["vary"]
    assert f"\n{naming.SLO_STATE}{{" in plain.text


def test_tallies_are_read_at_each_scrape() -> None:
    """What the receiver counts is fresh, and there before the engine has said anything."""
    counted = iter((1, 2))

    def tallies() -> list[TallySample]:
        return [TallySample(name=naming.REQUESTS_TOTAL, kind=TallyKind.COUNTER, help="Requests.", value=next(counted))]

    client = client_of(tallies=tallies)
    assert f"{naming.REQUESTS_TOTAL} 1.0" in client.get("/metrics").text
    assert f"{naming.REQUESTS_TOTAL} 2.0" in client.get("/metrics").text


def test_before_the_first_snapshot() -> None:
    """A starting processor is alive, not ready, and says so to people and machines alike."""
    client = client_of()
    assert client.get("/healthz").json() == {"status": "alive"}
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["status"]) == (503, "starting")
    page = client.get("/")
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert "The processor is starting." in page.text
    assert 'http-equiv="refresh"' in page.text
    assert client.get("/api/v1/status").json() == {"error": "The processor is starting."}
    assert client.get("/metrics").status_code == 200


def test_after_the_first_snapshot(client: Direct) -> None:
    """Ready means: there are numbers."""
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"status": "ready"})
    assert client.get("/healthz").json() == {"status": "alive"}


def test_what_nobody_foresaw_is_answered_politely() -> None:
    """A bug shows neither a traceback nor a bare line, and the answer is locked down like any other."""

    def broken() -> list[TallySample]:
        raise ZeroDivisionError("secret")

    client = client_of(snapshots.team_snapshot(), tallies=broken)
    answer = client.get("/metrics")
    assert answer.status_code == 500
    assert "Something is wrong inside sloburn." in answer.text
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == SECURITY_HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/slos/service-000-availability"])
def test_a_first_visit_is_small(path: str) -> None:
    """A hundred SLOs, with everything the page loads, travel in far less than 300 KB."""
    client = client_of(snapshots.many_snapshot())
    files = ("early.js", "live.js", "morph.js", "sloburn.css", "ember.svg")
    assert (
        sum(len(client.bytes_on_the_wire(address)) for address in (path, *(f"/static/{name}" for name in files)))
        < 60_000
    )


def test_large_answers_are_compressed(client: Direct) -> None:
    """Who can read gzip gets it."""
    body = client.bytes_on_the_wire("/api/v1/status")
    assert json.loads(gzip.decompress(body))["summary"]["pages"] == 1


def test_one_rendering_serves_all_until_the_next_snapshot() -> None:
    """A new snapshot is shown at once; between two, everybody gets the same."""
    board = Board()
    board.publish(snapshots.snapshot_of(snapshots.build_status()))
    client = Direct(page_app(board))
    first = client.get("/").text
    assert client.get("/").text == first
    board.publish(snapshots.demo_snapshot())
    assert "1 of 2 SLOs burns" in client.get("/").text


def test_groups_of_strangers_do_not_mix() -> None:
    """Each group has a page of its own, though all are rendered from one snapshot."""
    client = client_of(snapshots.team_snapshot())
    search, suggest = (
        client.get(f"/slos/search-latency?group=http.route%3D%2F{name}").text for name in ("search", "suggest")
    )
    assert "<title>ok: search-latency" in search
    assert "98,310" in search
    assert "98,310" not in suggest


def test_hostile_names_lead_to_their_pages() -> None:
    """The link of a row with a hostile group finds that group."""
    client = client_of(snapshots.hostile_snapshot())
    href = client.get("/").text.split('data-href="')[1].split('"')[0].replace("&amp;", "&")
    answer = client.get(href)
    assert answer.status_code == 200
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text


def test_the_page_names_where_telemetry_goes() -> None:
    """An idle page teaches the endpoint that this processor listens on, and the service that it waits for."""
    idle = snapshots.snapshot_of(snapshots.build_status(state=SloState.NO_DATA, count=Count()))
    client = client_of(idle, settings=PageSettings(otlp_endpoint="http://10.0.0.7:14318"))
    service = idle.statuses[0].slo.service
    line = f'init_telemetry(service_name="{service}", endpoint="http://10.0.0.7:14318")'
    assert line in client.get("/").text


def test_heads_have_no_body(client: Direct) -> None:
    """Probes that only ask for headers get them, also from the stream, which would not end."""
    for path in ("/", "/api/v1/status", "/api/v1/stream", "/metrics"):
        answer = client.call("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_gone_slo_is_gone() -> None:
    """An SLO that the next snapshot does not have is a 404, not an old rendering."""
    board = Board()
    board.publish(snapshots.demo_snapshot())
    client = Direct(page_app(board))
    assert client.get("/slos/checkout-latency").status_code == 200
    board.publish(replace(snapshots.demo_snapshot(), statuses=()))
    assert client.get("/slos/checkout-latency").status_code == 404
