"""Settings: arguments over environment over defaults, and nothing that can be typed raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.sdk.config import SIGNALS, Arguments, Sampling, Settings, Target, TelemetryConfig
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
    assert config.shutdown_timeout_seconds == 2.2, "a server's own end, and it is over within three seconds"


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


# For each argument: its variable, a value, a value that makes no sense (None where everything does), and what the
# settings hold then.
_DOCUMENTED: dict[str, tuple[str, str, str | None, Callable[[TelemetryConfig], object], object]] = {
    "service_name": ("OTEL_SERVICE_NAME", "shop", None, lambda it: it.service_name, "shop"),
    "service_version": ("SLOBURN_SERVICE_VERSION", "1.2", None, lambda it: _resource(it, "service.version"), "1.2"),
    "environment": (
        "SLOBURN_ENVIRONMENT", "live", None, lambda it: _resource(it, "deployment.environment.name"), "live"
    ),
    "resource_attributes": ("OTEL_RESOURCE_ATTRIBUTES", "team=a", "team", lambda it: _resource(it, "team"), "a"),
    "endpoint": ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1", "ftp://c", lambda it: _target(it).url, "http://c:1/v1/logs"),
    "protocol": ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "udp", lambda it: _target(it).protocol, "grpc"),
    "headers": ("OTEL_EXPORTER_OTLP_HEADERS", "a=b", "a", lambda it: _target(it).headers, (("a", "b"),)),
    "timeout": ("OTEL_EXPORTER_OTLP_TIMEOUT", "7", "soon", lambda it: _target(it).timeout_seconds, 7.0),
    "compression": ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "rar", lambda it: _target(it).compression, "gzip"),
    "export_interval": ("SLOBURN_EXPORT_INTERVAL", "4", "0", lambda it: it.metric_interval_seconds, 4.0),
    "sample_ratio": ("SLOBURN_SAMPLE_RATIO", "0.25", "25", lambda it: it.sampling.ratio, 0.25),
    "traces": ("OTEL_TRACES_EXPORTER", "none", "some", lambda it: it.target("traces"), None),
    "metrics": ("OTEL_METRICS_EXPORTER", "none", "some", lambda it: it.target("metrics"), None),
    "logs": ("OTEL_LOGS_EXPORTER", "none", "some", lambda it: it.target("logs"), None),
    "log_level": ("SLOBURN_LOG_LEVEL", "ERROR", "LOUD", lambda it: it.log_level, "ERROR"),
    "configure_logs": ("SLOBURN_CONFIGURE_LOGS", "false", "maybe", lambda it: it.configure_logs, False),
    "log_format": ("SLOBURN_LOG_FORMAT", "console", "xml", lambda it: it.log_stream.format, "console"),
    "log_levels": ("SLOBURN_LOG_LEVELS", "a=ERROR", "a=LOUD", lambda it: it.log_stream.levels, (("a", "ERROR"),)),
    "log_file": ("SLOBURN_LOG_FILE", "a.log", None, lambda it: it.log_stream.file, "a.log"),
    "log_file_max_bytes": ("SLOBURN_LOG_FILE_MAX_BYTES", "4096", "1", lambda it: it.log_stream.file_bytes, 4096),
    "log_file_count": ("SLOBURN_LOG_FILE_COUNT", "2", "-1", lambda it: it.log_stream.file_count, 2),
    "follow_threads": ("SLOBURN_FOLLOW_THREADS", "false", "maybe", lambda it: it.log_stream.follows_threads, False),
    "redact": ("SLOBURN_REDACT", "false", "maybe", lambda it: it.redaction.is_enabled, False),
    "redact_keys": ("SLOBURN_REDACT_KEYS", "iban,tax", "?", lambda it: it.redaction.keys, ("iban", "tax")),
    "redact_patterns": ("SLOBURN_REDACT_PATTERN", "AB[0-9]+", "(", lambda it: it.redaction.patterns, ("AB[0-9]+",)),
    "audit_file": ("SLOBURN_AUDIT_FILE", "a.jsonl", None, lambda it: it.audit.file, "a.jsonl"),
    "audit_key_file": ("SLOBURN_AUDIT_KEY_FILE", "key", None, lambda it: it.audit.key_file, "key"),
    "audit_sync": ("SLOBURN_AUDIT_SYNC", "true", "maybe", lambda it: it.audit.is_synced, True),
    "fastapi": ("SLOBURN_FASTAPI", "off", "perhaps", lambda it: it.fastapi, "off"),
    "celery": ("SLOBURN_CELERY", "false", "maybe", lambda it: it.celery, False),
    "exclude_paths": ("SLOBURN_EXCLUDE_PATHS", "/a,/b", None, lambda it: it.excluded_paths, frozenset({"/a", "/b"})),
    "handle_sigterm": ("SLOBURN_HANDLE_SIGTERM", "false", "maybe", lambda it: it.handle_sigterm, False),
    "shutdown_timeout": ("SLOBURN_SHUTDOWN_TIMEOUT", "1", "-1", lambda it: it.shutdown_timeout_seconds, 1.0),
    "prometheus": ("SLOBURN_PROMETHEUS", "true", "maybe", lambda it: it.local.prometheus, True),
    "metrics_folder": ("SLOBURN_METRICS_FOLDER", "m", None, lambda it: it.local.folder, "m"),
    "system_metrics": ("SLOBURN_SYSTEM_METRICS", "true", "maybe", lambda it: it.local.system, True),
    "keep_failed": ("SLOBURN_KEEP_FAILED", "false", "maybe", lambda it: it.sampling.keep_failed, False),
    "slo_files": ("SLOBURN_SLOS", "FOLDER", "/no/such", lambda it: it.web.tightest_seconds, 0.3),
    "histogram_boundaries": (
        "SLOBURN_HISTOGRAM_BOUNDARIES", "0.2,0.4", "wide", lambda it: it.web.boundaries_seconds, (0.2, 0.4)
    ),
    "request_id_header": ("SLOBURN_REQUEST_ID_HEADER", "X-Id", "a b", lambda it: it.web.request_id_header, "x-id"),
    "libraries": ("SLOBURN_LIBRARIES", "httpx", "ftplib", lambda it: it.libraries, frozenset({"httpx"})),
    "freeze_gc": ("SLOBURN_FREEZE_GC", "true", "maybe", lambda it: it.freeze_gc, True),
    "enabled": ("SLOBURN_ENABLED", "false", "maybe", lambda it: it.enabled, False),
}  # fmt: skip
# A decision of the code that calls, and a function.
_NOT_TEXT = {"reconfigure", "redact_callback"}

_SLO = """
version: sloburn/v1
slos:
  - name: fast
    service: shop
    objective: 99
    period: 30d
    indicator: {metric: http.server.request.duration, good: {le: 300ms}}
"""


def _resource(config: TelemetryConfig, key: str) -> str | None:
    return dict(config.resource_attributes).get(key)


def _target(config: TelemetryConfig) -> Target:
    target = config.target("logs")
    assert target is not None
    return target


def test_every_argument_is_a_variable() -> None:
    """There is a variable for each keyword argument that text can express, named as the table in the docstring says."""
    assert set(Settings.__annotations__) - _NOT_TEXT == set(_DOCUMENTED)
    described = Settings.__doc__ or ""
    for argument, (variable, *_) in _DOCUMENTED.items():
        is_usual = variable == f"SLOBURN_{argument.upper()}"
        is_of_all = variable.startswith("OTEL_EXPORTER_OTLP_") or variable.endswith("_EXPORTER")
        assert is_usual or is_of_all or f"``{variable}" in described, variable
        assert f"{argument}" in described


@pytest.mark.parametrize("argument", _DOCUMENTED)
def test_variable(argument: str, tmp_path: Path) -> None:
    """A variable sets what its argument sets; one that makes no sense is one line that names it, and the default."""
    variable, value, senseless, read, expected = _DOCUMENTED[argument]
    if value == "FOLDER":
        (tmp_path / "slo.yaml").write_text(_SLO)
        value = str(tmp_path)
    assert read(settle()) != expected
    assert read(settle({variable: value})) == expected
    if senseless is not None:
        config, problems = resolve(Arguments(), {variable: senseless})
        assert [problem.partition(":")[0] for problem in problems] == [variable]
        assert "\n" not in problems[0]
        assert read(config) == read(settle())
