"""Groups that never come again: their alerts end in Prometheus as they do in the processor."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from sloburn.duration import HOUR
from sloburn.rules.sources import SloburnSource
from sloburn.slo import naming
from sloburn.slo.model import BudgetLevel, Period, Severity
from tests.promises import span_slo
from tests.rules.promtool import Expected, Labels, Series, at_once, compiled, run_history

STEP = 120  # seconds
PERIOD = 8 * HOUR
BAD, QUIET = 60, 360  # steps: two hours of failures, then nothing for half a day


@pytest.mark.parametrize(("is_grouped", "together"), [(True, False), (True, True), (False, False)])
def test_a_budget_alert_ends_with_its_group(tmp_path: Path, is_grouped: bool, together: bool) -> None:
    """Without an event in the period a group is gone and its alert ends; that of a whole SLO stays, as nobody knows.

    Groups that alert together are a whole.
    """
    level = BudgetLevel(severity=Severity.TICKET, left=Fraction(0), clear=Fraction(1, 20))
    slo = span_slo("tenants", group_by=("tenant",) if is_grouped else ())
    alerting = replace(slo.alerting, windows=(), budget=(level,), together=together)
    slo = replace(slo, period=Period(length_ns=PERIOD), alerting=alerting)
    group = {naming.LABEL_GROUP: "tenant=a"} if is_grouped else {}
    labels = {"job": "sloburn", "instance": "one"}
    mine = {**labels, **group, naming.LABEL_SLO: slo.name, naming.LABEL_SERVICE: slo.service}
    values: list[int | None] = [min(number, BAD) for number in range(BAD + QUIET)]
    series = [
        Series(name=naming.EVENTS_TOTAL, labels={**mine, naming.LABEL_OUTCOME: "bad"}, values=values),
        Series(name=naming.EVENTS_TOTAL, labels={**mine, naming.LABEL_OUTCOME: "good"}, values=[0] * len(values)),
        Series(name=naming.BUILD_INFO, labels=labels, values=[1] * len(values)),
    ]
    query = f'count(ALERTS{{alertname="{naming.ALERT_BUDGET}",alertstate="firing"}})'
    fires: list[tuple[Labels, float]] = [({}, 1.0)]
    expected = [
        Expected(at=(BAD + 30) * STEP, query=query, samples=fires),
        Expected(at=(BAD + 200) * STEP, query=query, samples=fires),
        Expected(at=(BAD + 300) * STEP, query=query, samples=[] if is_grouped and not together else fires),
    ]
    run_history(compiled([slo], at_once(STEP, SloburnSource())), STEP, series, expected, tmp_path)
