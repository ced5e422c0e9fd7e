"""Alerts as Alertmanager's API v2 wants them: a pure function of a snapshot.

Alertmanager forgets what is not repeated and takes repetitions for the same alert as long as the labels are equal, so
the labels are the identity (SLO + group + severity) and nothing that changes. Source: Alertmanager,
api/v2/openapi.yaml, ``postableAlert``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from sloburn.duration import MINUTE, SECOND, humanize_duration
from sloburn.sli.status import SloStatus, Snapshot, Suspect
from sloburn.slo.alerting import Alert, AlertState, PairReading, share_text
from sloburn.slo.annotation import deploy_before
from sloburn.slo.budget_alerts import budget_text
from sloburn.slo.model import Severity
from sloburn.slo.naming import ALERT_BUDGET, ALERT_BURN, group_label
from sloburn.slo.timed import members_of, nouns_of

RESOLVED_FOR_NS = 15 * MINUTE  # how long the end of an alert is repeated

PostableAlert = dict[str, str | dict[str, str]]


def postable_alerts(snapshot: Snapshot, page_url: str = "") -> list[PostableAlert]:
    """Return every alert that fires, and those that ended a short while ago.

    Args:
        snapshot: What is known.
        page_url: Address of the status page, for links; empty for none.
    """
    return [_postable(snapshot, status, alert, page_url) for status, alert in _worth_telling(snapshot)]


def identities(snapshot: Snapshot) -> list[object]:
    """Return what tells the alerts of `postable_alerts` apart, and whether they began or ended, without any words.

    Snapshots come every second, alerts seldom change: putting them into words is worth it only where these differ.
    """
    return [
        (status.slo.name, status.group, alert.identity, alert.fired_unix_nano, alert.state)
        for status, alert in _worth_telling(snapshot)
    ]


def _worth_telling(snapshot: Snapshot) -> Iterator[tuple[SloStatus, Alert]]:
    for status in snapshot.statuses:
        for alert in status.alerts:
            if alert.state is AlertState.FIRING or _ended_lately(alert, snapshot.at_unix_nano):
                yield status, alert


def _ended_lately(alert: Alert, now: int) -> bool:
    return alert.state is AlertState.RESOLVED and now - alert.resolved_unix_nano <= RESOLVED_FOR_NS


def _postable(snapshot: Snapshot, status: SloStatus, alert: Alert, page_url: str) -> PostableAlert:
    postable: PostableAlert = {
        "labels": _labels(status, alert),
        "annotations": _annotations(snapshot, status, alert),
        "startsAt": _time(alert.fired_unix_nano),
    }
    if alert.state is AlertState.RESOLVED:
        postable["endsAt"] = _time(alert.resolved_unix_nano)
    if page_url:
        postable["generatorURL"] = f"{page_url.rstrip('/')}/slos/{quote(status.slo.name)}"
    return postable


def _labels(status: SloStatus, alert: Alert) -> dict[str, str]:
    slo = status.slo
    name = {"alertname": ALERT_BURN} if alert.left is None else {"alertname": ALERT_BUDGET, "alert": alert.kind}
    group = {"group": group_label(status.group)} if status.group else {}
    return {**name, "slo": slo.name, "service": slo.service, "severity": alert.severity.value, **group}


def _annotations(snapshot: Snapshot, status: SloStatus, alert: Alert) -> dict[str, str]:
    slo = status.slo
    found = {
        "summary": _summary(status, alert),
        "description": _description(status, alert),
        "deploy": _deploy(snapshot, status, alert),
        "runbook_url": slo.runbook,
        "suspect": ", ".join(f"{suspect.key}={suspect.value}" for suspect in status.suspects[:3]),
        "autopsy": "; ".join(_suspect_text(suspect) for suspect in status.suspects[:3]),
        "trace_id": status.failing[0].trace_id if status.failing else "",
    }
    return {name: text for name, text in found.items() if text}


def _suspect_text(suspect: Suspect) -> str:
    """Say what stands out, how often, and by how much: ``http.route=/pay in 94 % of bad and 12 % of good events``."""
    bad, good, lift = suspect.bad_share, suspect.good_share, suspect.lift
    shares = f"in {float(bad * 100):.3g} % of bad" + (f" and {float(good * 100):.3g} % of good" if good else "")
    more = f", {float(lift):.3g} times as common" if lift is not None else ""
    return f"{suspect.key}={suspect.value} {shares} events{more} ({suspect.count.bad} bad, {suspect.count.good} good)"


def _summary(status: SloStatus, alert: Alert) -> str:
    whose = f"{status.slo.name} of {status.slo.service or ', '.join(members_of(status.slo.indicator))}"
    if alert.left is None:
        return f"{whose} burns its error budget"
    if not alert.left:
        return f"{whose} has spent its error budget"
    return f"{whose} has at most {share_text(alert.left)} % of its error budget left"


def _deploy(snapshot: Snapshot, status: SloStatus, alert: Alert) -> str:
    windows = status.slo.alerting.windows
    if alert.left is not None or not windows:
        return ""
    began = alert.pending_unix_nano or alert.fired_unix_nano
    return deploy_before(snapshot.annotations, status.slo.service, began, windows[0].long_ns)


def _description(status: SloStatus, alert: Alert) -> str:
    if alert.left is not None:
        return budget_text(status.count, status.slo, status.budget_remaining)
    over = [pair for pair in status.pairs if pair.window.severity is alert.severity and pair.over]
    left = status.budget_remaining
    budget = f"{float(left * 100):.1f} % of the budget is left" if left is not None else ""
    early = status.early.text if status.early and alert.severity is Severity.PAGE else ""
    missing = status.incomplete.text if status.incomplete else ""
    many = nouns_of(status.slo.indicator)[1]
    return "; ".join(part for part in (early, *(_pair_text(pair, many) for pair in over[:1]), budget, missing) if part)


def _pair_text(pair: PairReading, many: str) -> str:
    burn = float(pair.long_burn or 0)
    length = humanize_duration(pair.window.long_ns)
    counts = f"{pair.long.bad} of {pair.long.total} {many} were bad"
    return f"burn rate {burn:.3g} over {length} ({counts}), above {float(pair.window.factor):.4g}"


def _time(unix_nano: int) -> str:
    moment = datetime.fromtimestamp(unix_nano // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_nano % SECOND // 1_000_000:03d}Z"
