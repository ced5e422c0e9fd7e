"""The lean schema: OTLP's request messages, cut down to what an indicator can ask for, readable from the same bytes.

It is derived at import from the official descriptors, so numbers, types and labels cannot drift. Four things differ,
none of them on the wire (protobuf encoding specification, "Maps" and "Length-delimited records"):

* ``repeated KeyValue`` is declared ``map<string, bytes>``: both are a key in field 1 and a value in field 2, so a key
  is found in C and its value stays a serialized AnyValue until somebody asks for it;
* ``AnyValue`` outside of an attribute (the body of a log record) is ``bytes``, as is the text inside of an AnyValue;
* an enum is an ``int32``;
* the status and the trace state of a span are ``bytes``: nearly all are empty, and an empty message costs five times as
  much to look at (`sloburn.otlp.span_status` reads the status).

Fields that are not kept are unknown fields to the parser, which skips them. One limit follows from the maps: an
attribute whose KeyValue has a field besides key and value is skipped whole. OTLP has one such field, ``key_strindex``,
which only profiles may use.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sloburn.otlp.signal import Signal

OFFICIAL: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}

_POINT = ("attributes", "start_time_unix_nano", "time_unix_nano", "exemplars", "flags")
_DISTRIBUTION = ("count", "sum", "min", "max")

KEPT: dict[str, tuple[str, ...]] = {
    "ExportTraceServiceRequest": ("resource_spans",),
    "ResourceSpans": ("resource", "scope_spans"),
    "ScopeSpans": ("scope", "spans"),
    "Span": (
        *("trace_id", "span_id", "trace_state", "parent_span_id", "flags", "name", "kind"),
        *("start_time_unix_nano", "end_time_unix_nano", "attributes", "events", "status"),
    ),
    "Event": ("time_unix_nano", "name", "attributes"),
    "ExportMetricsServiceRequest": ("resource_metrics",),
    "ResourceMetrics": ("resource", "scope_metrics"),
    "ScopeMetrics": ("scope", "metrics"),
    "Metric": ("name", "unit", "gauge", "sum", "histogram", "exponential_histogram", "summary"),
    "Gauge": ("data_points",),
    "Sum": ("data_points", "aggregation_temporality", "is_monotonic"),
    "Histogram": ("data_points", "aggregation_temporality"),
    "ExponentialHistogram": ("data_points", "aggregation_temporality"),
    "Summary": ("data_points",),
    "SummaryDataPoint": ("time_unix_nano",),  # no indicator can read more of it
    "NumberDataPoint": (*_POINT, "as_double", "as_int"),
    "HistogramDataPoint": (*_POINT, *_DISTRIBUTION, "bucket_counts", "explicit_bounds"),
    "ExponentialHistogramDataPoint": (
        *(*_POINT, *_DISTRIBUTION),
        *("scale", "zero_count", "positive", "negative", "zero_threshold"),
    ),
    "Buckets": ("offset", "bucket_counts"),
    "Exemplar": ("time_unix_nano", "as_double", "as_int", "span_id", "trace_id"),
    "ExportLogsServiceRequest": ("resource_logs",),
    "ResourceLogs": ("resource", "scope_logs"),
    "ScopeLogs": ("scope", "log_records"),
    "LogRecord": (
        *("time_unix_nano", "observed_time_unix_nano", "severity_number", "severity_text", "body"),
        *("attributes", "trace_id", "span_id", "event_name"),
    ),
    "Resource": ("attributes",),
    "InstrumentationScope": ("name", "version", "attributes"),
    "AnyValue": (
        *("string_value", "bool_value", "int_value", "double_value"),
        *("array_value", "kvlist_value", "bytes_value"),
    ),
    "ArrayValue": ("values",),
    "KeyValueList": ("values",),
}
"""Message name to the fields that are kept; the names are the official ones."""

RAW = {("Span", "status"), ("Span", "trace_state")}
"""Fields that are left in their wire form."""

_PACKAGE = "sloburn.otlp.lean"
_KEY_VALUE = "KeyValue"
_ANY_VALUE = "AnyValue"


def official_messages() -> dict[str, Descriptor]:
    """Return every official message that the requests are built from, by its name without the package."""
    found: dict[str, Descriptor] = {}
    waiting: list[Any] = [kind.DESCRIPTOR for kind in OFFICIAL.values()]
    while waiting:
        message = waiting.pop()
        if message.name not in found:
            found[message.name] = message
            waiting += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def _build() -> dict[str, type[Any]]:
    """Return the lean message classes by name."""
    file = FileDescriptorProto(name="sloburn/otlp/lean.proto", package=_PACKAGE, syntax="proto3")
    official = official_messages()
    file.message_type.extend(_lean(official[name], kept) for name, kept in KEPT.items())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in KEPT}


def _lean(official: Descriptor, kept: tuple[str, ...]) -> DescriptorProto:
    """Return a message's declaration with the kept fields only."""
    source, lean = DescriptorProto(), DescriptorProto(name=official.name)
    official.CopyToProto(source)
    fields = {field.name: field for field in source.field}
    choices: dict[int, int] = {}
    for field in sorted((fields[name] for name in kept), key=lambda field: field.proto3_optional):
        if field.HasField("oneof_index"):
            if field.oneof_index not in choices:
                choices[field.oneof_index] = len(lean.oneof_decl)
                lean.oneof_decl.append(source.oneof_decl[field.oneof_index])
            field.oneof_index = choices[field.oneof_index]
        _rewrite(field, lean)
        lean.field.append(field)
    return lean


def _rewrite(field: FieldDescriptorProto, owner: DescriptorProto) -> None:
    """Give a field its lean type, in place; an attribute map adds its entry type to the owner."""
    target = field.type_name.rpartition(".")[2]
    if field.type == field.TYPE_ENUM:
        _retype(field, field.TYPE_INT32)
    elif _is_raw(field, owner, target):
        _retype(field, field.TYPE_BYTES)
    elif target == _KEY_VALUE:
        entry = _map_entry(f"{field.name.capitalize()}Entry")
        owner.nested_type.append(entry)
        field.type_name = f".{_PACKAGE}.{owner.name}.{entry.name}"
    elif target:
        field.type_name = f".{_PACKAGE}.{target}"


def _is_raw(field: FieldDescriptorProto, owner: DescriptorProto, target: str) -> bool:
    """Tell whether a field is left in its wire form."""
    is_text = owner.name == _ANY_VALUE and field.type == field.TYPE_STRING
    return target == _ANY_VALUE or is_text or (owner.name, field.name) in RAW


def _retype(field: FieldDescriptorProto, kind: FieldDescriptorProto.Type.ValueType) -> None:
    """Make a field a scalar."""
    field.ClearField("type_name")
    field.type = kind


def _map_entry(name: str) -> DescriptorProto:
    """Return the entry type of a ``map<string, bytes>``; on the wire it is a KeyValue."""
    entry = DescriptorProto(name=name)
    entry.options.map_entry = True
    label = FieldDescriptorProto.LABEL_OPTIONAL
    entry.field.add(name="key", number=1, label=label, type=FieldDescriptorProto.TYPE_STRING)
    entry.field.add(name="value", number=2, label=label, type=FieldDescriptorProto.TYPE_BYTES)
    return entry


LEAN: dict[str, type[Any]] = _build()
"""The lean message classes by name. Made at run time, no type checker knows them: see `sloburn.otlp.messages`."""
