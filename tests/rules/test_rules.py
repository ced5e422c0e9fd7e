"""The whole way: documents in, rule files out, by the command that users call."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.errors import ConfigError
from sloburn.rules import Compiled, Settings, compile_slos, operator_text, prometheus_text
from sloburn.rules.sources import CollectorSource, SloburnSource
from sloburn.rules.span_metrics import OURS, read_span_metrics
from sloburn.slo import naming
from sloburn.slo.conditions import Match, Op, Source
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import CalendarUnit, Period, Slo
from sloburn.spec import load_slos, parse_slos
from tests.promises import metric_slo, span_slo
from tests.rules.history import orders_slo
from tests.rules.promtool import check

ROOT = Path(__file__).parent.parent.parent
SHOP = ROOT / "examples" / "shop" / "slos.yaml"
COLLECTOR = ROOT / "otel-collector.yaml"
GENERATED = ROOT / "collector" / "prometheus" / "rules" / "slos.yaml"


def sloburn_rules(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    call = [sys.executable, "-m", "sloburn.cli", "rules", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)


def groups(found: Compiled) -> list[dict[str, Any]]:
    """Return the groups of a rule file as a reader finds them."""
    return yaml.safe_load(prometheus_text(found))["groups"]  # type: ignore[no-any-return]


def rule(found: Compiled, name: str, operation: str = "") -> dict[str, Any]:
    """Return the first recording of that name."""
    return next(it for group in groups(found) for it in group["rules"] if it.get("record") == name + operation)


def test_stack_runs_what_the_documents_say() -> None:
    """The rules that the stack's Prometheus loads are those of the shop's SLOs as they are now."""
    run = sloburn_rules(SHOP, "--collector", COLLECTOR)

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == GENERATED.read_text(), f"sloburn rules {SHOP} --collector {COLLECTOR} -o {GENERATED}"


def test_promtool_accepts_everything(tmp_path: Path) -> None:
    """Both sources, groups, calendars, budget alerts and exclusions make rule files that promtool accepts."""
    exclusion = OneOff(name="move", interval=Interval(1_760_000_000 * SECOND, 1_760_003_600 * SECOND))
    odd = replace(orders_slo(), name="odd", exclusions=(exclusion,), description='"quoted" \\', runbook="https://x/y")
    calendars = [
        replace(orders_slo(), name=f"by-{unit}", period=Period(length_ns=30 * DAY, unit=unit)) for unit in CalendarUnit
    ]
    two = span_slo("two-groups", group_by=("http.route", "http.request.method"))
    slos = [*load_slos([SHOP]), odd, *calendars, two]

    for source in (CollectorSource(), SloburnSource()):
        text = prometheus_text(compile_slos(slos, Settings(source=source)))
        assert f"SUCCESS: {text.count('- record:') + text.count('- alert:')} rules found" in check(text, tmp_path)


def test_same_documents_same_bytes() -> None:
    """The order of documents makes no difference, nor does the run."""
    slos = load_slos([SHOP])

    assert prometheus_text(compile_slos(slos)) == prometheus_text(compile_slos(reversed(slos)))


def test_operator_gets_the_same_groups() -> None:
    """A PrometheusRule holds the groups of the rule file."""
    found = compile_slos(load_slos([SHOP]))
    resource = yaml.safe_load(operator_text(found, namespace="monitoring"))

    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["metadata"]["namespace"] == "monitoring"
    assert resource["spec"]["groups"] == groups(found)


def test_groups_fit_a_ruler() -> None:
    """The workbook's windows make groups of at most 20 rules, Mimir's limit as it comes."""
    assert max(len(group["rules"]) for group in groups(compile_slos(load_slos([SHOP])))) <= 20


def test_alerts_are_the_processors() -> None:
    """Rules name alerts as the processor does, and give them its labels: Alertmanager takes both for one."""
    alerts = [it for group in groups(compile_slos([orders_slo()])) for it in group["rules"] if "alert" in it]

    assert [(it["alert"], it["labels"]) for it in alerts] == [
        (naming.ALERT_BURN, {"slo": "orders", "service": "shop", "severity": severity})
        for severity in ("page", "ticket")
    ]


def test_numbers_are_exact() -> None:
    """Objectives and factors stand in rules as they were written: 99.95 % and 14.4 are no floats."""
    found = compile_slos([orders_slo("0.9995")])
    page = next(it for group in groups(found) for it in group["rules"] if "alert" in it)

    assert rule(found, naming.RULE_OBJECTIVE)["expr"] == "vector(0.9995)"
    assert "1250 * slo:sloburn_bad_events:increase1h" in page["expr"]  # 14.4 x 0.0005 = 9 / 1250
    assert "> 9 * slo:sloburn_events:increase1h" in page["expr"]


def test_our_defaults_are_the_collectors() -> None:
    """Without --collector, span_metrics is taken to be as otel-collector.yaml configures it."""
    assert read_span_metrics(COLLECTOR) == OURS


def test_another_collector(tmp_path: Path) -> None:
    """Namespace, unit, buckets and dimensions are those of the file that is given."""
    file = tmp_path / "otelcol.yaml"
    file.write_text(
        "connectors: {span_metrics/own: {namespace: red, dimensions: [{name: tenant}],"
        ' histogram: {explicit: {buckets: [200ms, "${env:SLOW:-2s}"]}}}}'
    )
    indicator = "{spans: {where: {tenant: a}}, good: {duration: {le: 2s}}}"
    text = f"{{name: own, service: shop, objective: 99, period: 30d, indicator: {indicator}}}"
    slos = parse_slos(f"version: sloburn/v1\nslos: [{text}]", "slos.yaml")

    found = compile_slos(slos, Settings(source=CollectorSource(spans=read_span_metrics(file))))

    step = rule(found, naming.RULE_BAD_EVENTS, ":step")["expr"]
    assert r'red_duration_milliseconds_bucket{service_name="shop",tenant="a",le=~"2000(\\.0)?"}' in step


@pytest.mark.parametrize("text", ["- 1", "connectors: {}", "connectors: {span_metrics: {histogram: 3}}", "a: [", None])
def test_a_wrong_collector_file_is_named(tmp_path: Path, text: str | None) -> None:
    """A file that is no Collector's configuration with span_metrics is refused by name."""
    file = tmp_path / "otelcol.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ConfigError, match=r"--collector .*otelcol\.yaml"):
        read_span_metrics(file)


def metric_of(slo: Slo, **settings: Any) -> str:
    """Return the expression that counts all events of a metric SLO."""
    found = compile_slos([slo], Settings(source=CollectorSource(**settings)))
    return str(rule(found, naming.RULE_EVENTS, ":step")["expr"])


def test_names_of_metrics() -> None:
    """Durations are histograms in seconds, other metrics count; --metric and --job-label say what is not so."""
    latency, orders = metric_slo(), orders_slo()

    assert 'http_server_request_duration_seconds_count{job=~"(.+/)?shop"}' in metric_of(latency)
    assert 'orders_total{job=~"(.+/)?shop"}' in metric_of(orders)
    assert 'shop_orders_total{service="shop"' not in metric_of(orders, metrics={"orders": "shop_orders_total"})
    assert "shop_orders_total{exported_job=~" in metric_of(
        orders, metrics={"orders": "shop_orders_total"}, job="exported_job"
    )


def test_refusals_are_told(tmp_path: Path) -> None:
    """An SLO without a counterpart is named with the reason; nothing is written unless the rest is asked for."""
    odd = "{name: odd, service: shop, objective: 99, period: 30d, indicator: {spans: {where: {a: b}}, bad: {a: c}}}"
    fine = "{name: fine, service: shop, objective: 99, period: 30d, indicator: {spans: {}, bad: {status: error}}}"
    slos, output = tmp_path / "slos.yaml", tmp_path / "rules.yml"
    slos.write_text(f"version: sloburn/v1\nslos: [{odd}, {fine}]")

    refused = sloburn_rules(slos, "-o", output)
    assert refused.returncode == 1
    assert "odd: a is no dimension of span_metrics" in refused.stderr
    assert "nothing written" in refused.stderr
    assert not output.exists()

    partial = sloburn_rules(slos, "-o", output, "--partial")
    assert partial.returncode == 0
    assert "# Not in here: odd: a is no dimension" in output.read_text()
    assert [group["name"] for group in yaml.safe_load(output.read_text())["groups"]] == [
        "sloburn-fine",
        "sloburn-fine-slow",
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--interval", "45s"], "--interval: found 45s; expected a whole part of 2m"),
        (["--interval", "soon"], "--interval: 'soon' is no duration"),
        (["--settle", "1h"], "--settle: found 1h; expected at most 5m"),
        (["--settle", "later"], "--settle: 'later' is no duration"),
        (["--metric", "orders"], "--metric: found 'orders'; expected INSTRUMENT=NAME"),
        (["-o", "/nowhere/rules.yml"], "--output /nowhere/rules.yml: cannot be written: No such file"),
    ],
)
def test_wrong_flags_are_named(flags: list[str], message: str) -> None:
    """A wrong flag is named with what was expected, without a traceback."""
    run = sloburn_rules(SHOP, *flags)

    assert run.returncode == (2 if "is no duration" in message or "INSTRUMENT" in message else 1)
    assert run.stderr.startswith(message)


@dataclass(frozen=True)
class EveryNight:
    """An exclusion that recurs."""

    name: str = "backup"

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> tuple[Interval, ...]:
        """Return all of it: whether it is a night is not what is asked here."""
        return (Interval(begin_unix_nano, end_unix_nano),)


def test_recurring_exclusions_are_refused() -> None:
    """PromQL knows no calendar of maintenance: such an SLO is refused by the exclusion's name."""
    ((name, reason),) = compile_slos([replace(orders_slo(), exclusions=(EveryNight(),))]).refused

    assert name == "orders"
    assert reason.startswith("the exclusion backup recurs")


def test_waiting_alerts() -> None:
    """`for` stands at the alert, and a note says from when on it is counted."""
    slo = orders_slo()
    found = compile_slos([replace(slo, alerting=replace(slo.alerting, for_ns=90 * SECOND))])
    alerts = [it for group in groups(found) for it in group["rules"] if "alert" in it]

    assert [it["for"] for it in alerts] == ["1m30s", "1m30s"]
    assert [note.split(" ")[0] for _, note in found.notes] == ["`for`"]


def test_what_rules_do_not_do_is_said() -> None:
    """Early pages, local calendars and odd windows are noted with the SLO's name, and stand in the file's head."""
    period = Period(length_ns=30 * DAY, unit=CalendarUnit.MONTH, timezone="Europe/Prague")
    slo = orders_slo()
    odd = replace(slo.alerting.windows[0], short_ns=5 * MINUTE + SECOND, long_ns=HOUR)
    alerting = replace(slo.alerting, early_page=True, windows=(odd,))
    found = compile_slos([replace(slo, period=period, alerting=alerting)])

    notes = [text for _, text in found.notes]
    assert [note.split(" ")[0] for note in notes] == ["early_page", "the", "the"]
    assert "Prometheus' calendar is UTC, not Europe/Prague" in notes[1]
    assert "5m30s is summed" in notes[2]
    assert naming.RULE_BUDGET_REMAINING not in {it.get("record") for group in groups(found) for it in group["rules"]}
    assert all(f"# orders: {note}" in prometheus_text(found) for note in notes)


def test_nothing_breaks_out_of_its_place(tmp_path: Path) -> None:
    """Quotes, backslashes, line ends of every kind and template brackets in values stay values."""
    odd = 'a"b\\c\nd\x85e\u2028f{{g}}\t😀 # h: i'
    where = Match(source=Source.ATTRIBUTE, key="http.route", op=Op.IN, operands=(odd, "plain"))
    slo = replace(span_slo("odd", service=odd, where=where), runbook=f"https://x/{odd}")
    found = compile_slos([slo])
    text = prometheus_text(found)

    assert "SUCCESS" in check(text, tmp_path)
    assert rule(found, naming.RULE_OBJECTIVE)["labels"]["service"] == odd
    assert groups(found) == yaml.safe_load(operator_text(found))["spec"]["groups"]
