"""A series at one moment: every look-back, the budget, the alerts, the state."""

from __future__ import annotations

from fractions import Fraction

from sloburn.sli.series import Series, quiet_ns
from sloburn.sli.status import BudgetPoint, SloState, SloStatus, WindowBurn
from sloburn.slo.alerting import Alert, AlertState, PairReading, read_pair, step
from sloburn.slo.budget import Count, budget_remaining, burn_rate, error_budget, sli, time_to_exhaustion

BUDGET_POINTS = 120


def evaluate(series: Series, now: int, heard_unix_nano: int, *, budget_every_ns: int) -> SloStatus:
    """Move a series to `now` and return its status.

    Args:
        series: What is evaluated; its alerts and state move.
        now: Nanoseconds since the epoch.
        heard_unix_nano: When the service last sent anything; 0 if it never did.
        budget_every_ns: How old the budget's curve may be, nanoseconds.
    """
    slo, ledger = series.slo, series.ledger
    lengths = sorted({slo.period.length_ns, *(part for w in slo.alerting.windows for part in (w.long_ns, w.short_ns))})
    counts = {length: ledger.window(now, length) for length in lengths}
    pairs = tuple(
        read_pair(window, slo.objective, long=counts[window.long_ns], short=counts[window.short_ns])
        for window in slo.alerting.windows
    )
    silent = now - heard_unix_nano > quiet_ns(slo)
    series.alerts = tuple(step(alert, pairs, slo.alerting, now, frozen=silent) for alert in series.alerts)
    count = counts[slo.period.length_ns]
    remaining = budget_remaining(count, slo.objective)
    _enter(series, _state(series.alerts, remaining, pairs, silent=silent), now)
    if now - series.budget_at_unix_nano >= budget_every_ns:
        series.budget, series.budget_at_unix_nano = budget_curve(series, count, now), now
    return SloStatus(
        slo=slo,
        group=series.key.group,
        state=series.state,
        since_unix_nano=series.state_since_unix_nano,
        count=count,
        lifetime=ledger.lifetime,
        sli=sli(count),
        budget_remaining=remaining,
        exhaustion_ns=_exhaustion(series, remaining, pairs),
        burns=tuple(WindowBurn(length_ns=n, count=c, burn=burn_rate(c, slo.objective)) for n, c in counts.items()),
        pairs=pairs,
        alerts=series.alerts,
        failing=tuple(reversed(series.failing)),
        suspects=series.autopsy.suspects(now),
        budget=series.budget,
        last_event_unix_nano=ledger.last_unix_nano,
        notes=tuple(series.notes),
    )


def _state(
    alerts: tuple[Alert, ...], remaining: Fraction | None, pairs: tuple[PairReading, ...], *, silent: bool
) -> SloState:
    if silent:
        return SloState.NO_DATA
    if any(alert.state is AlertState.FIRING for alert in alerts):
        return SloState.BURNING
    if remaining is not None and remaining <= 0:
        return SloState.EXHAUSTED
    if remaining is None or (pairs and not pairs[0].short.total):
        return SloState.NO_TRAFFIC
    return SloState.OK


def _enter(series: Series, state: SloState, now: int) -> None:
    if state is not series.state or not series.state_since_unix_nano:
        series.state, series.state_since_unix_nano = state, now


def _exhaustion(series: Series, remaining: Fraction | None, pairs: tuple[PairReading, ...]) -> int | None:
    burn = pairs[0].long_burn if pairs else None
    if remaining is None or burn is None:
        return None
    return time_to_exhaustion(remaining, burn, series.slo.period.length_ns)


def budget_curve(series: Series, count: Count, now: int) -> tuple[BudgetPoint, ...]:
    """Return how the budget went, from the first event of the period to now.

    The budget is that of the whole period's events, so the curve only falls and ends at what is left.

    Args:
        series: Whose budget.
        count: The events of the period.
        now: Nanoseconds since the epoch.
    """
    ledger, period = series.ledger, series.slo.period.length_ns
    allowed = error_budget(series.slo.objective) * count.total
    if not allowed:
        return ()
    begin = max(now - period, ledger.first_unix_nano)
    resolution = ledger.resolution(now - begin)
    step_ns = max(resolution, -(-(now - begin) // BUDGET_POINTS // resolution) * resolution)
    points = [BudgetPoint(at_unix_nano=begin, remaining=Fraction(1), count=Count())]
    spent, at = 0, begin // resolution * resolution
    while at <= now:
        end = at + step_ns
        part = ledger.between(at, min(end, now + 1) - 1, now)
        spent += part.bad
        points.append(BudgetPoint(at_unix_nano=min(end, now), remaining=1 - spent / allowed, count=part))
        at = end
    return tuple(points)
