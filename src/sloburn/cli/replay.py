"""``sloburn replay``: recorded telemetry through the engine, and what would have paged."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sloburn.cli.moment import read_moment
from sloburn.cli.table import aligned
from sloburn.errors import CallError, ConfigError
from sloburn.outputs.api import slos_document
from sloburn.outputs.wording import burn_text, iso_text, objective_text, percent_text, sli_digits
from sloburn.server.config import MAX_TIME_SCALE
from sloburn.server.replay import AlertChange, Outcome, replay
from sloburn.sli.status import Snapshot
from sloburn.slo.alerting import AlertState
from sloburn.slo.naming import group_label
from sloburn.spec import load_slos

MAX_FLAWS_SHOWN = 20


def run(given: argparse.Namespace) -> int:
    """Replay and print; return 1 if `--strict` met something unreadable.

    Raises:
        ConfigError: A recording cannot be opened, holds nothing, or a moment is wrong.
        SpecError: An SLO document is wrong.
    """
    if not 1 <= given.time_scale <= MAX_TIME_SCALE:
        raise CallError(f"--time-scale: found {given.time_scale}; expected a whole number from 1 to {MAX_TIME_SCALE}")
    sources = [given.slos, *([given.compare] if given.compare else [])]
    variants = [load_slos([Path(path) for path in paths]) for paths in sources]
    moments = [read_moment(text) for text in given.at]
    files = [Path(file) for file in given.files]
    try:
        outcome = replay(files, variants, at=moments, time_scale=given.time_scale, strict=given.strict)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    _tell_flaws(outcome)
    if given.strict and outcome.flaws:
        return 1
    _check(outcome, moments)
    names = [" ".join(paths) for paths in sources]
    print(_json(outcome, names) if given.json else _text(outcome, names))
    return 0


def _tell_flaws(outcome: Outcome) -> None:
    for flaw in outcome.flaws[:MAX_FLAWS_SHOWN]:
        print(flaw, file=sys.stderr)
    if outcome.flaws:
        count = len(outcome.flaws)
        print(f"{count} part{'s' if count != 1 else ''} of the recordings cannot be read", file=sys.stderr)


def _check(outcome: Outcome, moments: Sequence[int]) -> None:
    begin = outcome.begin_unix_nano
    if not begin:
        raise ConfigError("the recordings hold no event with a time: there is nothing to replay")
    early = [at for at in moments if at < begin]
    if early:
        raise ConfigError(f"--at: {iso_text(early[0])} is before the recording begins, at {iso_text(begin)}")


def _json(outcome: Outcome, names: Sequence[str]) -> str:
    variants = [
        {
            "slos": name,
            "status": [slos_document(snapshots[place]) for snapshots in outcome.moments],
            "alerts": [_change_document(change) for change in outcome.changes[place]],
        }
        for place, name in enumerate(names)
    ]
    document = {
        "begin": iso_text(outcome.begin_unix_nano),
        "end": iso_text(outcome.end_unix_nano),
        "requests": outcome.requests,
        "flaws": [{"place": flaw.place, "reason": flaw.reason} for flaw in outcome.flaws],
        "variants": variants,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _change_document(change: AlertChange) -> dict[str, Any]:
    return {
        "at": iso_text(change.at_unix_nano),
        "at_unix_nano": change.at_unix_nano,
        "slo": change.slo,
        "group": dict(change.group),
        "severity": change.severity.value,
        "alert": change.kind,
        "state": change.state.value,
        "reason": change.reason,
    }


def _text(outcome: Outcome, names: Sequence[str]) -> str:
    span = f"{iso_text(outcome.begin_unix_nano)} to {iso_text(outcome.end_unix_nano)}"
    parts = [f"{outcome.requests:,} requests from {span}"]
    for place, name in enumerate(names):
        if len(names) > 1:
            parts.append(f"== {name}")
        parts += [_status_table(snapshots[place]) for snapshots in outcome.moments]
        parts.append(_alert_table(outcome.changes[place]))
    if len(names) > 1:
        parts.append(_comparison(outcome.changes, names))
    return "\n\n".join(parts)


def _status_table(snapshot: Snapshot) -> str:
    rows = [("SLO", "GROUP", "STATE", "OBJECTIVE", "SLI", "BUDGET LEFT", "BURN", "GOOD", "BAD")]
    for status in snapshot.statuses:
        burn = status.pairs[0].long_burn if status.pairs else None
        rows.append(
            (
                status.slo.name,
                group_label(status.group),
                status.state.value,
                f"{objective_text(status.slo.objective)} %",
                f"{percent_text(status.sli, sli_digits(status.slo.objective))} %",
                f"{percent_text(status.budget_remaining)} %",
                burn_text(burn),
                f"{status.count.good:,}",
                f"{status.count.bad:,}",
            )
        )
    return f"Status at {iso_text(snapshot.at_unix_nano)}\n{aligned(rows, numbers=frozenset(range(3, 9)))}"


def _alert_table(changes: Sequence[AlertChange]) -> str:
    if not changes:
        return "No alert fired."
    rows = [("TIME", "ALERT", "STATE", "SLO", "GROUP", "WHY")]
    rows += [
        (iso_text(one.at_unix_nano), _alert_name(one), one.state.value, one.slo, group_label(one.group), one.reason)
        for one in changes
    ]
    return f"Alerts\n{aligned(rows)}"


def _alert_name(change: AlertChange) -> str:
    return change.severity.value if change.kind == "burn" else f"{change.severity.value} ({change.kind})"


def _comparison(changes: Sequence[Sequence[AlertChange]], names: Sequence[str]) -> str:
    fired = [
        Counter((one.slo, group_label(one.group), _alert_name(one)) for one in found if one.state is AlertState.FIRING)
        for found in changes
    ]
    keys = sorted({key for counts in fired for key in counts})
    if not keys:
        return "Neither set of SLOs would have fired anything."
    rows = [("SLO", "GROUP", "ALERT", *names), *((*key, *(str(counts[key]) for counts in fired)) for key in keys)]
    return f"How often it would have fired\n{aligned(rows, numbers=frozenset({3, 4}))}"
