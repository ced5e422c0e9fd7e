"""``sloburn autopsy``: what bad events have in common. Exit status 0 told, 1 wrong input, 2 wrong call, 3 no answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sloburn.cli.moment import read_moment
from sloburn.cli.table import aligned
from sloburn.errors import ConfigError
from sloburn.outputs.api import Document, slo_document
from sloburn.outputs.wording import NOTHING, TIMES, iso_text, percent_text, window_text
from sloburn.server.gate import CannotTell, get_json
from sloburn.server.replay import replay
from sloburn.sli.status import SloState
from sloburn.slo.naming import group_label
from sloburn.spec import load_slos
from sloburn.spec.cursor import did_you_mean

DEFAULT_PROCESSOR = "http://127.0.0.1:4321"
MOST_NAMED = 50
MOST_TRACES = 10
WRONG_CALL, CANNOT_TELL = 2, 3

_LOUD = (SloState.BURNING.value, SloState.EXHAUSTED.value)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was asked for: every SLO or group by the API's document, and when that was."""

    at: str
    slos: tuple[Document, ...]


def run(given: argparse.Namespace) -> int:
    """Find the SLOs, dissect them, print.

    Raises:
        ConfigError: The SLO is not known, or the recording is wrong.
        SpecError: An SLO document is wrong.
    """
    if bool(given.recorded) is not bool(given.slos):
        return _fail("--recorded and --slos belong together: recorded telemetry, and what it is judged by", WRONG_CALL)
    try:
        found = _recorded(given) if given.recorded else _asked(given)
    except CannotTell as error:
        return _fail(f"cannot tell: {error}", CANNOT_TELL)
    print(_json(found) if given.json else _text(found))
    return 0


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def _asked(given: argparse.Namespace) -> _Found:
    address = (given.processor or DEFAULT_PROCESSOR).rstrip("/")
    try:
        listed = get_json(f"{address}/api/v1/slos", given.timeout)
        names = dict.fromkeys(one["name"] for one in _chosen(listed["slos"], given.slo, given.group))
        paths = [f"{address}/api/v1/slos/{quote(name, safe='')}" for name in names]
        slos = [one for path in paths for one in get_json(path, given.timeout)["slos"]]
        return _Found(listed["at"], tuple(_chosen(slos, given.slo, given.group)))
    except (KeyError, TypeError) as error:
        raise CannotTell(f"{address} answers something else than a processor: {error!r}") from None


def _recorded(given: argparse.Namespace) -> _Found:
    slos = load_slos([Path(path) for path in given.slos])
    _chosen([{"name": slo.name, "group": {}, "state": ""} for slo in slos], given.slo, "")
    moments = [read_moment(given.at)] if given.at else []
    try:
        outcome = replay([Path(path) for path in given.recorded], [slos], at=moments)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for flaw in outcome.flaws[:MOST_NAMED]:
        print(flaw, file=sys.stderr)
    if not outcome.moments:
        raise ConfigError("the recordings hold no event with a time: there is nothing to dissect")
    if moments and moments[0] < outcome.begin_unix_nano:
        raise ConfigError(f"--at: {given.at} is before the recording begins, at {iso_text(outcome.begin_unix_nano)}")
    snapshot = outcome.moments[0][0]
    documents = [slo_document(snapshot, status) for status in snapshot.statuses]
    return _Found(iso_text(snapshot.at_unix_nano), tuple(_chosen(documents, given.slo, given.group)))


def _chosen(slos: Sequence[Document], name: str | None, group: str) -> list[Document]:
    """Return the SLOs and groups of that name, or without one those that burn or are exhausted."""
    if name is None:
        return [one for one in slos if one["state"] in _LOUD]
    named = [one for one in slos if one["name"] == name]
    if not named:  # of an SLO with groups this is also so before its first event
        raise ConfigError(_unknown("SLO", name, sorted({one["name"] for one in slos})))
    chosen = [one for one in named if not group or _group(one) == group]
    if not chosen:
        raise ConfigError(_unknown(f"group of {name}", group, sorted(filter(None, map(_group, named)))))
    return chosen


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    listed = ", ".join(known[:MOST_NAMED]) + (f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else "")
    return f"there is no {what} {name!r}{did_you_mean(name, known)}; known: {listed or 'none'}"


def _group(slo: Document) -> str:
    return group_label(slo["group"].items())


def _json(found: _Found) -> str:
    slos = [
        {
            **{key: slo[key] for key in ("name", "service", "group", "state", "good", "bad")},
            "suspects": [{**suspect, "trace_ids": _traces_with(slo, suspect)} for suspect in slo["suspects"]],
            "failing": slo["failing"],
        }
        for slo in found.slos
    ]
    return json.dumps({"at": found.at, "slos": slos}, indent=2, ensure_ascii=False)


def _traces_with(slo: Document, suspect: Document) -> list[str]:
    """Return the ids of the known failing traces that have a suspect value, newest first."""
    key, value = suspect["key"], suspect["value"]
    own = {"name": "name", "exception": "exception"}.get(key, "")
    found = (one for one in slo["failing"] if value in (one["attributes"].get(key), one.get(own)))
    return list(dict.fromkeys(one["trace_id"] for one in found))


def _text(found: _Found) -> str:
    if not found.slos:
        return f"Nothing to dissect at {found.at}: no SLO burns or is exhausted"
    return "\n\n".join(part for slo in found.slos for part in _parts(slo, found.at))


def _parts(slo: Document, at: str) -> list[str]:
    group = f" {_group(slo)}" if slo["group"] else ""
    head = f"{slo['name']}{group} of {slo['service']}: {slo['state']}, {_firing(slo)} at {at}"
    if not slo["suspects"]:
        return [head, "  No attribute value stands out among the bad events.", *_traces(slo)]
    return [head, _suspects(slo), *_traces(slo)]


def _firing(slo: Document) -> str:
    firing = [alert["severity"] for alert in slo["alerts"] if alert["state"] == "firing"]
    return f"{' and '.join(dict.fromkeys(firing))} firing" if firing else "no alert firing"


def _suspects(slo: Document) -> str:
    rows: list[tuple[str, ...]] = [("WHAT STANDS OUT", "BAD", "GOOD", "OF BAD", "OF GOOD", "LIFT", "TRACE")]
    rows += [_suspect_row(suspect, _traces_with(slo, suspect)) for suspect in slo["suspects"]]
    return aligned(rows, numbers=frozenset(range(1, 6)))


def _suspect_row(suspect: Document, traces: Sequence[str]) -> tuple[str, ...]:
    lift = suspect["lift"]
    return (
        f"{suspect['key']}={suspect['value']}",
        f"{suspect['bad']:,}",
        f"{suspect['good']:,}",
        _percent(suspect["bad_share"]),
        _percent(suspect["good_share"]),
        f"{lift:,.1f}{TIMES}" if lift is not None else "only bad" if suspect["good_share"] == 0 else NOTHING,
        traces[0] if traces else NOTHING,
    )


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{percent_text(Fraction(str(share)))} %"


def _traces(slo: Document) -> list[str]:
    if not slo["failing"]:
        return []
    rows: list[tuple[str, ...]] = [("NEWEST FAILING TRACE", "AT", "SPAN", "STATUS", "TOOK", "EXCEPTION")]
    rows += [_trace_row(trace) for trace in slo["failing"][:MOST_TRACES]]
    return [aligned(rows, numbers=frozenset({4}))]


def _trace_row(trace: dict[str, Any]) -> tuple[str, ...]:
    took = window_text(round(trace["duration_seconds"] * 1e9))
    cells = (trace["trace_id"], trace["at"] or NOTHING, trace["name"], trace["status"], took, trace["exception"])
    return tuple(cell or NOTHING for cell in cells)
