"""What is known of a series beside its counts, as the store has it: JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from sloburn.sli.losses import Channel
from sloburn.sli.progress import NOT_BEGUN, Progress
from sloburn.sli.sampled import NEVER
from sloburn.sli.series import Series
from sloburn.sli.status import FailingTrace, SloState
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.annotation import Annotation, Kind
from sloburn.slo.model import Severity


def series_state(series: Series | Channel) -> str:
    """Return the state of a series as text."""
    ledger = series.ledger
    state: dict[str, Any] = {
        "lifetime": [ledger.good, ledger.bad],
        "between": [ledger.first_unix_nano, ledger.last_unix_nano],
        "failing": [number for number, _ in series.failing],
    }
    if isinstance(series, Series):
        state["state"] = [series.state.value, series.state_since_unix_nano]
        if series.progress != NOT_BEGUN:
            state["progress"] = series.progress.record()
        if series.weight != NEVER:
            state["weight"] = list(series.weight)
    return _dump(state)


def restore_series(series: Series | Channel, text: str, evidence: dict[int, FailingTrace]) -> None:
    """Put the rest of a series' stored state back."""
    state = json.loads(text)
    ledger = series.ledger
    ledger.good, ledger.bad = state["lifetime"]
    ledger.first_unix_nano, ledger.last_unix_nano = state["between"]
    if isinstance(series, Series):
        series.show((number, evidence[number]) for number in state["failing"])
        series.progress = Progress.of_record(state["progress"]) if "progress" in state else series.progress
        series.weigh(*state.get("weight", NEVER))
        if "state" in state:
            series.state, series.state_since_unix_nano = SloState(state["state"][0]), int(state["state"][1])


def move_of(series: Series | Channel) -> object:
    """Return what of a series may change while nothing is counted."""
    if isinstance(series, Series):
        return series.state, series.state_since_unix_nano, series.progress
    return None


def write_alerts(alerts: tuple[Alert, ...]) -> str:
    """Return the alerts of a series as text."""
    return _dump([{**asdict(alert), "left": None if alert.left is None else str(alert.left)} for alert in alerts])


def read_alerts(text: str) -> tuple[Alert, ...]:
    """Read what `write_alerts` wrote."""
    return tuple(_read_alert(record) for record in json.loads(text))


def _read_alert(record: dict[str, Any]) -> Alert:
    left = record.get("left")
    read = {
        "severity": Severity(record["severity"]),
        "left": None if left is None else Fraction(left),
        "state": AlertState(record["state"]),
    }
    return Alert(**{**record, **read})


def write_annotation(annotation: Annotation) -> str:
    """Return an annotation as text."""
    return _dump(asdict(annotation))


def read_annotation(text: str) -> Annotation:
    """Read what `write_annotation` wrote."""
    record = json.loads(text)
    return Annotation(**{**record, "kind": Kind(record["kind"])})


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
