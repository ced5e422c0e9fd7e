"""The dashboard of SLOs: an overview, and for each promise its burn against its own factors, its budget, and why.

Generated, because thresholds are numbers of the documents: a burn chart without its factors says little.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sloburn.duration import format_duration
from sloburn.rules.panels import (
    GREEN,
    JAEGER,
    LIMIT_STYLE,
    LINE_STYLE,
    LOKI,
    NEWEST,
    RED,
    YELLOW,
    Json,
    Panel,
    Query,
    Row,
    Steps,
    dashboard,
)
from sloburn.rules.promql import quote
from sloburn.slo import naming
from sloburn.slo.model import Severity, Slo

UID = "sloburn-slos"
BUDGET_STEPS: Steps = ((RED, None), (YELLOW, 0.0), (GREEN, 0.25))
_OPEN = 3  # so many SLOs are unfolded


def slo_board(slos: Iterable[Slo]) -> Json:
    """Return the dashboard of SLOs, in the order of their names."""
    ordered = sorted(slos, key=lambda slo: slo.name)
    rows = [_overview(), *(_row(slo, folded=place >= _OPEN) for place, slo in enumerate(ordered))]
    return dashboard(UID, "SLOs", "What is promised, how fast it is broken, and what is left of it.", rows, ())


def _overview() -> Row:
    left = Query(text=f"min by (slo) ({naming.RULE_BUDGET_REMAINING})", legend="{{slo}}", instant=True)
    burn = Query(text=f'max by (slo) ({naming.RULE_BURN_RATE}{{window="1h"}})', legend="{{slo}}", instant=True)
    firing = 'max by (slo, service, severity, alertname, group) (ALERTS{alertstate="firing",slo!=""})'
    hidden = {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}
    return Row(
        title="Overview",
        panels=(
            Panel(
                title="Budget left",
                kind="bargauge",
                queries=(left,),
                unit="percentunit",
                steps=BUDGET_STEPS,
                options={**NEWEST, "orientation": "horizontal", "displayMode": "basic"},
                style={"min": 0, "max": 1},
                help="Of the period's error budget, the group that has least; below zero it is overspent.",
            ),
            Panel(
                title="Burn rate of the last hour",
                kind="bargauge",
                queries=(burn,),
                steps=((GREEN, None), (YELLOW, 1.0), (RED, 6.0)),
                options={**NEWEST, "orientation": "horizontal", "displayMode": "basic"},
                style={"min": 0},
                help="1 spends just the whole budget within the period.",
            ),
            Panel(
                title="Firing",
                kind="table",
                queries=(Query(text=firing, instant=True, shape="table"),),
                transformations=(hidden,),
            ),
        ),
    )


def _row(slo: Slo, *, folded: bool) -> Row:
    percent = f"{(Decimal(slo.objective.numerator) * 100 / Decimal(slo.objective.denominator)).normalize():f}"
    title = f"{slo.name}: {percent} % over {_period(slo)} ({slo.service})"
    return Row(
        title=title, panels=(*_standing(slo), _burn(slo), _budget(slo), _events(slo), *_evidence(slo)), folded=folded
    )


def _period(slo: Slo) -> str:
    return slo.period.unit.value if slo.period.unit else format_duration(slo.period.length_ns)


def _select(slo: Slo, name: str) -> str:
    return f"{name}{{slo={quote(slo.name)}}}"


def _standing(slo: Slo) -> tuple[Panel, ...]:
    objective = float(slo.objective)
    return (
        Panel(
            title="Good events",
            kind="stat",
            queries=(Query(text=f"min({_select(slo, naming.RULE_SLI)})", instant=True),),
            width=4,
            unit="percentunit",
            steps=((RED, None), (GREEN, objective)),
            options=NEWEST,
            style={"decimals": 3},
            help=slo.description,
        ),
        Panel(
            title="Budget left",
            kind="stat",
            queries=(Query(text=f"min({_select(slo, naming.RULE_BUDGET_REMAINING)})", instant=True),),
            width=4,
            unit="percentunit",
            steps=BUDGET_STEPS,
            options=NEWEST,
            style={"decimals": 1},
        ),
    )


def _burn(slo: Slo) -> Panel:
    """Chart every window; the lowest factors of page and ticket are dashed lines."""
    factors = {
        severity: min(window.factor for window in slo.alerting.windows if window.severity is severity)
        for severity in Severity
        if any(window.severity is severity for window in slo.alerting.windows)
    }
    colors = {Severity.PAGE: RED, Severity.TICKET: YELLOW}
    steps = sorted((float(factor), colors[severity]) for severity, factor in factors.items())
    return Panel(
        title="Burn rate",
        queries=(Query(text=f"max by (window) ({_select(slo, naming.RULE_BURN_RATE)})", legend="{{window}}"),),
        width=16,
        steps=((GREEN, None), *((color, value) for value, color in steps)),
        style={**LIMIT_STYLE, "min": 0},
        help="An alert needs a long and its short window above their factor; dashed: the lowest factor that tickets, "
        "and the lowest that pages.",
    )


def _budget(slo: Slo) -> Panel:
    left = Query(text=_select(slo, naming.RULE_BUDGET_REMAINING), legend="{{group}}")
    style = {**LINE_STYLE, "max": 1}
    return Panel(title="Budget left", queries=(left,), width=8, unit="percentunit", steps=BUDGET_STEPS, style=style)


def _events(slo: Slo) -> Panel:
    total, bad = (f"sum({_select(slo, f'{name}:step')})" for name in (naming.RULE_EVENTS, naming.RULE_BAD_EVENTS))
    return Panel(
        title="Events of a step",
        queries=(Query(text=total, legend="all"), Query(text=bad, legend="bad")),
        width=8,
        style=LINE_STYLE,
        help="Whole events, as every window sums them.",
    )


def _evidence(slo: Slo) -> tuple[Panel, ...]:
    service = quote(slo.service)
    logs = f'{{service_name={service}, severity_text=~"(?i)(error|critical|fatal)"}}'
    return (
        Panel(
            title="Failed traces",
            kind="table",
            queries=(Query(text=slo.service, source=JAEGER, tags="error=true"),),
            width=8,
        ),
        Panel(
            title="Errors in logs",
            kind="logs",
            queries=(Query(text=logs, source=LOKI),),
            width=24,
            height=7,
            options={"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"},
        ),
    )
