"""Budget alerts: they fire when so little of the period's budget is left, however slowly it went.

Burn alerts look at windows and forget; a budget that trickles away under their factors, or that several short outages
spent together, is told by these. The share at which one ends lies above the share at which it fires: in a rolling
period old bad events leave while new good ones come, and the remaining share trembles around any single line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget import Count, budget_remaining, error_budget
from sloburn.slo.model import Alerting, BudgetLevel, Severity, Slo, WeightedIndicator
from sloburn.slo.timed import nouns_of

CLEARANCE = Fraction(5, 100)  # of the budget, between where an alert fires and where it ends


def default_clear(left: Fraction) -> Fraction:
    """Return the share above which an alert ends if nobody says: 5 points more, and always below 100 %."""
    return min(left + CLEARANCE, (left + 1) / 2)


def alerts_of(alerting: Alerting, known: Iterable[Alert] = ()) -> tuple[Alert, ...]:
    """Return every alert that the settings ask for: burn alerts, page first, then budget alerts in their order.

    Args:
        alerting: The SLO's.
        known: Alerts as they were, for instance before a restart; those that nobody asks for any more are dropped.
    """
    lives = {alert.identity: alert for alert in known}
    wanted = (
        *(Alert(severity=severity) for severity in Severity),
        *(Alert(severity=level.severity, left=level.left) for level in alerting.budget),
    )
    return tuple(lives.get(alert.identity, alert) for alert in wanted)


def budget_text(count: Count, slo: Slo, left: Fraction | None) -> str:
    """Say what is left of a budget: ``8.0 % of the budget is left: 92 bad events of 100 that 100,000 events allow``.

    Args:
        count: Events of the period.
        slo: Whose.
        left: Share of the budget that is left; None without events.
    """
    many = nouns_of(slo.indicator)[1]
    if left is None:
        return f"no {many} in the period"
    share = f"{float(left * 100):.1f} % of the budget is left"
    if isinstance(slo.indicator, WeightedIndicator):  # its members' events tell nothing of it
        return share
    allowed = float(count.total * error_budget(slo.objective))
    return f"{share}: {count.bad:,} bad {many} of {allowed:,.10g} that {count.total:,} {many} allow"


def step_budget(
    alerts: tuple[Alert, ...], slo: Slo, count: Count, now: int, *, bad: int | None = None
) -> tuple[Alert, ...]:
    """Return what the alerts are at `now`; burn alerts stay as they are.

    Args:
        alerts: What they were.
        slo: Whose.
        count: Events of the period.
        now: Nanoseconds since the epoch.
        bad: How many bad events there were, where `count` holds weights; None: those of `count`.
    """
    levels: dict[tuple[Severity, Fraction | None], BudgetLevel]
    levels = {(level.severity, level.left): level for level in slo.alerting.budget}
    left = budget_remaining(count, slo.objective)
    return tuple(
        alert
        if alert.left is None
        else _step(alert, levels[alert.identity], slo, count.bad if bad is None else bad, left, now)
        for alert in alerts_of(slo.alerting, alerts)
    )


def _step(alert: Alert, level: BudgetLevel, slo: Slo, bad: int, left: Fraction | None, now: int) -> Alert:
    if alert.state is AlertState.FIRING:
        if _is_over(level, slo, left):
            return replace(alert, state=AlertState.RESOLVED, since_unix_nano=now, resolved_unix_nano=now)
        return alert
    if left is None or left > level.left or bad < slo.alerting.min_bad_events:
        return alert
    return replace(alert, state=AlertState.FIRING, since_unix_nano=now, pending_unix_nano=now, fired_unix_nano=now)


def _is_over(level: BudgetLevel, slo: Slo, left: Fraction | None) -> bool:
    if left is None:  # no events: a calendar period began anew, a group is gone; nothing says so of what is left
        return slo.period.unit is not None or (bool(slo.group_by) and not slo.alerting.together)
    return left > level.clear
