"""The alerts of one SLO in words: what each watches, how its life went, and which deploy came before it."""

from __future__ import annotations

from dataclasses import dataclass

from sloburn.outputs.wording import clip
from sloburn.sli.status import SloStatus, Snapshot
from sloburn.slo.alerting import Alert, AlertState, share_text
from sloburn.slo.annotation import deploy_before
from sloburn.slo.model import Alerting, Severity

_PROSE_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A step in an alert's life."""

    word: str
    at_unix_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """The life of one alert.

    Args:
        severity: Page or ticket.
        watches: What a budget alert watches, and when it ends; empty for the burn alert.
        state: Where it is now.
        moments: What happened when, oldest first.
    """

    severity: Severity
    watches: str
    state: AlertState
    moments: tuple[Moment, ...]


def alert_row(alert: Alert, alerting: Alerting) -> AlertRow:
    """Tell the life of an alert."""
    steps = (
        ("pending", alert.pending_unix_nano),
        ("fired", alert.fired_unix_nano),
        ("resolved", alert.resolved_unix_nano),
    )
    moments = [Moment(word=word, at_unix_nano=at) for word, at in steps if at]
    # A resolution older than the last firing belongs to the alert's life before; sorted, it comes first.
    moments.sort(key=lambda moment: moment.at_unix_nano)
    watches = _watches(alert, alerting)
    return AlertRow(severity=alert.severity, watches=watches, state=alert.state, moments=tuple(moments))


def _watches(alert: Alert, alerting: Alerting) -> str:
    level = next((one for one in alerting.budget if (one.severity, one.left) == alert.identity), None)
    if level is None:
        return ""
    reached = f"at most {share_text(level.left)} % of the budget left" if level.left else "budget exhausted"
    return f"{reached}; ends above {share_text(level.clear)} %"


def deploy_text(snapshot: Snapshot, status: SloStatus) -> str:
    """Say which deploy came shortly before the burn of an SLO began; empty if none did or nothing burns."""
    firing = [alert for alert in status.alerts if alert.state is AlertState.FIRING and alert.left is None]
    if not firing:
        return ""
    began = min(alert.pending_unix_nano or alert.fired_unix_nano for alert in firing)
    within = status.slo.alerting.windows[0].long_ns if status.slo.alerting.windows else 0
    return clip(deploy_before(snapshot.annotations, status.slo.service, began, within), _PROSE_LIMIT)
