"""Serialized AnyValues to Python values (opentelemetry-proto, common.proto)."""

from __future__ import annotations

import base64
import json
from typing import TypeAlias, cast

from google.protobuf.message import DecodeError

from sloburn.otlp.schema import LEAN

Value: TypeAlias = str | bool | int | float | bytes | None

MAX_DEPTH = 32
"""Arrays and lists of key-values nested deeper than this are cut: what is below reads as null."""

_parse = LEAN["AnyValue"].FromString

# First bytes of the values that nearly every attribute has: field number times 8 plus wire type.
_STRING, _BOOL, _INT = 1 << 3 | 2, 2 << 3 | 0, 3 << 3 | 0


def any_value(raw: bytes) -> Value:
    """Return what a serialized AnyValue says; never raises.

    Args:
        raw: The value of an attribute, or the body of a log record, as `decode` left it.

    Returns:
        The value. Bytes of a string that are no UTF-8 become U+FFFD; arrays and key-value lists become compact JSON
        with sorted keys. None if the value is empty or cannot be read: a broken value reads as one that was not set.
    """
    size = len(raw)
    if size < 2:
        return None
    tag, second = raw[0], raw[1]
    if second < 0x80:  # one byte of varint: a short length, or a small number
        if tag == _STRING and size == second + 2:
            return raw[2:].decode("utf-8", "replace")
        if size == 2 and tag == _INT:
            return second
        if size == 2 and tag == _BOOL:
            return second != 0
    elif tag == _INT and size == 3 and raw[2] < 0x80:  # two bytes: 128 to 16383, every HTTP status
        return raw[2] << 7 | second & 0x7F
    return _slow_value(raw)


def _slow_value(raw: bytes) -> Value:
    """Return any value by way of the parser."""
    value = _plain(raw, MAX_DEPTH)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_base64)
    return cast(Value, value)


def _plain(raw: bytes, depth: int) -> object:
    """Return a value in Python's own types, at most `depth` containers deep."""
    try:
        message = _parse(raw)
    except DecodeError:
        return None
    which = message.WhichOneof("value")
    if which is None or depth == 0:
        return None
    if which == "array_value":
        return [_plain(item, depth - 1) for item in message.array_value.values]
    if which == "kvlist_value":
        return {key: _plain(item, depth - 1) for key, item in message.kvlist_value.values.items()}
    value = getattr(message, which)
    return value.decode("utf-8", "replace") if which == "string_value" else value


def _base64(value: bytes) -> str:
    """Write bytes as OTLP/JSON does."""
    return base64.b64encode(value).decode("ascii")
