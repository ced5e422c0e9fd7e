"""`otel-collector.yaml`: it agrees with the processor's addresses and SLOs, and passes a production review."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from sloburn.duration import MILLISECOND, SECOND, parse_duration
from sloburn.server.config import ProcessorConfig, load_config
from sloburn.slo.conditions import Condition, Match, Not, Op, Source
from sloburn.slo.model import MetricIndicator, Slo, SpanIndicator
from sloburn.spec import load_slos

ROOT = Path(__file__).parent.parent
COLLECTOR_FILE = ROOT / "otel-collector.yaml"
PROCESSOR_FILE = ROOT / "collector" / "sloburn.yaml"

# Aliases that still work, and components that are gone or going: collector.md, sections 3.1 and 6.
OLD_NAMES = {"otlphttp", "spanmetrics", "prometheusremotewrite", "hostmetrics", "loadbalancing", "loki", "jaeger"}
GOING = {"batch", "logging"}

KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")
PARTS = ("receivers", "processors", "exporters")

# What another reader may learn: names of secrets with something other than a reference as their value.
SECRET = re.compile(r"(?i)^\s*[\w.-]*(password|secret|token|api_?key|authorization|hmac_key)[\w.-]*:\s*(?!\$\{)\S+")


def with_defaults(value: Any) -> Any:
    """Return a configuration in which every ``${env:NAME:-default}`` is its default."""
    if isinstance(value, dict):
        return {key: with_defaults(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_defaults(part) for part in value]
    if not isinstance(value, str):
        return value
    default = re.sub(r"\$\{env:\w+:-(.*?)\}", r"\1", value)
    # What is a reference as a whole takes the type of its value, as in the Collector.
    return yaml.safe_load(default) if default != value and default.isdecimal() else default


@pytest.fixture(scope="module")
def collector() -> dict[str, Any]:
    """The Collector's configuration, as it is with an empty environment."""
    return with_defaults(yaml.safe_load(COLLECTOR_FILE.read_text()))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def processor() -> ProcessorConfig:
    """The configuration of the processor that runs beside the Collector."""
    return load_config(file=PROCESSOR_FILE, environ={}, flags={})


@pytest.fixture(scope="module")
def slos() -> tuple[Slo, ...]:
    """Every SLO of the examples."""
    files = sorted(ROOT.glob("examples/*/slos.yaml"))
    assert files, "no example has SLO documents"
    return load_slos(files)


def kind_of(component: str) -> str:
    """Return the type of a component: what stands before the slash."""
    return component.split("/")[0]


def pipelines(collector: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the pipelines by name."""
    return collector["service"]["pipelines"]  # type: ignore[no-any-return]


def pushing(collector: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the exporters that send: all but the one that is scraped."""
    return {name: it for name, it in collector["exporters"].items() if kind_of(name) != "prometheus"}


def binds(collector: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return every address that the Collector listens on, by what listens there."""
    protocols = collector["receivers"]["otlp"]["protocols"]
    endpoints = {f"otlp {name}": settings["endpoint"] for name, settings in protocols.items()}
    endpoints["prometheus"] = collector["exporters"]["prometheus"]["endpoint"]
    endpoints["health_check"] = collector["extensions"]["health_check"]["endpoint"]
    found = {name: (text.rpartition(":")[0], int(text.rpartition(":")[2])) for name, text in endpoints.items()}
    (reader,) = (one for one in collector["service"]["telemetry"]["metrics"]["readers"] if "pull" in one)
    own = reader["pull"]["exporter"]["prometheus"]
    return {**found, "telemetry": (own["host"], own["port"])}


def targets(collector: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return every address that the Collector sends to, by exporter."""
    urls = {name: it["endpoint"] for name, it in pushing(collector).items()}
    parsed = {name: urlsplit(url if "://" in url else f"//{url}") for name, url in urls.items()}
    return {name: (str(url.hostname), int(url.port or 0)) for name, url in parsed.items()}


def limits(condition: Condition) -> Iterator[Fraction]:
    """Yield the durations, in seconds, that a condition compares with."""
    match condition:
        case Match(source=Source.DURATION, op=Op.LTE | Op.GT, operands=(int(limit_ns),)):
            yield Fraction(limit_ns, SECOND)
        case Match():
            return
        case Not(part):
            yield from limits(part)
        case _:
            for part in condition.parts:
                yield from limits(part)


def thresholds(slos: tuple[Slo, ...]) -> set[Fraction]:
    """Return every latency that a promise is made about, seconds."""
    indicators = [slo.indicator for slo in slos]
    metrics = {it.threshold for it in indicators if isinstance(it, MetricIndicator) and it.is_duration and it.threshold}
    return metrics.union(*(limits(it.bad) for it in indicators if isinstance(it, SpanIndicator)))


def test_processor_is_where_the_collector_sends(collector: dict[str, Any], processor: ProcessorConfig) -> None:
    """The Collector's exporter and the processor's configuration name one address."""
    assert targets(collector)["otlp_http/sloburn"] == (processor.otlp_http.host, processor.otlp_http.port)


def test_nothing_shares_a_port(collector: dict[str, Any], processor: ProcessorConfig) -> None:
    """Collector, processor, Jaeger and Loki run on one machine without a clash."""
    listening = [port for _, port in binds(collector).values()]
    listening += [port for name, (_, port) in targets(collector).items() if name != "otlp_http/sloburn"]
    listening += [address.port for address in (processor.otlp_http, processor.otlp_grpc, processor.listen)]

    assert sorted(listening) == sorted(set(listening))


def test_services_need_no_change(collector: dict[str, Any]) -> None:
    """The Collector listens where a lone processor does: a service sends to the same ports in both worlds."""
    lone = ProcessorConfig()

    assert binds(collector)["otlp grpc"] == (lone.otlp_grpc.host, lone.otlp_grpc.port) == ("127.0.0.1", 4317)
    assert binds(collector)["otlp http"] == (lone.otlp_http.host, lone.otlp_http.port) == ("127.0.0.1", 4318)


def test_page_stays_where_it_is(processor: ProcessorConfig) -> None:
    """The page has one address, with a Collector and without."""
    assert processor.listen == ProcessorConfig().listen
    assert processor.listen.port == 4321


def test_processor_reads_the_shop(processor: ProcessorConfig) -> None:
    """The processor's configuration beside the Collector names SLO documents that are there and right."""
    assert load_slos(processor.slos)


def test_bodies_have_one_limit(collector: dict[str, Any], processor: ProcessorConfig) -> None:
    """What the Collector takes and what it sends fits into the processor's limit."""
    protocols = collector["receivers"]["otlp"]["protocols"]
    batch = collector["exporters"]["otlp_http/sloburn"]["sending_queue"]["batch"]

    assert protocols["http"]["max_request_body_size"] == processor.max_body_bytes
    assert protocols["grpc"]["max_recv_msg_size_mib"] * 1024 * 1024 == processor.max_body_bytes
    assert batch["max_size"] <= processor.max_body_bytes


def test_everything_binds_to_loopback(collector: dict[str, Any]) -> None:
    """With an empty environment nothing listens beyond the machine."""
    assert {host for host, _ in binds(collector).values()} == {"127.0.0.1"}
    assert "0.0.0.0" not in COLLECTOR_FILE.read_text()


def test_what_is_used_is_defined(collector: dict[str, Any]) -> None:
    """Each pipeline names components that exist; connectors stand at both ends."""
    known = {part: {*collector[part], *collector["connectors"]} for part in PARTS}
    unknown = {it for line in pipelines(collector).values() for part in PARTS for it in set(line[part]) - known[part]}

    assert unknown == set()


def test_what_is_defined_is_used(collector: dict[str, Any]) -> None:
    """No component is left over, and every connector is both written to and read from."""
    ends = {part: {it for line in pipelines(collector).values() for it in line[part]} for part in PARTS}

    assert set(collector["receivers"]) <= ends["receivers"]
    assert set(collector["processors"]) == ends["processors"]
    assert set(collector["exporters"]) <= ends["exporters"]
    assert set(collector["connectors"]) <= ends["receivers"] & ends["exporters"]
    assert set(collector["extensions"]) == set(collector["service"]["extensions"])


def test_memory_limiter_comes_first(collector: dict[str, Any]) -> None:
    """Every pipeline can push back before it does anything else."""
    first = {name: line["processors"][0] for name, line in pipelines(collector).items()}

    assert first == dict.fromkeys(first, "memory_limiter")


def test_names_are_current(collector: dict[str, Any]) -> None:
    """No deprecated alias, no removed exporter, no `batch` processor."""
    types = {kind: {kind_of(name) for name in collector[kind]} for kind in KINDS}

    assert {name for names in types.values() for name in names} & (OLD_NAMES | GOING) == set()
    assert "otlp" not in types["exporters"], "as an exporter, otlp is the old name of otlp_grpc"


def test_every_push_is_durable(collector: dict[str, Any]) -> None:
    """What cannot be delivered waits on disk, bounded in bytes, for as long as it takes, and blocks no neighbour."""
    for name, exporter in pushing(collector).items():
        queue, retry = exporter["sending_queue"], exporter["retry_on_failure"]
        assert queue["storage"] in collector["extensions"], name
        assert (queue["sizer"], queue["block_on_overflow"]) == ("bytes", False), name
        assert 0 < queue["batch"]["min_size"] <= queue["batch"]["max_size"] < queue["queue_size"], name
        assert (retry["enabled"], retry["max_elapsed_time"]) == (True, 0), name


def test_every_exporter_has_its_own_store(collector: dict[str, Any]) -> None:
    """One damaged store is one exporter's loss."""
    stores = [exporter["sending_queue"]["storage"] for exporter in pushing(collector).values()]
    folders = [collector["extensions"][store]["directory"] for store in stores]

    assert len(set(stores)) == len(set(folders)) == len(stores)


def test_slis_are_fresh(collector: dict[str, Any]) -> None:
    """Batching adds at most 200 ms to an alert."""
    batch = collector["exporters"]["otlp_http/sloburn"]["sending_queue"]["batch"]

    assert parse_duration(batch["flush_timeout"]) <= 200 * MILLISECOND


def test_slis_come_before_sampling(collector: dict[str, Any]) -> None:
    """sloburn and span_metrics see every span; only what goes to Jaeger was sampled."""
    sampled = {name for name, line in pipelines(collector).items() if "tail_sampling" in line["processors"]}

    assert sampled == {"traces/sampled"}
    assert pipelines(collector)["traces/in"]["receivers"] == ["otlp"]
    assert {"otlp_http/sloburn", "span_metrics"} <= set(pipelines(collector)["traces/in"]["exporters"])
    assert pipelines(collector)["traces/sampled"]["exporters"] == ["otlp_grpc/jaeger"]


def test_redaction_comes_before_every_export(collector: dict[str, Any]) -> None:
    """Whatever comes from outside is redacted in the pipeline that takes it, names and messages too."""
    outer = {name: line["processors"] for name, line in pipelines(collector).items() if "otlp" in line["receivers"]}
    with_names = ["memory_limiter", "transform/expose", "redaction", "transform/restore"]

    assert outer == {"traces/in": with_names, "metrics/in": ["memory_limiter", "redaction"], "logs/in": with_names}


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("http.request.header.authorization", True),
        ("db.password", True),
        ("user.api_key", True),
        ("session_token", True),
        ("url.query", True),
        ("http.route", False),
        ("gen_ai.usage.input_tokens", False),
        ("http.response.status_code", False),
    ],
)
def test_keys_that_are_masked(collector: dict[str, Any], key: str, *, masked: bool) -> None:
    """Attributes named like secrets are masked; what SLIs and dashboards need is not."""
    patterns = collector["processors"]["redaction"]["blocked_key_patterns"]

    assert any(re.search(pattern, key) for pattern in patterns) is masked


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("Authorization: Bearer c2xvYnVybi1zbG9idXJu", True),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", True),
        ("card 4111111111111111 was refused", True),
        ("/cart/{item_id}", False),
        ("4bf92f3577b34da6a3ce929d0e0e4736", False),
        ("1763733600000000000", False),
    ],
)
def test_values_that_are_masked(collector: dict[str, Any], value: str, *, masked: bool) -> None:
    """Credentials and card numbers are masked wherever they stand; ids and times are not."""
    patterns = [text.replace(r"\z", r"\Z") for text in collector["processors"]["redaction"]["blocked_values"]]

    assert any(re.search(pattern, value) for pattern in patterns) is masked


def test_patterns_begin_with_letters(collector: dict[str, Any]) -> None:
    """Each pattern begins with plain letters or is anchored: any other costs each text a hundred times as much."""
    redaction = collector["processors"]["redaction"]
    patterns = [*redaction["blocked_values"], *redaction["blocked_key_patterns"]]

    assert [text for text in patterns if not re.match(r"""\^|\\[?[(]|[\w :/="',-]""", text)] == []


def test_what_is_not_looked_at_is_no_secret(collector: dict[str, Any]) -> None:
    """Keys that redaction passes over for speed are none that it would mask by their name."""
    redaction = collector["processors"]["redaction"]
    masked = re.compile(
        "|".join(f"(?:{pattern.removeprefix('(?i)')})" for pattern in redaction["blocked_key_patterns"])
    )

    assert [key for key in redaction["ignored_keys"] if masked.search(key)] == []


def test_no_secret_is_written_down() -> None:
    """Whatever is secret is a reference to the environment or a file."""
    lines = COLLECTOR_FILE.read_text().splitlines() + PROCESSOR_FILE.read_text().splitlines()

    assert [line for line in lines if SECRET.match(line)] == []


def test_buckets_hold_the_promises(collector: dict[str, Any], slos: tuple[Slo, ...]) -> None:
    """Every latency threshold of the examples is a bucket bound of span_metrics, so that dashboards can be exact."""
    buckets = collector["connectors"]["span_metrics"]["histogram"]["explicit"]["buckets"]
    bounds = [Fraction(parse_duration(text), SECOND) for text in buckets]

    assert bounds == sorted(set(bounds))
    assert thresholds(slos)
    assert thresholds(slos) - set(bounds) == set()


def test_traces_that_break_a_promise_are_kept(collector: dict[str, Any], slos: tuple[Slo, ...]) -> None:
    """Tail sampling keeps every failed trace, and every one that is slower than the tightest threshold."""
    policies = {policy["type"]: policy for policy in collector["processors"]["tail_sampling"]["policies"]}

    assert policies["status_code"]["status_code"] == {"status_codes": ["ERROR"]}
    assert Fraction(policies["latency"]["latency"]["threshold_ms"], 1000) <= min(thresholds(slos))


def test_no_policy_drops(collector: dict[str, Any]) -> None:
    """A policy that drops wins over all others, and a failed trace with one health check in it would be lost."""
    policies = collector["processors"]["tail_sampling"]["policies"]

    assert [policy["name"] for policy in policies if policy["type"] == "drop"] == []


def test_sampler_remembers_longer_than_it_waits(collector: dict[str, Any]) -> None:
    """The decision caches are ten times the traces in memory, so that late spans follow the decision."""
    sampler = collector["processors"]["tail_sampling"]
    wait_seconds = parse_duration(sampler["decision_wait"]) // SECOND

    assert sampler["num_traces"] >= 2 * wait_seconds * sampler["expected_new_traces_per_sec"]
    assert min(sampler["decision_cache"].values()) >= 10 * sampler["num_traces"]


def test_environment_table_is_complete() -> None:
    """The table at the top names every variable with its default, and no other."""
    text = COLLECTOR_FILE.read_text()
    used = set(re.findall(r"\$\{env:(\w+):-(.*?)\}", text))
    listed = set(re.findall(r"^#   ([A-Z_]+) +(\S+)", text, re.MULTILINE))

    assert used == listed


@pytest.mark.parametrize("line", ["  password: hunter2", "      api_key: abc", "authorization: Bearer x"])
def test_planted_secret_is_found(line: str) -> None:
    """The search for secrets finds one that is written down, and lets a reference pass."""
    assert SECRET.match(line)
    assert not SECRET.match(f"{line.split(':')[0]}: ${{env:IT}}")
