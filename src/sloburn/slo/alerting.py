"""The burn-rate alert machine: a pure function from what is seen to what an alert becomes.

inactive → pending → firing → resolved. A pair of windows is *over* while both of its burn rates are strictly above the
factor. `pending` means over, but not yet for `for_ns`, or with fewer bad events than the minimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from sloburn.slo.budget import Count, burn_rate
from sloburn.slo.model import Alerting, Severity, Window


class AlertState(StrEnum):
    """Where an alert is in its life."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReading:
    """A pair of windows and what they hold now.

    Args:
        window: The pair.
        long: Counts of the long look-back.
        short: Counts of the short look-back.
        long_burn: Burn rate; None without events.
        short_burn: Burn rate; None without events.
    """

    window: Window
    long: Count
    short: Count
    long_burn: Fraction | None
    short_burn: Fraction | None

    @property
    def over(self) -> bool:
        """Both burn rates are strictly above the factor; compared exactly, before any rounding."""
        factor = self.window.factor
        return (
            self.long_burn is not None
            and self.short_burn is not None
            and self.long_burn > factor
            and self.short_burn > factor
        )

    @property
    def undecided(self) -> bool:
        """The long window is over and the short one is empty: nothing says that the trouble ended."""
        return self.short_burn is None and self.long_burn is not None and self.long_burn > self.window.factor


def read_pair(window: Window, objective: Fraction, *, long: Count, short: Count) -> PairReading:
    """Put a pair of windows and their counts together."""
    return PairReading(
        window=window,
        long=long,
        short=short,
        long_burn=burn_rate(long, objective),
        short_burn=burn_rate(short, objective),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The life of one alert: SLO + group + severity, and for a budget alert the share that is left.

    Args:
        severity: Page or ticket.
        left: Share of the budget at which it fires (`slo.budget_alerts`); None for the burn alert.
        state: Where it is now.
        since_unix_nano: When it entered that state.
        pending_unix_nano: When the condition last became true; 0 while it is not.
        fired_unix_nano: When it last fired; 0 if it never did.
        resolved_unix_nano: When it last resolved; 0 if it never did.
    """

    severity: Severity
    left: Fraction | None = None
    state: AlertState = AlertState.INACTIVE
    since_unix_nano: int = 0
    pending_unix_nano: int = 0
    fired_unix_nano: int = 0
    resolved_unix_nano: int = 0

    @property
    def kind(self) -> str:
        """What it watches, as a label: ``burn``, ``budget-exhausted``, ``budget-10%``."""
        if self.left is None:
            return "burn"
        return f"budget-{share_text(self.left)}%" if self.left else "budget-exhausted"

    @property
    def title(self) -> str:
        """Severity and what it watches, for people."""
        if self.left is None:
            return self.severity.value
        watched = f"{share_text(self.left)} % of the budget left" if self.left else "budget exhausted"
        return f"{self.severity.value}: {watched}"

    @property
    def identity(self) -> tuple[Severity, Fraction | None]:
        """What tells it from the other alerts of its series, over restarts."""
        return self.severity, self.left


def share_text(share: Fraction) -> str:
    """Write a share in percent without the sign: ``10``, ``2.5``."""
    return f"{float(share * 100):.10g}"


def step(
    alert: Alert,
    readings: tuple[PairReading, ...],
    alerting: Alerting,
    now: int,
    *,
    frozen: bool = False,
    early: bool = False,
) -> Alert:
    """Return what the alert is at `now`.

    Args:
        alert: What it was.
        readings: Every pair of the SLO; those of other severities are passed over.
        alerting: The SLO's alert settings.
        now: Nanoseconds since the epoch.
        frozen: There is no data: neither fire nor resolve.
        early: The early page's evidence is there (`slo.early`): a page fires at once, without a pair that is over.
    """
    if frozen:
        return alert
    if early and alert.severity is Severity.PAGE:
        return _while_early(alert, now)
    mine = [reading for reading in readings if reading.window.severity is alert.severity]
    over = [reading for reading in mine if reading.over]
    if over:
        return _while_over(alert, over, alerting, now)
    if alert.state is AlertState.FIRING:
        if any(reading.undecided for reading in mine):
            return alert
        return replace(
            alert, state=AlertState.RESOLVED, since_unix_nano=now, pending_unix_nano=0, resolved_unix_nano=now
        )
    if alert.state is AlertState.PENDING:
        state = AlertState.RESOLVED if alert.resolved_unix_nano else AlertState.INACTIVE
        return replace(alert, state=state, since_unix_nano=now, pending_unix_nano=0)
    return alert


def _while_early(alert: Alert, now: int) -> Alert:
    if alert.state is AlertState.FIRING:
        return alert
    since = alert.pending_unix_nano or now
    return replace(alert, state=AlertState.FIRING, since_unix_nano=now, pending_unix_nano=since, fired_unix_nano=now)


def _while_over(alert: Alert, over: list[PairReading], alerting: Alerting, now: int) -> Alert:
    if alert.state is AlertState.FIRING:
        return alert
    since = alert.pending_unix_nano or now
    ripe = now - since >= alerting.for_ns
    if ripe and any(reading.long.bad >= alerting.min_bad_events for reading in over):
        return replace(
            alert, state=AlertState.FIRING, since_unix_nano=now, pending_unix_nano=since, fired_unix_nano=now
        )
    if alert.state is AlertState.PENDING:
        return alert
    return replace(alert, state=AlertState.PENDING, since_unix_nano=now, pending_unix_nano=since)
