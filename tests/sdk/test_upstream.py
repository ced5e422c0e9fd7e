"""What OpenTelemetry reads from the environment by itself: a misspelt value costs one line, and telemetry stays on."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from sloburn.sdk.config import Arguments
from sloburn.sdk.environment import resolve
from sloburn.sdk.limits import Limits
from sloburn.sdk.upstream import READERS
from sloburn.sdk.upstream_limits import make_log_limits, make_span_limits
from tests.sdk.collector import Collector
from tests.sdk.processes import started, succeed

_NUMBER = "'many' is not a number"
# Each variable that OpenTelemetry's API or SDK reads, and what is said when it is "many".
EXPECTATIONS = {
    "OTEL_ATTRIBUTE_COUNT_LIMIT": _NUMBER,
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": _NUMBER,
    "OTEL_BLRP_EXPORT_TIMEOUT": _NUMBER,
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": _NUMBER,
    "OTEL_BLRP_MAX_QUEUE_SIZE": _NUMBER,
    "OTEL_BLRP_SCHEDULE_DELAY": _NUMBER,
    "OTEL_BSP_EXPORT_TIMEOUT": _NUMBER,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": _NUMBER,
    "OTEL_BSP_MAX_QUEUE_SIZE": _NUMBER,
    "OTEL_BSP_SCHEDULE_DELAY": _NUMBER,
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": _NUMBER,
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "'many' is not one of *, ",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "only explicit_bucket_histogram is sent",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "only cumulative is sent",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "'many' is not one of http/protobuf, ",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": _NUMBER,
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": _NUMBER,
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": _NUMBER,
    "OTEL_METRICS_EXEMPLAR_FILTER": "'many' is not one of always_on, always_off, trace_based",
    "OTEL_METRIC_EXPORT_INTERVAL": _NUMBER,
    "OTEL_METRIC_EXPORT_TIMEOUT": _NUMBER,
    "OTEL_PROPAGATORS": "'many' is not one of baggage, none, tracecontext",
    "OTEL_PYTHON_CONTEXT": "'many' is not one of contextvars_context",
    "OTEL_PYTHON_LOGGER_PROVIDER": "'many' is not one of sdk_logger_provider",
    "OTEL_PYTHON_METER_PROVIDER": "'many' is not one of default_meter_provider, sdk_meter_provider",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "'many' is not one of true, false",
    "OTEL_PYTHON_TRACER_PROVIDER": "'many' is not one of default_tracer_provider, sdk_tracer_provider",
    "OTEL_RESOURCE_ATTRIBUTES": "is not text such as key=value,key=value",
    "OTEL_SDK_DISABLED": "'many' is not true or false",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": _NUMBER,
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": _NUMBER,
    "OTEL_SPAN_EVENT_COUNT_LIMIT": _NUMBER,
    "OTEL_SPAN_LINK_COUNT_LIMIT": _NUMBER,
    "OTEL_TRACES_SAMPLER": "'many' is not one of always_on, ",
}
# Read by upstream's auto-instrumentation and its exporters only, and OTEL_SERVICE_NAME may be any text.
_NOT_READ_HERE = {"OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER_ARG"}
_VARIABLE = re.compile(r"\bOTEL_[A-Z_]+[A-Z]\b")
_UPSTREAMS_OWN = ("sdk/environment_variables", "sdk/_configuration", "environment_variables/")
_DEFAULTS = resolve(Arguments(), {})[0]


@pytest.mark.parametrize("variable", EXPECTATIONS)
def test_misspelt_variable(variable: str) -> None:
    """A misspelt variable is named with its value and what was expected, and leaves every setting at its default."""
    config, problems = resolve(Arguments(), {variable: "many"})
    assert config == _DEFAULTS
    (problem,) = problems
    assert problem.startswith(f"{variable}: ")
    assert EXPECTATIONS[variable] in problem


def test_variables_are_all_known() -> None:
    """Every variable that the installed API and SDK look up in the environment is in the table above."""
    spec = find_spec("opentelemetry.sdk")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations))).parent
    parts = ("sdk", "context", "trace", "metrics", "_logs", "propagate", "util")
    files = [file for part in parts for file in (folder / part).rglob("*.py")]
    texts = [file.read_text() for file in files if not any(own in str(file) for own in _UPSTREAMS_OWN)]
    looked_up = {name for text in texts if "environ" in text for name in _looked_up(text)}
    assert len(looked_up) > 20
    assert looked_up - _NOT_READ_HERE <= set(EXPECTATIONS)


def _looked_up(text: str) -> set[str]:
    """Return the variables that a module imports by name, the way upstream writes all of its look-ups."""
    imports = re.findall(r"from opentelemetry(?:\.sdk)?\.environment_variables import (\([^)]*\)|.*)", text)
    names = {name for block in imports for name in _VARIABLE.findall(block)}
    return {name for name in names if len(re.findall(rf"\b{name}\b", text)) > 1}


_HOST = """
import os, sys
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry(service_name="host", endpoint=sys.argv[1])
from opentelemetry import propagate
with telemetry.tracer.start_as_current_span("work") as span:
    get_logger().info("working")
    propagate.inject(carrier := {})
assert "traceparent" in carrier
telemetry.meter.create_counter("done").add(1)
assert all(os.environ[name] == "many" for name in sys.argv[2:])
if (child := os.fork()) == 0: sys.exit()
assert os.waitpid(child, 0)[1] == 0
"""


def test_everything_is_misspelt() -> None:
    """With all of them misspelt the service starts, says so in one line, and all of its telemetry arrives."""
    wrong = dict.fromkeys(set(EXPECTATIONS) - {"OTEL_RESOURCE_ATTRIBUTES"}, "many")
    with Collector() as collector:
        done = succeed(_HOST, collector.endpoint, *wrong, extra=wrong)
        assert collector.span("work").name == "work"
        assert collector.total("done") == 1
        assert [record.body for record in collector.arrivals.logs].count("working") == 1
    refusals = [line for line in done.output.splitlines() if "many" in line and '"logger": "sloburn"' in line]
    assert len(refusals) == 1
    assert all(f"{name}: " in refusals[0] for name in wrong)
    assert "Traceback" not in done.output
    assert len([line for line in done.output.splitlines() if '"level": "warning"' in line]) == 1


@pytest.mark.parametrize("name", sorted(READERS))
def test_empty_is_not_set(name: str) -> None:
    """A variable that is set to nothing is a variable that is not set."""
    assert resolve(Arguments(), {name: ""}) == (_DEFAULTS, ())


def test_all_empty() -> None:
    """OpenTelemetry, which takes some of them for a name that cannot be found, never sees the empty ones."""
    empty = dict.fromkeys(READERS, "")
    with Collector() as collector:
        done = succeed(_HOST, collector.endpoint, extra=empty)
        assert collector.span("work").name == "work"
    assert '"level": "warning"' not in done.output


@pytest.mark.parametrize("value", ["tracecontext, baggage", "none", "baggage"])
def test_propagators_that_are_there(value: str) -> None:
    """Propagators that are installed are not refused."""
    assert resolve(Arguments(), {"OTEL_PROPAGATORS": value})[1] == ()


def test_limits_reach_the_providers() -> None:
    """An item's own limit beats the one of all attributes, which beats the default; upstream's classes say the same."""
    config, problems = resolve(
        Arguments(),
        {
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "50",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "99",
            "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7",
        },
    )
    assert problems == ()
    spans, logs = make_span_limits(config.limits), make_log_limits(config.limits)
    assert (spans.max_span_attributes, spans.max_event_attributes, spans.max_events) == (0, 50, 128)
    assert (spans.max_span_attribute_length, spans.max_attribute_length) == (99, 99)
    assert (logs.max_log_record_attributes, logs.max_log_record_attribute_length) == (50, 7)
    assert make_span_limits(Limits()).max_span_attribute_length is None


def test_limits_are_held() -> None:
    """Spans, events and log records are cut where the variables say."""
    limits = {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4", "OTEL_SPAN_EVENT_COUNT_LIMIT": "1"}
    code = """
import sys
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1])
with telemetry.tracer.start_as_current_span("work", attributes={"text": "abcdefgh"}) as span:
    span.add_event("first")
    span.add_event("second")
    get_logger("shop").info("working", text="abcdefgh")
"""
    with Collector() as collector:
        succeed(code, collector.endpoint, extra=limits)
        span = collector.span("work")
        (record,) = [record for record in collector.arrivals.logs if record.logger == "shop"]
    assert (span.attributes["text"], [name for name, _ in span.events]) == ("abcd", ["second"])
    assert record.attributes["text"] == "abcd"


def test_doctor_reports_what_opentelemetry_would_die_of() -> None:
    """`sloburn doctor` names a variable over which OpenTelemetry raises while it is imported."""
    extra = {"OTEL_PROPAGATORS": "many", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many", "OTEL_TRACES_EXPORTER": "none"}
    extra |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    with started("-m", "sloburn.cli", "doctor", extra=extra) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a setting was refused: OTEL_PROPAGATORS: 'many' is not one of" in output
    assert "a setting was refused: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: 'many' is not a number" in output
