"""The documents of the JSON API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from sloburn.outputs import api
from sloburn.outputs.stream import compact
from sloburn.sli.status import SloState, Snapshot
from sloburn.slo.budget import Count
from tests.outputs import snapshots

GALLERY = {
    "team": snapshots.team_snapshot(),
    "demo": snapshots.demo_snapshot(),
    "hostile": snapshots.hostile_snapshot(),
    "many": snapshots.many_snapshot(),
    "empty": snapshots.snapshot_of(items={}),
}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every place of a document with what is there."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}")
    if isinstance(value, list):
        for item in value:
            yield from walk(item, f"{path}[]")


def shape(document: api.Document) -> set[str]:
    """Return every place of a document once."""
    return {path for path, _ in walk(document)}


def only(document: api.Document) -> dict[str, Any]:
    """Return the single SLO of a document."""
    (slo,) = document["slos"]
    assert isinstance(slo, dict)
    return slo


@pytest.mark.parametrize("snapshot", GALLERY.values(), ids=GALLERY)
def test_every_document_is_json(snapshot: Snapshot) -> None:
    """Whatever is known, documents are strict JSON in one ASCII line, and read back as they were."""
    document = api.status_document(snapshot)
    written = compact(document)
    assert b"\n" not in written
    assert written.isascii()
    assert json.loads(written) == document


def test_the_status_document_has_this_shape() -> None:
    """Clients rely on these names: some may be added, none may go."""
    assert shape(api.status_document(snapshots.snapshot_of(snapshots.burning_status()))) >= {
        *(".at", ".at_unix_nano", ".time_scale", ".items.traces.counted", ".slos[].name", ".slos[].service"),
        *(f".summary.{name}" for name in ("slos", "burning", "exhausted", "silent", "pages", "tickets", "text")),
        *(f".slos[].{name}" for name in ("description", "runbook", "group", "state", "since", "since_unix_nano")),
        *(f".slos[].{name}" for name in ("objective", "period", "period_seconds", "sli", "good", "bad", "total")),
        *(f".slos[].{name}" for name in ("budget_remaining", "seconds_to_exhaustion", "last_event", "notes[]")),
        *(f".slos[].burns[].{name}" for name in ("window", "window_seconds", "burn", "good", "bad")),
        *(f".slos[].pairs[].{name}" for name in ("severity", "long", "long_seconds", "short", "short_seconds")),
        *(f".slos[].pairs[].{name}" for name in ("factor", "long_burn", "short_burn", "long_bad", "over")),
        *(f".slos[].pairs[].{name}" for name in ("min_bad_events",)),
        *(f".slos[].alerts[].{name}" for name in ("severity", "state", "since", "pending_since", "fired_at")),
        *(f".slos[].alerts[].{name}" for name in ("resolved_at", "resolved_at_unix_nano")),
        *(f".slos[].suspects[].{name}" for name in ("key", "value", "bad", "good", "bad_share", "good_share", "lift")),
        *(f".slos[].failing[].{name}" for name in ("at", "trace_id", "span_id", "name", "status", "duration_seconds")),
        *(f".slos[].failing[].{name}" for name in ("exception", "message", "attributes")),
        *(f".slos[].budget[].{name}" for name in ("at", "at_unix_nano", "remaining", "good", "bad")),
    }


def test_every_moment_is_there_twice() -> None:
    """A moment is written for people and, to the nanosecond, for machines; one that never came is null twice."""
    twins = [
        (place, text, document[f"{key}_unix_nano"])
        for place, document in walk(api.status_document(snapshots.team_snapshot()))
        if isinstance(document, dict)
        for key, text in document.items()
        if f"{key}_unix_nano" in document
    ]
    assert len(twins) > 50
    assert all((text is None) == (nano is None) for _, text, nano in twins)
    assert twins[0] == ("", "2026-11-21T14:02:11.250Z", snapshots.NOW)


def test_objectives_are_exact_text() -> None:
    """An objective is text, because a float would not be what was promised."""
    objectives = ["0.999", "0.99999999", "2/3"]
    statuses = [snapshots.build_status(snapshots.build_slo(objective=Fraction(o))) for o in objectives]
    document = api.slos_document(snapshots.snapshot_of(*statuses))
    assert [slo["objective"] for slo in document["slos"]] == objectives


def test_unknown_numbers_are_null() -> None:
    """Without events there is no SLI, no budget, no burn and no end: nulls, never NaN and never 100 %."""
    slo = only(
        api.slos_document(snapshots.snapshot_of(snapshots.build_status(state=SloState.NO_TRAFFIC, count=Count())))
    )
    assert (slo["state"], slo["total"]) == ("no traffic", 0)
    assert [slo[key] for key in ("sli", "budget_remaining", "seconds_to_exhaustion", "last_event")] == [None] * 4
    assert {burn["burn"] for burn in slo["burns"]} == {None}
    assert {pair["over"] for pair in slo["pairs"]} == {False}


def test_a_value_that_only_bad_events_have_has_no_lift() -> None:
    """Division by nothing is null."""
    status = snapshots.build_status(suspects=(snapshots.suspect(bad=91, good=0),))
    (suspect,) = only(api.status_document(snapshots.snapshot_of(status)))["suspects"]
    assert (suspect["bad_share"], suspect["good_share"], suspect["lift"]) == (0.91, 0.0, None)


def test_an_overspent_budget_is_negative() -> None:
    """Three times the budget spent leaves minus two."""
    slo = only(api.slos_document(snapshots.snapshot_of(snapshots.build_status(count=Count(9_970, 30)))))
    assert (slo["sli"], slo["budget_remaining"]) == (0.997, -2.0)


def test_lists_leave_out_what_is_long() -> None:
    """The list of SLOs is the status without traces, suspects and courses."""
    snapshot = snapshots.team_snapshot()
    brief, full = api.slos_document(snapshot), api.status_document(snapshot)
    long = ("suspects", "failing", "budget", "annotations", "excluded")
    assert brief["slos"] == [{key: value for key, value in slo.items() if key not in long} for slo in full["slos"]]


def test_an_slo_is_found_by_name_with_all_its_groups() -> None:
    """Groups come as entries of one document; a name that nobody has is no document."""
    document = api.named_document(snapshots.team_snapshot(), "search-latency")
    assert document is not None
    assert [slo["group"] for slo in document["slos"]] == [{"http.route": "/search"}, {"http.route": "/suggest"}]
    assert api.named_document(snapshots.team_snapshot(), "search") is None


def test_a_fast_clock_says_what_its_windows_stand_for() -> None:
    """On a clock 60 times faster the windows that run are named beside those of the document."""
    slo = api.status_document(snapshots.demo_snapshot())["slos"][0]
    assert (slo["period"], slo["period_stands_for"]) == ("12h", "30d")
    assert (slo["burns"][0]["window"], slo["burns"][0]["stands_for"]) == ("5s", "5m")
    assert (slo["pairs"][0]["long"], slo["pairs"][0]["long_stands_for"]) == ("1m", "1h")


def test_a_production_clock_stands_for_itself() -> None:
    """Without a scale nothing stands for anything else."""
    places = walk(api.status_document(snapshots.team_snapshot()))
    assert {value for path, value in places if "stands_for" in path} == {None}


def test_hostile_text_is_data() -> None:
    """What telemetry wrote comes back letter by letter: escaping is JSON's work, cutting is the reader's."""
    slo = json.loads(compact(api.status_document(snapshots.hostile_snapshot())))["slos"][0]
    assert slo["group"] == {"tenant": snapshots.HOSTILE + snapshots.SURROGATE}
    assert slo["failing"][0]["message"] == snapshots.HOSTILE + snapshots.SURROGATE


def test_items_are_grouped_by_signal() -> None:
    """What became of spans and points is a table of tables."""
    assert api.status_document(snapshots.snapshot_of())["items"] == {
        "metrics": {"unmatched": 12},
        "traces": {"counted": 2_880_000, "duplicate": 3},
    }


def test_the_summary_has_counts_and_the_line() -> None:
    """The stream's brief view holds the moment, the scale and the answer."""
    assert api.summary_document(replace(snapshots.demo_snapshot(), statuses=())) == {
        "at": "2026-11-21T14:02:11.250Z",
        "at_unix_nano": snapshots.NOW,
        "time_scale": 60,
        "summary": {
            **dict.fromkeys(("slos", "burning", "exhausted", "silent", "pages", "tickets"), 0),
            "text": "No SLOs yet",
        },
        "history_begins": None,
        "history_begins_unix_nano": None,
        "notices": [],
    }
