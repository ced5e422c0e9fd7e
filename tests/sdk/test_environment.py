"""Settings: arguments over environment over defaults, and nothing that can be typed raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.sdk.config import SIGNALS, Arguments, Sampling, TelemetryConfig
from sloburn.sdk.environment import resolve

_VARIABLES = (
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_PROPAGATORS",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "SLOBURN_ENABLED",
    "SLOBURN_EXPORT_INTERVAL",
    "SLOBURN_LOG_LEVEL",
    "SLOBURN_CONFIGURE_LOGS",
    "SLOBURN_FASTAPI",
    "SLOBURN_CELERY",
    "SLOBURN_EXCLUDE_PATHS",
    "SLOBURN_HANDLE_SIGTERM",
    "SLOBURN_SHUTDOWN_TIMEOUT",
    "SLOBURN_ENVIRONMENT",
)


def settle(environ: Mapping[str, str] | None = None, **arguments: Any) -> TelemetryConfig:
    """Resolve settings and insist that nothing was refused."""
    config, problems = resolve(Arguments(**arguments), environ or {})
    assert problems == ()
    return config


def test_defaults() -> None:
    """Without any setting everything goes to the local Collector within a second, metrics within five."""
    config = settle()
    assert [(signal, target.url) for signal, target in config.targets] == [
        (signal, f"http://localhost:4318/v1/{signal}") for signal in SIGNALS
    ]
    assert (config.span_interval_seconds, config.metric_interval_seconds) == (1.0, 5.0)
    assert config.service_name.startswith("unknown_service:python")


@pytest.mark.parametrize(
    ("variable", "value", "argument", "given_value", "read"),
    [
        ("OTEL_SERVICE_NAME", "theirs", "service_name", "ours", lambda config: config.service_name),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://e:1",
            "endpoint",
            "http://a:2",
            lambda config: config.targets[0][1].url,
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://e:1/x",
            "endpoint",
            "a:2",
            lambda config: config.targets[0][1].url,
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "k=1", "headers", {"k": "2"}, lambda config: config.targets[0][1].headers),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "protocol", "http", lambda config: config.targets[0][1].protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000", "timeout", 3, lambda config: config.targets[0][1].timeout_seconds),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "compression", "deflate", lambda c: c.targets[0][1].compression),
        ("OTEL_BSP_SCHEDULE_DELAY", "250", "export_interval", 0.5, lambda config: config.span_interval_seconds),
        ("OTEL_METRIC_EXPORT_INTERVAL", "250", "export_interval", 0.5, lambda config: config.metric_interval_seconds),
        ("OTEL_TRACES_SAMPLER", "always_off", "sample_ratio", 0.5, lambda config: config.sampling),
        ("OTEL_TRACES_EXPORTER", "none", "traces", True, lambda config: config.target("traces") is not None),
        ("SLOBURN_LOG_LEVEL", "debug", "log_level", "error", lambda config: config.log_level),
        ("SLOBURN_FASTAPI", "off", "fastapi", "contrib", lambda config: config.fastapi),
        ("SLOBURN_EXCLUDE_PATHS", "/a,/b", "exclude_paths", ["/c"], lambda config: config.excluded_paths),
        ("SLOBURN_ENABLED", "false", "enabled", True, lambda config: config.enabled),
    ],
)
def test_precedence(variable: str, value: str, argument: str, given_value: Any, read: Any) -> None:
    """A variable changes the default, and the argument beats the variable."""
    default, from_environment = read(settle()), read(settle({variable: value}))
    from_argument = read(settle({variable: value}, **{argument: given_value}))
    assert from_environment != default
    assert from_argument == read(settle(**{argument: given_value})) != from_environment


def test_signals_of_their_own() -> None:
    """A signal's own variables beat the general ones, and its address is used as it is."""
    config = settle(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4318/base/",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://logs.example/ingest",
            "OTEL_EXPORTER_OTLP_HEADERS": "key=all",
            "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "key=a%3Db,Other=1",
            "OTEL_METRICS_EXPORTER": "none",
        }
    )
    targets = dict(config.targets)
    assert set(targets) == {"traces", "logs"}
    assert (targets["traces"].url, targets["traces"].headers) == ("http://all:4318/base/v1/traces", (("key", "all"),))
    assert targets["logs"].url == "https://logs.example/ingest"
    assert targets["logs"].headers == (("key", "a=b"), ("other", "1"))


def test_grpc_has_its_own_port_and_no_path() -> None:
    """Over gRPC the default port is 4317 and no path is appended."""
    config = settle(protocol="grpc")
    assert {target.url for _, target in config.targets} == {"http://localhost:4317"}


@pytest.mark.parametrize(("value", "seconds"), [("10", 10.0), ("10000", 10.0), ("2.5", 2.5), ("250", 0.25)])
def test_timeout_in_either_unit(value: str, seconds: float) -> None:
    """The specification's milliseconds and OpenTelemetry Python's seconds are told apart by size."""
    assert settle({"OTEL_EXPORTER_OTLP_TIMEOUT": value}).targets[0][1].timeout_seconds == seconds


def test_service_name_has_one_order() -> None:
    """The first of argument, attribute argument, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES names the service."""
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=d,team=x%20y", "OTEL_SERVICE_NAME": "c"}
    attributes = {"service.name": "b"}
    assert settle(environ, resource_attributes=attributes, service_name="a").service_name == "a"
    assert settle(environ, resource_attributes=attributes).service_name == "b"
    assert settle(environ).service_name == "c"
    assert dict(settle(environ).resource_attributes)["team"] == "x y"
    assert settle({"OTEL_RESOURCE_ATTRIBUTES": "service.name=d"}).service_name == "d"


@pytest.mark.parametrize(
    ("name", "argument", "sampling"),
    [
        ("always_on", None, Sampling(ratio=1.0, parent_based=False)),
        ("parentbased_always_off", None, Sampling(ratio=0.0)),
        ("traceidratio", "0.25", Sampling(ratio=0.25, parent_based=False)),
        ("parentbased_traceidratio", "0.25", Sampling(ratio=0.25)),
    ],
)
def test_samplers(name: str, argument: str | None, sampling: Sampling) -> None:
    """The specification's samplers are known by their names."""
    environ = {"OTEL_TRACES_SAMPLER": name} | ({"OTEL_TRACES_SAMPLER_ARG": argument} if argument else {})
    assert settle(environ).sampling == sampling


def test_kill_switch_always_wins() -> None:
    """OTEL_SDK_DISABLED switches telemetry off whatever the code says."""
    assert not settle({"OTEL_SDK_DISABLED": "true"}, enabled=True).enabled


def test_refusal_names_key_and_expectation() -> None:
    """What is refused is named with its key and what was expected, and the next source is used."""
    config, problems = resolve(Arguments(export_interval="soon"), {"SLOBURN_EXPORT_INTERVAL": "2"})  # type: ignore[arg-type]
    assert problems == ("export_interval: 'soon' is not a number",)
    assert config.span_interval_seconds == 2.0


def test_refused_headers_are_never_shown() -> None:
    """Headers carry keys, so a refusal shows nothing of them."""
    _, problems = resolve(Arguments(), {"OTEL_EXPORTER_OTLP_HEADERS": "authorization secret-key"})
    assert problems
    assert "secret" not in " ".join(problems)


@given(st.dictionaries(st.sampled_from(_VARIABLES), st.text(max_size=30)))
def test_any_environment(environ: dict[str, str]) -> None:
    """Whatever text is in the environment, settings come out."""
    assert resolve(Arguments(), environ)[0].service_name


class Hostile:
    """An argument that fails however it is looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


_ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers(), max_size=2)
) | st.just(Hostile())


@given(st.dictionaries(st.sampled_from([item.name for item in fields(Arguments)]), _ANYTHING))
def test_any_argument(arguments: dict[str, Any]) -> None:
    """Whatever is passed as an argument, settings come out."""
    assert resolve(Arguments(**arguments), {})[0].service_name
