"""What Grafana would ask: every query of a dashboard, with the values of one service in the place of variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent.parent / "collector" / "grafana"
DASHBOARDS = FOLDER / "dashboards"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query as it reaches a server.

    Args:
        panel: Title of its panel.
        kind: ``prometheus``, ``loki`` or ``jaeger``.
        text: PromQL or LogQL; of Jaeger the service.
        tags: Of Jaeger: what spans must have, in logfmt.
    """

    panel: str
    kind: str
    text: str
    tags: str = ""


def boards() -> dict[str, Json]:
    """Return the committed dashboards by uid."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))}


def panels(board: Json) -> Iterator[Json]:
    """Yield every panel with queries, those of folded rows too."""
    for panel in board["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else [panel]


def queries(board: Json, service: str = "shop") -> list[Asked]:
    """Return every query of a dashboard: of panels, variables and annotations.

    Args:
        board: The dashboard.
        service: The value of its variable.
    """
    values = {"$service": service, "$__rate_interval": "1m", "$__auto": "1m"}
    found = [
        Asked(
            panel=panel["title"],
            kind=target["datasource"]["type"],
            text=_filled(target.get("expr", target.get("service", "")), values),
            tags=target.get("tags", ""),
        )
        for panel in panels(board)
        for target in panel["targets"]
    ]
    annotations = [
        Asked(panel=it["name"], kind=it["datasource"]["type"], text=it["expr"]) for it in board["annotations"]["list"]
    ]
    return [*found, *annotations]


def every_query(service: str = "shop") -> list[Asked]:
    """Return the queries of all committed dashboards: to be asked of real servers."""
    return [asked for board in boards().values() for asked in queries(board, service)]


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text
