"""Configurations of the stack, and optional parts of the Collector's: they agree, and pass a production review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from collector.stack.places import COLLECTOR, MODULES, ROOT

from tests.test_collector_config import GOING, KINDS, OLD_NAMES, SECRET, kind_of, with_defaults

BASE = ROOT / "otel-collector.yaml"
OPTIONS = sorted((COLLECTOR / "options").glob("*.yaml"))
OURS = [
    *OPTIONS,
    COLLECTOR / "jaeger.yaml",
    COLLECTOR / "loki.yaml",
    COLLECTOR / "alertmanager" / "alertmanager.yaml",
    *sorted((COLLECTOR / "prometheus").rglob("*.yaml")),
]

# Of the official contrib distribution, v0.155, by their names there; our own leaves these out.
ONLY_IN_CONTRIB = {"load_balancing", "k8s_attributes"}
# The name of a component where it differs from that of its Go module.
MODULE_NAMES = {
    "otlp_grpc": "otlpexporter",
    "otlp_http": "otlphttpexporter",
    "file_storage": "filestorage",
    "health_check": "healthcheckextension",
    "memory_limiter": "memorylimiterprocessor",
    "span_metrics": "spanmetricsconnector",
    "tail_sampling": "tailsamplingprocessor",
    "bearertokenauth": "bearertokenauthextension",
}


def read(path: Path) -> dict[str, Any]:
    """Return a configuration as it is with an empty environment."""
    return with_defaults(yaml.safe_load(path.read_text()))  # type: ignore[no-any-return]


def merged(base: Any, part: Any) -> Any:
    """Merge as the Collector does: maps key by key, everything else, lists too, is replaced."""
    if not (isinstance(base, dict) and isinstance(part, dict)):
        return part
    return {**base, **{key: merged(base.get(key), value) for key, value in part.items()}}


def modules() -> set[str]:
    """Return the last part of the name of every module of our distribution."""
    manifest = yaml.safe_load((MODULES / "otelcol" / "manifest.yaml").read_text())
    return {entry["gomod"].split()[0].rpartition("/")[2] for kind in KINDS for entry in manifest[kind]}


def module_of(component: str, kind: str) -> str:
    """Return the last part of the name of a component's Go module."""
    name = kind_of(component)
    return MODULE_NAMES.get(name, f"{name.replace('_', '')}{kind.removesuffix('s')}")


@pytest.mark.parametrize("part", [None, *OPTIONS], ids=lambda part: part.stem if part else "alone")
def test_every_component_is_known(part: Path | None) -> None:
    """Whatever a configuration names is in our distribution, or is known to be in the official one only."""
    configuration = merged(read(BASE), read(part) if part else {})
    used = {(kind_of(name), module_of(name, kind)) for kind in KINDS for name in configuration[kind]}

    assert {name for name, module in used if module not in modules()} <= ONLY_IN_CONTRIB


@pytest.mark.parametrize("part", OPTIONS, ids=lambda part: part.stem)
def test_options_pass_the_review(part: Path) -> None:
    """With a part merged, nothing is old, limits come first, and what pushes is durable and never gives up."""
    configuration = merged(read(BASE), read(part))
    types = {kind_of(name) for kind in KINDS for name in configuration[kind]}
    stores = [name for name in configuration["service"]["extensions"] if name.startswith("file_storage")]

    assert types & (OLD_NAMES | GOING) == set()
    assert {line["processors"][0] for line in configuration["service"]["pipelines"].values()} == {"memory_limiter"}
    assert set(configuration["extensions"]) == set(configuration["service"]["extensions"])
    for name, exporter in configuration["exporters"].items():
        if kind_of(name) != "prometheus":
            assert exporter["sending_queue"]["storage"] in stores, name
            assert exporter["retry_on_failure"]["max_elapsed_time"] == 0, name


@pytest.mark.parametrize("part", OPTIONS, ids=lambda part: part.stem)
def test_parts_combine(part: Path) -> None:
    """No part has a list of extensions: it would replace another part's, and neither would start."""
    assert "extensions" not in read(part).get("service", {})


@pytest.mark.parametrize("part", OPTIONS, ids=lambda part: part.stem)
def test_redaction_stays_before_every_exit(part: Path) -> None:
    """No part takes redaction out of a pipeline that takes telemetry from outside."""
    document = merged(read(BASE), read(part))
    lines = document["service"]["pipelines"].values()
    unredacted = {"otlp"}  # and whatever a pipeline without redaction hands it on to
    for _ in lines:
        ways = [line for line in lines if unredacted & set(line["receivers"]) and "redaction" not in line["processors"]]
        unredacted |= {exporter for line in ways for exporter in line["exporters"]}

    assert unredacted <= {"otlp", *document["connectors"]}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_secret_and_no_open_address(path: Path) -> None:
    """Secrets are files or references, and nothing listens beyond the machine by itself."""
    text = path.read_text()
    secrets = [line for line in text.splitlines() if SECRET.match(line) and "_file:" not in line]

    assert secrets == []
    assert "0.0.0.0" not in text
    assert not re.search(r"(endpoint|address): *[\"']?:\d", text)


def test_secrets_of_alertmanager_are_files() -> None:
    """Every key, password and webhook address is read from a file when it is needed."""
    text = (COLLECTOR / "alertmanager" / "alertmanager.yaml").read_text()
    named = re.findall(r"(\w*(?:key|password|url)\w*): (\S+)", text)

    assert named
    assert all(name.endswith("_file") and value.startswith("secrets/") for name, value in named)


def test_collector_sends_to_jaeger_and_loki() -> None:
    """The Collector's exits are where Jaeger and Loki listen."""
    exits, jaeger, loki = read(BASE)["exporters"], read(COLLECTOR / "jaeger.yaml"), _loki()

    assert exits["otlp_grpc/jaeger"]["endpoint"] == jaeger["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert exits["otlp_http/loki"]["endpoint"] == f"http://127.0.0.1:{loki['server']['http_listen_port']}/otlp"


LARGE_SPAN_BYTES = 64 * 2**10
# What Jaeger wrote on a machine whose two cores 25 processes shared: every span is synchronised to disk by itself.
SLOW_SPANS_PER_SECOND = 100


def _loki() -> dict[str, Any]:
    text = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", (COLLECTOR / "loki.yaml").read_text())
    return yaml.safe_load(text)  # type: ignore[no-any-return]


def test_jaeger_takes_the_largest_batch() -> None:
    """A request is not too large for Jaeger, nor more than a slow disk writes in time: it would be sent for ever."""
    exporter = read(BASE)["exporters"]["otlp_grpc/jaeger"]
    batch = exporter["sending_queue"]["batch"]
    limit = read(COLLECTOR / "jaeger.yaml")["receivers"]["otlp"]["protocols"]["grpc"]["max_recv_msg_size_mib"]
    in_flight = batch["max_size"] * exporter["sending_queue"]["num_consumers"]

    assert batch["sizer"] == "items"
    assert batch["max_size"] * LARGE_SPAN_BYTES <= limit * 2**20
    assert in_flight / SLOW_SPANS_PER_SECOND < float(exporter["timeout"].removesuffix("s"))


def test_monitor_view_reads_what_span_metrics_writes() -> None:
    """Namespace and unit agree: where they differ, Jaeger's Monitor view is empty and says nothing."""
    connector = read(BASE)["connectors"]["span_metrics"]
    reader = read(COLLECTOR / "jaeger.yaml")["extensions"]["jaeger_storage"]["metric_backends"]["span_metrics"]

    assert reader["prometheus"]["latency_unit"] == connector["histogram"]["unit"] == "s"
    assert reader["prometheus"]["metric_namespace"] == "traces_span_metrics"
    assert "namespace" not in connector, "its default is traces.span.metrics"


def test_jaeger_keeps_traces_on_disk() -> None:
    """Jaeger's storage is a folder, and what it has answered for is written."""
    (backend,) = read(COLLECTOR / "jaeger.yaml")["extensions"]["jaeger_storage"]["backends"].values()

    assert (backend["badger"]["ephemeral"], backend["badger"]["consistency"]) == (False, True)


def test_loki_keeps_errors_longer() -> None:
    """INFO stays 30 days, ERROR 90; the compactor does it; few attributes are labels and trace_id is none."""
    limits, compactor = _loki()["limits_config"], _loki()["compactor"]
    (errors,) = limits["retention_stream"]
    (labels,) = limits["otlp_config"]["resource_attributes"]["attributes_config"]

    assert compactor["retention_enabled"] is True
    assert (limits["retention_period"], errors["period"]) == ("30d", "90d")
    assert re.search("error", errors["selector"])
    assert limits["otlp_config"]["severity_text_as_label"] is True
    assert len(labels["attributes"]) <= 5
    assert limits["otlp_config"]["resource_attributes"]["ignore_defaults"] is True


@pytest.mark.parametrize(
    ("text", "is_kept_longer"),
    [
        *(
            (text, True)
            for text in ("error", "ERROR", "ERR", "ERROR2", "SEVERE", "Critical", "crit", "FATAL4", "emerg")
        ),
        *((text, False) for text in ("", "INFO", "WARN", "warning", "NOTICE", "DEBUG", "errorless", "terror")),
    ],
)
def test_loki_knows_errors_by_all_their_names(text: str, is_kept_longer: bool) -> None:
    """What languages call an error or worse is kept longer, and nothing else; Loki matches a whole label."""
    (errors,) = _loki()["limits_config"]["retention_stream"]
    pattern = re.fullmatch(r'\{severity_text=~"(.+)"\}', errors["selector"])

    assert pattern is not None
    assert (re.fullmatch(pattern[1], text) is not None) is is_kept_longer


def test_levels_without_a_name_get_one() -> None:
    """A log record with a number and no text has OTLP's name for it before Loki sees it: worst first, as both match."""
    statements = read(BASE)["processors"]["transform/loki"]["log_statements"]
    named = [it for it in statements if it.startswith("set(log.severity_text")]

    assert [re.findall('"([A-Z]+)"', it)[0] for it in named] == ["FATAL", "ERROR"]
    assert all('where log.severity_text == ""' in it for it in named)


def test_prometheus_keeps_a_month() -> None:
    """30 days, exemplars, and late samples within half an hour."""
    storage = read(COLLECTOR / "prometheus" / "prometheus.yaml")["storage"]

    assert storage["tsdb"]["retention"]["time"] == "30d"
    assert storage["tsdb"]["out_of_order_time_window"] == "30m"
    assert storage["exemplars"]["max_exemplars"] > 0


def test_exemplars_live_until_they_are_scraped() -> None:
    """span_metrics shows an exemplar until its next flush: Prometheus must come by at least that often."""
    flush = read(BASE)["connectors"]["span_metrics"]["metrics_flush_interval"]
    scrape = read(COLLECTOR / "prometheus" / "prometheus.yaml")["global"]["scrape_interval"]

    assert int(scrape.removesuffix("s")) <= int(flush.removesuffix("s"))


def test_page_silences_the_ticket() -> None:
    """Who is woken for an SLO does not get a ticket for the same one."""
    (rule,) = read(COLLECTOR / "alertmanager" / "alertmanager.yaml")["inhibit_rules"]

    promise = 'slo =~ ".+"'  # labels that both lack are equal, so alerts of no SLO must not match at all
    assert rule["source_matchers"] == ["severity = page", promise]
    assert rule["target_matchers"] == ["severity = ticket", promise]
    assert {"slo", "service"} <= set(rule["equal"])
