"""Alerts as Alertmanager's API v2 wants them: a pure function of a snapshot.

Alertmanager forgets what is not repeated and takes repetitions for the same alert as long as the labels are equal, so
the labels are the identity (SLO + group + severity) and nothing that changes. Source: Alertmanager,
api/v2/openapi.yaml, ``postableAlert``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from sloburn.duration import MINUTE, SECOND, humanize_duration
from sloburn.sli.status import SloStatus, Snapshot
from sloburn.slo.alerting import Alert, AlertState, PairReading
from sloburn.slo.model import Severity

ALERT_NAME = "SloBurn"
RESOLVED_FOR_NS = 15 * MINUTE  # how long the end of an alert is repeated

PostableAlert = dict[str, str | dict[str, str]]


def postable_alerts(snapshot: Snapshot, page_url: str = "") -> list[PostableAlert]:
    """Return every alert that fires, and those that ended a short while ago.

    Args:
        snapshot: What is known.
        page_url: Address of the status page, for links; empty for none.
    """
    return [
        _postable(status, alert, page_url)
        for status in snapshot.statuses
        for alert in status.alerts
        if alert.state is AlertState.FIRING or _ended_lately(alert, snapshot.at_unix_nano)
    ]


def _ended_lately(alert: Alert, now: int) -> bool:
    return alert.state is AlertState.RESOLVED and now - alert.resolved_unix_nano <= RESOLVED_FOR_NS


def _postable(status: SloStatus, alert: Alert, page_url: str) -> PostableAlert:
    postable: PostableAlert = {
        "labels": _labels(status, alert),
        "annotations": _annotations(status, alert),
        "startsAt": _time(alert.fired_unix_nano),
    }
    if alert.state is AlertState.RESOLVED:
        postable["endsAt"] = _time(alert.resolved_unix_nano)
    if page_url:
        postable["generatorURL"] = f"{page_url.rstrip('/')}/slos/{quote(status.slo.name)}"
    return postable


def _labels(status: SloStatus, alert: Alert) -> dict[str, str]:
    slo = status.slo
    group = {"group": ",".join(f"{name}={value}" for name, value in status.group)} if status.group else {}
    return {"alertname": ALERT_NAME, "slo": slo.name, "service": slo.service, "severity": alert.severity.value, **group}


def _annotations(status: SloStatus, alert: Alert) -> dict[str, str]:
    slo = status.slo
    found = {
        "summary": f"{slo.name} of {slo.service} burns its error budget",
        "description": _description(status, alert),
        "runbook_url": slo.runbook,
        "suspect": ", ".join(f"{suspect.key}={suspect.value}" for suspect in status.suspects[:3]),
        "trace_id": status.failing[0].trace_id if status.failing else "",
    }
    return {name: text for name, text in found.items() if text}


def _description(status: SloStatus, alert: Alert) -> str:
    over = [pair for pair in status.pairs if pair.window.severity is alert.severity and pair.over]
    left = status.budget_remaining
    budget = f"{float(left * 100):.1f} % of the budget is left" if left is not None else ""
    early = status.early.text if status.early and alert.severity is Severity.PAGE else ""
    return "; ".join(part for part in (early, *map(_pair_text, over[:1]), budget) if part)


def _pair_text(pair: PairReading) -> str:
    burn = float(pair.long_burn or 0)
    length = humanize_duration(pair.window.long_ns)
    counts = f"{pair.long.bad} of {pair.long.total} events were bad"
    return f"burn rate {burn:.3g} over {length} ({counts}), above {float(pair.window.factor):.4g}"


def _time(unix_nano: int) -> str:
    moment = datetime.fromtimestamp(unix_nano // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_nano % SECOND // 1_000_000:03d}Z"
