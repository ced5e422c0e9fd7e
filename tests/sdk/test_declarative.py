"""The declarative configuration file: what is taken from it, what is refused, and what it says of limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloburn.sdk.config import Arguments, TelemetryConfig
from sloburn.sdk.declarative import declared
from sloburn.sdk.environment import resolve

_DECLARED = """
file_format: "1.0"
disabled: false
resource:
  attributes:
    - name: service.name
      value: ${NAME:-declared}
    - {name: team, value: "a, b"}
propagator:
  composite: [tracecontext: , baggage: ]
tracer_provider:
  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.25}}}}
  processors:
    - batch:
        schedule_delay: 250
        max_queue_size: 100
        exporter:
          otlp_http:
            endpoint: https://collector:4318/v1/traces
            headers: [{name: api-key, value: "${KEY}"}]
            compression: gzip
            timeout: 2000
            tls: {ca_file: /ca.pem}
meter_provider:
  readers:
    - periodic:
        interval: 15000
        exporter: {otlp_grpc: {endpoint: "http://collector:4317"}}
"""


def declare(folder: Path, text: str, **environ: str) -> tuple[TelemetryConfig, list[str]]:
    """Resolve settings from a declarative file."""
    file = folder / "otel.yaml"
    file.write_text(text)
    variables, problems = declared({"OTEL_CONFIG_FILE": str(file), **environ})
    config, refused = resolve(Arguments(), variables)
    return config, [problem.removeprefix(f"{file}: ") for problem in (*problems, *refused)]


def test_declarative_file(tmp_path: Path) -> None:
    """OTEL_CONFIG_FILE says the same as the variables do, replaces them, and may refer to the environment."""
    config, problems = declare(tmp_path, _DECLARED, KEY="a=b", OTEL_SERVICE_NAME="ignored", OTEL_TRACES_EXPORTER="none")
    targets = dict(config.targets)
    assert problems == []
    assert dict(config.resource_attributes) == {"service.name": "declared", "team": "a, b"}
    assert (config.sampling.ratio, config.sampling.parent_based) == (0.25, True)
    assert (config.span_interval_seconds, config.metric_interval_seconds, config.max_queue_size) == (0.25, 15.0, 100)
    traces = targets["traces"]
    assert (traces.url, traces.headers) == ("https://collector:4318/v1/traces", (("api-key", "a=b"),))
    assert (traces.compression, traces.timeout_seconds, traces.ca_file) == ("gzip", 2.0, "/ca.pem")
    assert (targets["metrics"].protocol, targets["metrics"].url) == ("grpc", "http://collector:4317")
    assert "logs" not in targets


def test_declarative_file_asks_for_what_we_have_not(tmp_path: Path) -> None:
    """What a file asks for and we have not is named with its place, and the rest is done."""
    text = """
file_format: "1.0"
instrumentation/development: {python: {x: {}}}
tracer_provider:
  limits: {event_count_limit: 4, bytes: 1}
  sampler: {jaeger_remote: {}}
  processors:
    - simple: {exporter: {console: }}
    - batch: {exporter: {zipkin: {endpoint: x}}}
meter_provider:
  views: [{selector: {}}]
  readers: [pull: {exporter: {prometheus: {}}}]
logger_provider:
  processors: [batch: {exporter: {otlp_http: {endpoint: "http://c/v1/logs", retry: {}, dns: 1}}}]
"""
    config, problems = declare(tmp_path, text)
    assert [problem.partition(":")[0] for problem in problems] == [
        "tracer_provider.sampler",
        "tracer_provider.limits.bytes",
        "tracer_provider.processors",
        "tracer_provider.processors.batch.exporter",
        "meter_provider.readers",
        "meter_provider.views",
        "logger_provider.processors.batch.exporter.otlp_http.dns",
        "instrumentation/development",
    ]
    assert dict(config.targets)["logs"].url == "http://c/v1/logs"


def test_declarative_limits(tmp_path: Path) -> None:
    """Limits of spans, their parts and log records, and the exemplar filter, are what the file says."""
    text = """
file_format: "1.0"
attribute_limits: {attribute_count_limit: 50, attribute_value_length_limit: 90}
tracer_provider: {limits: {event_count_limit: 4, link_attribute_count_limit: 3, attribute_count_limit: 2}}
logger_provider: {limits: {attribute_value_length_limit: 9}}
meter_provider: {exemplar_filter: always_off}
"""
    config, problems = declare(tmp_path, text)
    limits = config.limits
    assert problems == []
    assert (limits.span_events, limits.span_attributes, limits.event_attributes, limits.link_attributes) == (
        4,
        2,
        50,
        3,
    )
    assert (limits.log_length, limits.span_length, config.exemplar_filter) == (9, 90, "always_off")


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "file_format: '1.0'\n---\na: 1"])
def test_declarative_file_that_is_none(tmp_path: Path, text: str) -> None:
    """A file that is not a configuration is refused in one sentence and the variables stay in force."""
    config, problems = declare(tmp_path, text, OTEL_SERVICE_NAME="kept")
    assert (len(problems), config.service_name) == (1, "kept")


def test_declarative_file_that_is_missing() -> None:
    """A file that is not there is refused with its name."""
    assert declared({"OTEL_CONFIG_FILE": "/nowhere"})[1] == (
        "OTEL_CONFIG_FILE: /nowhere cannot be read: no such file or directory",
    )
