"""``sloburn autopsy``, against a page and against recorded telemetry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sloburn.duration import SECOND
from sloburn.outputs.wording import TIMES
from tests.cli.calls import Result, call
from tests.outputs import snapshots
from tests.outputs.serving import Served, served
from tests.processor import free_ports
from tests.scenarios.replay.make import BEGIN, SLO, lines
from tests.telemetry import SpanSpec, trace_request


@pytest.fixture(scope="module")
def page() -> Iterator[Served]:
    """Serve a team's bad day."""
    with served(snapshots.team_snapshot()) as running:
        yield running


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a recording in which one of two routes fails, and an SLO document beside it."""
    folder = tmp_path_factory.mktemp("recorded")
    spans = [
        SpanSpec(
            number=number,
            end=BEGIN + number * SECOND,
            error=number % 2 == 0 and number > 20,
            values={"http.route": "/pay" if number % 2 == 0 else "/home", "http.request.method": "POST"},
        )
        for number in range(1, 61)
    ]
    (folder / "traces.json").write_bytes(lines(trace_request([span]) for span in spans))
    (folder / "slos.yaml").write_text(SLO)
    return folder


def dissect(folder: Path, *further: str) -> Result:
    """Dissect the recording."""
    return call("autopsy", *further, "--slos", str(folder / "slos.yaml"), "--recorded", str(folder / "traces.json"))


def test_a_running_processor_is_asked(page: Served) -> None:
    """The strongest value comes first, with counts, shares, lift and a trace that has it."""
    result = call("autopsy", "checkout-availability", "--from", page.url)
    assert (result.status, result.err) == (0, "")
    head, _, titles, first, *_ = result.out.splitlines()
    assert head == ("checkout-availability of checkout: burning, page firing at 2026-11-21T14:02:11.250Z")
    assert titles.split() == ["WHAT", "STANDS", "OUT", "BAD", "GOOD", "OF", "BAD", "OF", "GOOD", "LIFT", "TRACE"]
    expected = ["http.route=/pay", "94", "12", "94.0", "%", "12.0", "%", f"7.8{TIMES}", snapshots.TRACE_ID]
    assert first.split() == expected
    assert "only bad" in result.out
    assert "NEWEST FAILING TRACE" in result.out


def test_without_a_name_everything_that_burns(page: Served) -> None:
    """Who does not know which SLO burns gets all that do, and those without budget."""
    document = json.loads(call("autopsy", "--from", page.url, "--json").out)
    names = [slo["name"] for slo in document["slos"]]
    assert sorted(names) == ["checkout-availability", "invoice-pdf", "mail-delivery"]
    first = next(slo for slo in document["slos"] if slo["name"] == "checkout-availability")["suspects"][0]
    assert (first["key"], first["bad"], first["good"], round(first["lift"], 2)) == ("http.route", 94, 12, 7.83)
    assert first["trace_ids"][0] == snapshots.TRACE_ID


def test_a_group_is_picked_by_its_label(page: Served) -> None:
    """Of an SLO with groups all are told, or the one that is named."""
    whole = json.loads(call("autopsy", "search-latency", "--from", page.url, "--json").out)
    assert [slo["group"]["http.route"] for slo in whole["slos"]] == ["/search", "/suggest"]
    one = call("autopsy", "search-latency", "--group", "http.route=/suggest", "--from", page.url)
    assert one.out.startswith("search-latency http.route=/suggest of search: ok, no alert firing")
    assert "No attribute value stands out" in one.out
    none = call("autopsy", "search-latency", "--group", "http.route=/sugest", "--from", page.url)
    assert none.status == 1
    assert none.err.endswith("(did you mean http.route=/suggest?); known: http.route=/search, http.route=/suggest\n")


def test_an_unknown_name_lists_the_known_ones(page: Served) -> None:
    """A typing error costs one look."""
    result = call("autopsy", "checkout-availabilty", "--from", page.url)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(
        "there is no SLO 'checkout-availabilty' (did you mean checkout-availability?); known: admin-pages, "
    )


def test_nobody_answers() -> None:
    """A processor that cannot be asked is neither good nor bad news: status 3."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    result = call("autopsy", "--from", address)
    assert result.status == 3
    assert result.err.startswith(f"cannot tell: {address}/api/v1/slos does not answer")


def test_a_recording_is_dissected(recorded: Path) -> None:
    """The route that fails stands out of recorded telemetry; the method that all have does not."""
    document = json.loads(dissect(recorded, "--json").out)
    (slo,) = document["slos"]
    (suspect,) = [one for one in slo["suspects"] if one["key"] == "http.route"]
    assert (suspect["value"], suspect["bad"], suspect["good"], suspect["lift"]) == ("/pay", 20, 10, 4)
    assert suspect["trace_ids"][0] == f"{60:032x}"
    assert "http.request.method" not in {one["key"] for one in slo["suspects"]}


def test_a_recording_at_a_moment(recorded: Path) -> None:
    """Before the trouble began nothing burns; before the recording began nothing is known."""
    calm = dissect(recorded, "--at", "2026-11-21T14:00:15Z")
    assert (calm.status, calm.out) == (
        0,
        "Nothing to dissect at 2026-11-21T14:00:15.000Z: no SLO burns or is exhausted\n",
    )
    early = dissect(recorded, "--at", "2026-11-21T13:00:00Z")
    assert (early.status, early.err) == (
        1,
        "--at: 2026-11-21T13:00:00Z is before the recording begins, at 2026-11-21T14:00:01.000Z\n",
    )
    assert dissect(recorded, "--at", "noon").err == "--at: found 'noon'; expected a time like 2026-11-21T14:05:00Z\n"


def test_wrong_calls(recorded: Path) -> None:
    """Half a call is refused with status 2, and a wrong input with status 1."""
    half = call("autopsy", "--slos", str(recorded / "slos.yaml"))
    assert (half.status, half.err) == (
        2,
        "--recorded and --slos belong together: recorded telemetry, and what it is judged by\n",
    )
    assert dissect(recorded, "other").err == "there is no SLO 'other'; known: availability\n"
    missing = call("autopsy", "--slos", str(recorded / "slos.yaml"), "--recorded", "/nowhere.json")
    assert (missing.status, missing.err) == (1, "/nowhere.json: cannot be read: No such file or directory\n")


def test_hostile_telemetry_does_not_reach_the_terminal() -> None:
    """Escape sequences and half characters from telemetry are shown as what they are: nothing a terminal obeys."""
    trace = snapshots.failing_trace(exception="\x1b[2Jgone", name=snapshots.SURROGATE)
    status = replace(
        snapshots.burning_status(), failing=(trace,), suspects=(snapshots.suspect("tenant", "\x1b]0;owned\x07"),)
    )
    with served(snapshots.snapshot_of(status)) as running:
        out = call("autopsy", "--from", running.url).out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\ufffd[2Jgone" in out
    assert out.encode()
