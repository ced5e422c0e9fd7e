"""Builders of SLOs for tests: the usual ones in one line each."""

from __future__ import annotations

from fractions import Fraction

from sloburn.duration import DAY
from sloburn.slo.catalog import workbook_windows
from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Op, Source
from sloburn.slo.model import Alerting, MetricIndicator, Period, Slo, SpanIndicator

STATUS_ERROR = Match(source=Source.STATUS, op=Op.EQ, operands=("error",))
SERVER_SPANS = Match(source=Source.KIND, op=Op.EQ, operands=("server",))
CODE_5XX = Match(source=Source.ATTRIBUTE, key="http.response.status_code", op=Op.GTE, operands=(500,))
EVERYTHING = AllOf()


def span_slo(
    name: str = "availability",
    *,
    objective: str = "0.999",
    service: str = "shop",
    where: Condition = SERVER_SPANS,
    bad: Condition = AnyOf((CODE_5XX, STATUS_ERROR)),  # noqa: B008 (frozen)
    group_by: tuple[str, ...] = (),
    period_ns: int = 30 * DAY,
    min_bad_events: int = 5,
) -> Slo:
    """Return an SLO on spans with the workbook's windows."""
    period = Period(length_ns=period_ns)
    return Slo(
        name=name,
        service=service,
        objective=Fraction(objective),
        period=period,
        indicator=SpanIndicator(where=where, bad=bad),
        alerting=Alerting(windows=workbook_windows(period), min_bad_events=min_bad_events),
        group_by=group_by,
    )


def metric_slo(
    name: str = "latency",
    *,
    metric: str = "http.server.request.duration",
    threshold: str | None = "0.3",
    bad: Condition | None = None,
    where: Condition = EVERYTHING,
    objective: str = "0.95",
    service: str = "shop",
) -> Slo:
    """Return an SLO on a metric: a threshold in seconds, or a condition for bad points."""
    period = Period(length_ns=30 * DAY)
    indicator = MetricIndicator(
        metric=metric,
        where=where,
        bad=bad,
        threshold=None if threshold is None else Fraction(threshold),
        is_duration=threshold is not None,
    )
    return Slo(
        name=name,
        service=service,
        objective=Fraction(objective),
        period=period,
        indicator=indicator,
        alerting=Alerting(windows=workbook_windows(period)),
    )
