"""Random official requests, and what they say in plain Python: the oracle for the lean schema."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.schema import KEPT, OFFICIAL
from sloburn.otlp.signal import Signal
from sloburn.otlp.span_status import read_status

_INT64 = st.integers(-(2**63), 2**63 - 1)
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=17),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 30),
}
_IDS = {"traceId", "spanId", "parentSpanId"}
_NEVER_SENT = {"key_strindex", "string_value_strindex"}  # for profiles only


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 7) -> Any:
    """Draw an official message; below `depth` levels nothing nests further."""
    found: Any = kind()
    _fill(draw, found, depth)
    return found


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    """Set random fields of a message, and those of the messages in it."""
    fields = [field for field in message.DESCRIPTOR.fields if field.name not in _NEVER_SENT]
    lists = [
        field for field in fields if field.is_repeated and field.message_type is not None
    ]  # or few would hold spans
    chosen = draw(st.lists(st.sampled_from(fields), max_size=6))
    for field in {field.name: field for field in (*lists, *chosen)}.values():
        if field.message_type is None:
            values = draw(st.lists(_SCALARS[field.type], min_size=1, max_size=3))
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            else:
                setattr(message, field.name, values[0])
        elif depth > 0:
            _fill_nested(draw, message, field, depth - 1)


def _fill_nested(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    """Set a field that holds messages."""
    if field.is_repeated:
        for _ in range(draw(st.integers(0, 2))):
            _fill(draw, getattr(message, field.name).add(), depth)
    else:
        getattr(message, field.name).SetInParent()
        _fill(draw, getattr(message, field.name), depth)


def requests(signal: Signal) -> st.SearchStrategy[Any]:
    """Return a strategy for official export requests."""
    return messages(OFFICIAL[signal])


def otlp_json(request: Message) -> bytes:
    """Write a request as OTLP/JSON, with hexadecimal ids and numbers for enums."""
    return json.dumps(_with_hex_ids(MessageToDict(request, use_integers_for_enums=True))).encode()


def _with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name: base64.b64decode(item).hex() if name in _IDS else _with_hex_ids(item) for name, item in node.items()}


def official_value(value: AnyValue) -> Any:
    """Return what an official AnyValue says, as `any_value` should."""
    plain = _plain(value)
    if isinstance(plain, list | dict):
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return plain


def _plain(value: AnyValue, *, inside: bool = False) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_plain(item, inside=True) for item in value.array_value.values]
    if which == "kvlist_value":
        return {item.key: _plain(item.value, inside=True) for item in value.kvlist_value.values}
    found = getattr(value, which)
    return base64.b64encode(found).decode() if inside and which == "bytes_value" else found


def official_tree(message: Any) -> dict[str, Any]:
    """Return the kept fields of an official message in plain Python."""
    tree: dict[str, Any] = {}
    for field in _kept_fields(message):
        value = getattr(message, field.name)
        target = field.message_type.name if field.message_type is not None else ""
        if target == "KeyValue":
            tree[field.name] = {item.key: official_value(item.value) for item in value}
        elif target == "AnyValue":
            tree[field.name] = official_value(value)
        elif target == "Status":
            tree[field.name] = (value.code, value.message)
        elif field.name == "trace_state":
            tree[field.name] = value.encode()
        elif target and field.is_repeated:
            tree[field.name] = [official_tree(item) for item in value]
        elif target:
            tree[field.name] = official_tree(value) if message.HasField(field.name) else None
        else:
            tree[field.name] = list(value) if field.is_repeated else value
    return tree | _choices(message)


def lean_tree(message: Any) -> dict[str, Any]:
    """Return a lean message in plain Python, its AnyValues read."""
    tree: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            tree[field.name] = {key: any_value(raw) for key, raw in value.items()}
        elif field.message_type is not None and field.is_repeated:
            tree[field.name] = [lean_tree(item) for item in value]
        elif field.message_type is not None:
            tree[field.name] = lean_tree(value) if message.HasField(field.name) else None
        elif (message.DESCRIPTOR.name, field.name) == ("Span", "status"):
            tree[field.name] = read_status(value)
        elif field.name == "body":
            tree[field.name] = any_value(value)
        else:
            tree[field.name] = list(value) if field.is_repeated else value
    return tree | _choices(message)


def _kept_fields(message: Any) -> list[FieldDescriptor]:
    return [field for field in message.DESCRIPTOR.fields if field.name in KEPT[message.DESCRIPTOR.name]]


def _choices(message: Any) -> dict[str, Any]:
    """Return which field of every oneof is set, with optional fields as oneofs of one."""
    kept = KEPT[message.DESCRIPTOR.name]
    return {
        f"oneof {choice.name}": message.WhichOneof(choice.name)
        for choice in message.DESCRIPTOR.oneofs
        if any(field.name in kept for field in choice.fields)
    }
