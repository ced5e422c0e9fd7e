"""What the real Collector makes of single records on their way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.stack.collecting import TO_FILES, collecting, parts_of, program

TRACE = "Traceback\n" + "x" * 70_000
LOKI_TAKES = 65_536  # of structured metadata, by default


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program()


def text(value: str) -> AnyValue:
    """Return a text in its wire form."""
    return AnyValue(string_value=value)


def pair(key: str, value: AnyValue) -> KeyValue:
    """Return an attribute."""
    return KeyValue(key=key, value=value)


def failed(*bodies: AnyValue | None) -> ExportLogsServiceRequest:
    """Return log records with long stack traces and other long attributes, one for each body."""
    request = ExportLogsServiceRequest()
    part = request.resource_logs.add()
    part.resource.attributes.append(pair("process.command_line", text("y" * 70_000)))
    for body in bodies:
        record = part.scope_logs.add().log_records.add(body=body)
        record.attributes.extend([pair("exception.stacktrace", text(TRACE)), pair("note", text("z" * 70_000))])
    return request


def test_stack_traces_fit_into_loki(tmp_path: Path) -> None:
    """Whatever the body is, the stack trace is whole in the line, and what stays beside it is short enough for Loki."""
    a_map, a_list = AnyValue(), AnyValue()
    a_map.kvlist_value.values.append(pair("event", text("failed")))
    a_list.array_value.values.append(text("failed"))
    with collecting(tmp_path, TO_FILES) as collector:
        collector.send("logs", failed(text("failed"), a_map, a_list, None))
        collector.stop()
        told = collector.told("loki")

    records = parts_of(told, "resourceLogs", "scopeLogs", "logRecords")
    (of_text, of_map, of_list, of_none) = [record["body"] for record in records]
    assert of_text == {"stringValue": f"failed\n{TRACE}"}
    assert of_map["kvlistValue"]["values"] == [
        {"key": "event", "value": {"stringValue": "failed"}},
        {"key": "exception.stacktrace", "value": {"stringValue": TRACE}},
    ]
    assert of_list == {"stringValue": f'["failed"]\n{TRACE}'}
    assert of_none == {"stringValue": f"\n{TRACE}"}
    assert {len(str(record["attributes"])) < LOKI_TAKES / 2 for record in records} == {True}
    assert {len(str(resource["resource"])) < LOKI_TAKES / 2 for resource in told[0]["resourceLogs"]} == {True}
