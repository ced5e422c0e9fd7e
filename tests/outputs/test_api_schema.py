"""One schema for the JSON API: whatever the state of an SLO, its fields are there and have their types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sloburn.duration import HOUR, SECOND
from sloburn.outputs import api
from sloburn.outputs.stream import compact
from sloburn.sli.status import SloState, Snapshot
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.spec import parse_slos
from tests.outputs import snapshots
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request

KINDS = """
version: sloburn/v1
slos:
  - {name: plain, service: shop, objective: 99, period: 7d, indicator: {spans: {}, bad: {status: error}}}
  - {name: errors, service: shop, objective: 99.9, period: 30d, group_by: [http.route],
     alerting: {early_page: true}, indicator: {spans: {}, bad: {status: error}}}
  - {name: latency, service: shop, objective: 99.9, period: {calendar: month, timezone: Europe/Prague},
     indicator: {metric: http.server.request.duration, good: {le: 300ms}}}
  - {name: minutes, service: shop, objective: 99.9, period: 30d,
     slices: {length: 30s, target: 95%, no_events: bad}, indicator: {spans: {}, bad: {status: error}}}
  - {name: fresh, service: shop, objective: 99.9, period: 30d, indicator: {freshness: {of: {spans: {}}, within: 15m}}}
  - {name: buy, objective: 99, period: 30d, indicator: {journey: {members: [plain, latency], target: 95%}}}
  - {name: all, objective: 99, period: 7d, indicator: {weighted: {members: {plain: 0.1, minutes: 2}}}}
"""

TEXT, YES_OR_NO, WHOLE, NUMBER = (str,), (bool,), (int,), (float,)
MAYBE_TEXT, MAYBE_WHOLE, MAYBE_NUMBER = (str, type(None)), (int, type(None)), (float, type(None))


class Maybe:
    """An object, or null."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields


class MapOf:
    """An object whose keys are data."""

    def __init__(self, item: Any) -> None:
        self.item = item


def moment(name: str) -> dict[str, Any]:
    """Return the fields of a moment that may not have come."""
    return {name: MAYBE_TEXT, f"{name}_unix_nano": MAYBE_WHOLE}


def length(name: str) -> dict[str, Any]:
    """Return the fields of a length of time."""
    stands_for = "stands_for" if name == "window" else f"{name}_stands_for"
    return {name: TEXT, f"{name}_seconds": NUMBER, stands_for: MAYBE_TEXT}


BOUNDS = Maybe({"low": NUMBER, "high": NUMBER})
BURN = {**length("window"), "burn": MAYBE_NUMBER, "good": WHOLE, "bad": WHOLE}
PAIR = {
    **{"severity": TEXT, **length("long"), **length("short"), "factor": NUMBER, "long_burn": MAYBE_NUMBER},
    **{"short_burn": MAYBE_NUMBER, "long_bad": WHOLE, "min_bad_events": WHOLE, "over": YES_OR_NO},
}
ALERT = {
    **{"severity": TEXT, "alert": TEXT, "state": TEXT},
    **{**moment("since"), **moment("pending_since"), **moment("fired_at"), **moment("resolved_at")},
}
EARLY = {
    **{"text": TEXT, "bad": WHOLE, "total": WHOLE, "span_seconds": NUMBER, "bad_slices": NUMBER},
    **{"needed_slices": NUMBER, "budget_share": NUMBER, "seconds_to_share": NUMBER},
}
INCOMPLETE = {
    **{"text": TEXT, "missing": WHOLE, "of": WHOLE, "lack": TEXT, "sources": MapOf(WHOLE)},
    **{"sli": BOUNDS, "budget_remaining": BOUNDS},
    **{"burns": [{**length("window"), "missing": WHOLE, "burn": BOUNDS}]},
}
SUSPECT = {
    **{"key": TEXT, "value": TEXT, "bad": WHOLE, "good": WHOLE},
    **{"bad_share": NUMBER, "good_share": MAYBE_NUMBER, "lift": MAYBE_NUMBER},
}
FAILING = {
    **{**moment("at"), "trace_id": TEXT, "span_id": TEXT, "name": TEXT, "status": TEXT, "duration_seconds": NUMBER},
    **{"exception": TEXT, "message": TEXT, "attributes": MapOf(TEXT)},
}
ANNOTATION = {"at": TEXT, "at_unix_nano": WHOLE, "kind": TEXT, "text": TEXT, "service": TEXT}
SLO = {
    **{"name": TEXT, "service": TEXT, "description": TEXT, "runbook": TEXT, "group": MapOf(TEXT), "state": TEXT},
    **{**moment("since"), "objective": TEXT, "promise": TEXT, "slice_seconds": MAYBE_NUMBER, "members": [TEXT]},
    **{**length("period"), "sli": MAYBE_NUMBER, "good": WHOLE, "bad": WHOLE, "total": WHOLE},
    **{"budget_remaining": MAYBE_NUMBER, "budget_remaining_seconds": MAYBE_NUMBER},
    **{"seconds_to_exhaustion": MAYBE_NUMBER, "burns": [BURN], "pairs": [PAIR], "alerts": [ALERT]},
    **{**moment("last_event"), "early": Maybe(EARLY), "incomplete": Maybe(INCOMPLETE), "notes": [TEXT]},
    **{"clock_lead_seconds": MAYBE_NUMBER, "suspects": [SUSPECT], "failing": [FAILING]},
    **{"budget": [{**moment("at"), "remaining": NUMBER, "good": WHOLE, "bad": WHOLE}]},
    **{"annotations": [ANNOTATION], "excluded": [{**moment("from"), **moment("to")}]},
}
LONG = {"suspects", "failing", "budget", "annotations", "excluded"}
SUMMARY = {
    **{"at": TEXT, "at_unix_nano": WHOLE, "time_scale": WHOLE, **moment("history_begins")},
    "summary": dict.fromkeys(("slos", "burning", "exhausted", "silent", "pages", "tickets"), WHOLE) | {"text": TEXT},
    "notices": [{"text": TEXT, **moment("since"), "over": YES_OR_NO}],
}
STATUS = {**SUMMARY, "items": MapOf(MapOf(WHOLE)), "slos": [SLO]}


def flaws(value: Any, schema: Any, place: str = "") -> Iterator[str]:
    """Yield where a document is not as the schema says."""
    if isinstance(schema, Maybe):
        yield from () if value is None else flaws(value, schema.fields, place)
    elif type(value) not in (schema if isinstance(schema, tuple) else (list if isinstance(schema, list) else dict,)):
        yield f"{place}: found {value!r}"
    elif isinstance(schema, (list, MapOf, dict)):
        yield from flaws_inside(value, schema, place)


def flaws_inside(value: Any, schema: list[Any] | MapOf | dict[str, Any], place: str) -> Iterator[str]:
    """Yield what is wrong inside of a list, a map or an object."""
    if isinstance(schema, list):
        inside = [(item, schema[0], f"{place}[{at}]") for at, item in enumerate(value)]
    elif isinstance(schema, MapOf):
        inside = [(item, schema.item, f"{place}.{key}") for key, item in value.items()]
    else:
        yield from (f"{place}: {key} is missing" for key in schema.keys() - value.keys())
        yield from (f"{place}: {key} is not in the schema" for key in value.keys() - schema.keys())
        inside = [(value[key], schema[key], f"{place}.{key}") for key in schema.keys() & value.keys()]
    for item, expected, where in inside:
        yield from flaws(item, expected, where)


def found_in(document: api.Document, schema: Any) -> list[str]:
    """Return the flaws of a document as a client reads it."""
    return list(flaws(json.loads(compact(document)), schema))


GALLERY = {
    "all kinds": snapshots.all_kinds_snapshot(),
    "team": snapshots.team_snapshot(),
    "story": snapshots.story_snapshot(),
    "demo": snapshots.demo_snapshot(),
    "hostile": snapshots.hostile_snapshot(),
    "incomplete": snapshots.gappy_snapshot(),
    "empty": snapshots.snapshot_of(items={}),
    **{
        state.value: snapshots.snapshot_of(snapshots.build_status(state=state), snapshots.burning_status())
        for state in SloState
    },
}


@pytest.mark.parametrize("snapshot", GALLERY.values(), ids=GALLERY)
def test_every_document_has_one_schema(snapshot: Snapshot) -> None:
    """All fields are in all documents, with their types, whatever the state of the SLOs and the pace of the clock."""
    brief = {key: value for key, value in SLO.items() if key not in LONG}
    assert found_in(api.status_document(snapshot), STATUS) == []
    assert found_in(api.summary_document(snapshot), SUMMARY) == []
    assert found_in(api.slos_document(snapshot), {**SUMMARY, "slos": [brief]}) == []


def test_an_engine_keeps_to_the_schema_from_its_first_moment_on() -> None:
    """Before any event, after the first, in an outage and in silence the documents of an engine have one schema."""
    bench = Bench(*parse_slos(KINDS, "slos.yaml"))
    seen = set()
    for second in range(0, 120, 30):
        bench.now = NOW + second * SECOND
        snapshot = bench.snapshot()
        assert found_in(api.status_document(snapshot), STATUS) == []
        seen |= {status.state for status in snapshot.statuses}
        bench.traces(
            trace_request([SpanSpec(number=100 * second + n, end=bench.now, error=True) for n in range(1, 20)])
        )
        assert found_in(api.status_document(bench.snapshot()), STATUS) == []
    assert len(seen) > 1


def test_the_schema_bites() -> None:
    """A field of another type, one that is missing and one that nobody knows are found."""
    document = api.status_document(snapshots.team_snapshot())
    document["slos"][0]["early"] = []
    del document["slos"][1]["budget"]
    document["novelty"] = None
    assert sorted(found_in(document, STATUS)) == [
        ".slos[0].early: found []",
        ".slos[1]: budget is missing",
        ": novelty is not in the schema",
    ]


def test_the_budget_has_its_course_as_soon_as_an_event_is_counted() -> None:
    """A course that was taken before the first event is not shown after it, however little time has passed."""
    bench = Bench(span_slo())
    (before,) = api.status_document(bench.snapshot())["slos"]
    bench.traces(trace_request([SpanSpec(number=1, end=bench.now)]))
    bench.now += 1
    (after,) = api.status_document(bench.snapshot())["slos"]
    assert (before["total"], before["budget"]) == (0, [])
    assert after["total"] == 1
    assert [point["remaining"] for point in after["budget"]] == [1.0] * len(after["budget"]) != []


def test_what_is_excluded_is_listed_without_events_too() -> None:
    """The time of the period that does not count is known before anything is counted."""
    span = Interval(NOW - 2 * HOUR, NOW - HOUR)
    bench = Bench(replace(span_slo(), exclusions=(OneOff(name="move", interval=span),)))
    (slo,) = api.status_document(bench.snapshot())["slos"]
    assert [(one["from_unix_nano"], one["to_unix_nano"]) for one in slo["excluded"]] == [
        (span.begin_unix_nano, span.end_unix_nano)
    ]
