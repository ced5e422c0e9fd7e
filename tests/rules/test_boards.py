"""Grafana's dashboards and data sources: well formed, generated, and every query is one that its server reads."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloburn.rules.span_metrics import OURS
from tests.rules.boards import DASHBOARDS, FOLDER, boards, every_query, panels, queries
from tests.rules.promtool import check

ROOT = Path(__file__).parent.parent.parent
SHOP = ROOT / "examples" / "shop" / "slos.yaml"
COLLECTOR = ROOT / "otel-collector.yaml"
SOURCES: dict[str, Any] = {
    source["uid"]: source
    for source in yaml.safe_load((FOLDER / "provisioning" / "datasources" / "sloburn.yaml").read_text())["datasources"]
}


def test_dashboards_are_generated(tmp_path: Path) -> None:
    """What is committed is what the command writes of the shop's SLOs; the same documents give the same bytes."""
    call = [sys.executable, "-m", "sloburn.cli", "dashboards", SHOP, "--collector", COLLECTOR, "-o", tmp_path]
    subprocess.run([str(part) for part in call], check=True, capture_output=True, timeout=60)

    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert written == {file.name: file.read_text() for file in DASHBOARDS.glob("*.json")}


@pytest.mark.parametrize("uid", boards())
def test_dashboards_fit_grafanas_schema(uid: str) -> None:
    """Grafana's own models read a dashboard and write it again without a loss."""
    models = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard", reason="needs grafana-foundation-sdk==0.0.21"
    )
    cog = pytest.importorskip("grafana_foundation_sdk.cog.encoder")
    board = boards()[uid]

    again = json.loads(cog.JSONEncoder().encode(models.Dashboard.from_json(board)))

    assert lost(board, again) == []


def lost(wanted: Any, found: Any, place: str = "") -> list[str]:
    """Return the places of what is in the first and not in the second."""
    if isinstance(wanted, dict):
        missing = [f"{place}.{key}" for key in wanted if not isinstance(found, dict) or key not in found]
        kept = [key for key in wanted if f"{place}.{key}" not in missing]
        return [*missing, *(one for key in kept for one in lost(wanted[key], found[key], f"{place}.{key}"))]
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(wanted) != len(found):
            return [place]
        pairs = enumerate(zip(wanted, found, strict=True))
        return [one for number, (a, b) in pairs for one in lost(a, b, f"{place}[{number}]")]
    return [] if wanted == found else [f"{place}: {wanted!r} became {found!r}"]


@pytest.mark.parametrize("uid", boards())
def test_panels_have_their_place(uid: str) -> None:
    """Panels have numbers of their own, lie inside the grid and do not overlap; each says what it asks."""
    board = boards()[uid]
    numbers = [panel["id"] for panel in [*board["panels"], *panels(board)] if panel["type"] != "row"]
    visible = [panel for panel in board["panels"] if panel["type"] != "row"]

    assert board["uid"] == uid
    assert len(set(numbers)) == len(list(panels(board)))
    for panel in panels(board):
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24, panel["title"]
        assert panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        assert all(target.get("expr") or target.get("service") for target in panel["targets"])
    for one, other in itertools.combinations([panel["gridPos"] for panel in visible], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
        )
        assert apart or other["y"] + other["h"] <= one["y"]


def test_promql_is_read(tmp_path: Path) -> None:
    """Prometheus reads every PromQL query of every dashboard."""
    asked = [query for query in every_query() if query.kind == "prometheus"]
    rules = [{"record": f"asked:{number}", "expr": query.text} for number, query in enumerate(asked)]
    text = yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]})

    assert len(asked) > 40
    assert f"SUCCESS: {len(asked)} rules found" in check(text, tmp_path)
    assert [query.text for query in asked if "$" in query.text] == []


def test_variables_are_filled() -> None:
    """Each variable in a query is one of the dashboard's, or one of Grafana's own."""
    for board in boards().values():
        known = {variable["name"] for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
        assert used - known <= {"__rate_interval", "__auto"}


def test_every_source_is_asked() -> None:
    """The dashboards show metrics, traces and logs, from the data sources that are provisioned."""
    kinds = {query.kind for query in every_query()}

    assert kinds == {"prometheus", "jaeger", "loki"}
    for board in boards().values():
        sources = [variable for variable in board["templating"]["list"] if variable["type"] == "datasource"]
        assert {variable["current"]["value"] for variable in sources} <= set(SOURCES)
        assert all(SOURCES[variable["current"]["value"]]["type"] == variable["query"] for variable in sources)


def test_signals_lead_to_each_other() -> None:
    """Exemplars and log lines lead to traces, spans to logs and metrics; each to a data source that is there."""
    exemplars = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    derived = SOURCES["loki"]["jsonData"]["derivedFields"]
    spans = SOURCES["jaeger"]["jsonData"]

    assert [(it["name"], it["datasourceUid"]) for it in exemplars] == [("trace_id", "jaeger")]
    assert [(it["matcherType"], it["matcherRegex"], it["datasourceUid"]) for it in derived] == [
        ("label", "trace_id", "jaeger")
    ]
    assert spans["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert '| trace_id="$${__trace.traceId}"' in spans["tracesToLogsV2"]["query"]
    assert spans["tracesToMetrics"]["datasourceUid"] == "prometheus"
    assert any(query.text.startswith("histogram_quantile") for query in queries(boards()["sloburn-service"]))


def test_span_queries_are_read(tmp_path: Path) -> None:
    """The queries behind a span name the metrics that span_metrics exposes, and Prometheus reads them."""
    texts = [it["query"] for it in SOURCES["jaeger"]["jsonData"]["tracesToMetrics"]["queries"]]
    filled = [text.replace("$$__tags", 'service_name="shop"').replace("$$__rate_interval", "1m") for text in texts]
    rules = [{"record": f"asked:{number}", "expr": text} for number, text in enumerate(filled)]

    assert all(OURS.calls in text or f"{OURS.duration}_bucket" in text for text in texts)
    assert "SUCCESS" in check(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}), tmp_path)


def test_exemplars_are_shown() -> None:
    """The chart of durations shows exemplars: from a slow request one click leads to its trace."""
    chart = next(panel for panel in panels(boards()["sloburn-service"]) if panel["title"] == "Duration")

    assert any(target["exemplar"] for target in chart["targets"])
