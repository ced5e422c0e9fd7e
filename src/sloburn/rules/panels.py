"""Parts of Grafana dashboards: queries, panels and a grid that lays them out. Schema version 42, Grafana 11 to 13.

A panel names its data source by a variable, so a dashboard fits every installation; the values of those variables are
the uids that collector/grafana/provisioning gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

COLUMNS = 24
PROMETHEUS, LOKI, JAEGER = "prometheus", "loki", "jaeger"

GREEN, YELLOW, RED = "green", "yellow", "red"
Steps = Sequence[tuple[str, float | None]]
"""Colours, each from a value on; the first one from minus infinity: None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a panel asks.

    Args:
        text: PromQL or LogQL; of Jaeger the service.
        legend: Name of each series, with ``{{label}}``.
        source: Kind of the data source.
        exemplars: Show the traces behind a histogram.
        instant: The newest value only.
        shape: ``time_series``, ``table`` or ``heatmap``.
        tags: Of Jaeger: what spans must have, in logfmt.
    """

    text: str
    legend: str = ""
    source: str = PROMETHEUS
    exemplars: bool = False
    instant: bool = False
    shape: str = "time_series"
    tags: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A picture.

    Args:
        title: Its heading.
        kind: Grafana's panel type.
        queries: What it asks; all from one data source.
        width: Columns of 24.
        height: Grid units.
        unit: Grafana's name of the unit.
        help: What it means, for people.
        steps: Thresholds.
        options: Of the panel type.
        style: Of the fields: how lines are drawn, and limits.
        transformations: What becomes of the answers.
    """

    title: str
    kind: str = "timeseries"
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    unit: str = "short"
    help: str = ""
    steps: Steps = ((GREEN, None),)
    options: Json = field(default_factory=dict)
    style: Json = field(default_factory=dict)
    transformations: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under a heading, which may be folded."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


LINES: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
NEWEST: Json = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
LINE_STYLE: Json = {"custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}}
LIMIT_STYLE: Json = {"custom": {**LINE_STYLE["custom"], "thresholdsStyle": {"mode": "dashed"}}}


def source(kind: str) -> Json:
    """Refer to the data source that a variable of the dashboard names."""
    return {"type": kind, "uid": f"${{{kind}}}"}


def dashboard(uid: str, title: str, description: str, rows: Iterable[Row], variables: Sequence[Json]) -> Json:
    """Return a dashboard as Grafana's files have it."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["sloburn"],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 42,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [*(_source_variable(kind) for kind in (PROMETHEUS, LOKI, JAEGER)), *variables]},
        "annotations": {"list": [_alerts()]},
        "links": [_link()],
        "panels": _laid_out(rows),
    }


def label_variable(name: str, title: str, query: str) -> Json:
    """Return a variable whose values Prometheus knows."""
    return {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": source(PROMETHEUS),
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "includeAll": False,
        "multi": False,
    }


def _source_variable(kind: str) -> Json:
    return {
        "name": kind,
        "label": kind.capitalize(),
        "type": "datasource",
        "query": kind,
        "current": {"text": kind.capitalize(), "value": kind},
        "refresh": 1,
        "hide": 2,
        "includeAll": False,
        "multi": False,
    }


def _alerts() -> Json:
    return {
        "name": "Alerts",
        "datasource": source(PROMETHEUS),
        "enable": True,
        "iconColor": RED,
        "expr": 'max by (alertname, slo, severity) (ALERTS{alertstate="firing",slo!=""})',
        "titleFormat": "{{slo}}: {{severity}}",
        "textFormat": "{{alertname}}",
    }


def _link() -> Json:
    return {
        "title": "sloburn",
        "type": "dashboards",
        "tags": ["sloburn"],
        "asDropdown": True,
        "includeVars": False,
        "keepTime": True,
        "icon": "external link",
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }


def _laid_out(rows: Iterable[Row]) -> list[Json]:
    """Give every panel its place and number, from the top left, line by line."""
    found: list[Json] = []
    number = top = 0
    for row in rows:
        number += 1
        heading: Json = {"id": number, "type": "row", "title": row.title, "collapsed": row.folded, "panels": []}
        heading["gridPos"] = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        top += 1
        placed: list[Json] = []
        left = line = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, line = 0, top + line, 0
            number += 1
            placed.append(_panel(panel, number, {"h": panel.height, "w": panel.width, "x": left, "y": top}))
            left, line = left + panel.width, max(line, panel.height)
        top += line
        heading["panels"] = placed if row.folded else []
        found += [heading] if row.folded else [heading, *placed]
    return found


def _panel(panel: Panel, number: int, place: Json) -> Json:
    kind = panel.queries[0].source
    steps = [{"color": color, "value": value} for color, value in panel.steps]
    defaults = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}, **panel.style}
    written: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": source(kind),
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": panel.options or (LINES if panel.kind == "timeseries" else {}),
        "targets": [_target(query, place) for place, query in enumerate(panel.queries)],
    }
    return {**written, "transformations": list(panel.transformations)} if panel.transformations else written


def _target(query: Query, place: int) -> Json:
    written: Json = {"refId": chr(ord("A") + place), "datasource": source(query.source)}
    if query.source == JAEGER:
        return {**written, "queryType": "search", "service": query.text, "tags": query.tags, "limit": 20}
    written |= {"expr": query.text, "legendFormat": query.legend}
    if query.source == LOKI:
        return {**written, "queryType": "instant" if query.instant else "range"}
    return {
        **written,
        "format": query.shape,
        "exemplar": query.exemplars,
        "instant": query.instant,
        "range": not query.instant,
    }
