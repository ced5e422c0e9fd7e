"""Serialized AnyValues read as the official schema reads them."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from sloburn.otlp.anyvalue import MAX_DEPTH, any_value
from tests.otlp.requests import messages, official_value

NUMBERS = (0, 1, 127, 128, 200, 503, 16383, 16384, 2**31, 2**63 - 1, -1, -(2**63))
VALUES: list[dict[str, Any]] = [
    {},
    {"string_value": ""},
    {"string_value": "GET"},
    {"string_value": "ř" * 63},
    {"string_value": "x" * 127},
    {"string_value": "x" * 128},
    {"bool_value": True},
    {"bool_value": False},
    {"double_value": 0.25},
    {"bytes_value": b""},
    {"bytes_value": b"\xff\x00"},
    *({"int_value": number} for number in NUMBERS),
]


@pytest.mark.parametrize("fields", VALUES, ids=str)
def test_a_scalar_reads_as_the_official_value(fields: dict[str, Any]) -> None:
    """A scalar comes back as the Python value, with its type, on the fast path and on the slow one."""
    value = AnyValue(**fields)
    expected = next(iter(fields.values()), None)
    actual = any_value(value.SerializeToString())
    assert (expected, type(expected)) == (actual, type(actual))


@given(messages(AnyValue))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_value_says_what_the_official_schema_says(value: AnyValue) -> None:
    """Every AnyValue, however nested, reads as the official schema reads it."""
    assert official_value(value) == any_value(value.SerializeToString())


@given(st.binary(max_size=40))
@example(b"\x0a")
@example(b"\x0a\x05ab")
@example(b"\x0a\x01ab")
@example(b"\x0a\x80\x00")
@example(b"\x18\x80\x00")
@example(b"\x10\x02")
@example(b"\x8a\x00\x01a")
@example(b"\x0a\x01a\x18\x05")
def test_any_bytes_read_as_the_official_schema_reads_them_or_as_no_value(raw: bytes) -> None:
    """Bytes as a library writes an AnyValue read as the official schema reads them; others never raise."""
    found = any_value(raw)
    try:
        official = AnyValue.FromString(raw)
    except DecodeError:
        return
    if official.SerializeToString() == raw and official.WhichOneof("value") != "string_value_strindex":
        assert repr(official_value(official)) == repr(found)  # as text, since NaN differs from itself


def test_text_that_is_no_utf8_is_replaced() -> None:
    """A byte that is no UTF-8 becomes U+FFFD, on the fast path, on the slow one and within an array."""
    long = b"\xff" * 200
    assert any_value(b"\x0a\x02a\xff") == "a\ufffd"
    assert any_value(b"\x0a\xc8\x01" + long) == "\ufffd" * 200
    assert any_value(b"\x2a\x05\x0a\x03\x0a\x01\xff") == '["\ufffd"]'


def test_lists_read_as_compact_json() -> None:
    """Arrays and key-value lists become JSON without spaces, keys sorted, bytes in base64."""
    value = AnyValue()
    items = value.kvlist_value.values
    items.add(key="z").value.int_value = 1
    items.add(key="a").value.array_value.values.extend(
        [AnyValue(string_value="ř"), AnyValue(bytes_value=b"\x00"), AnyValue()]
    )
    assert any_value(value.SerializeToString()) == '{"a":["ř","AA==",null],"z":1}'


def test_deep_nesting_is_cut() -> None:
    """Below the depth limit a value reads as null, so hostile nesting costs no more than the limit."""
    value = AnyValue(string_value="deep")
    for _ in range(90):
        outer = AnyValue()
        outer.array_value.values.add().CopyFrom(value)
        value = outer
    assert any_value(value.SerializeToString()) == "[" * MAX_DEPTH + "null" + "]" * MAX_DEPTH


def test_hostile_nesting_beyond_every_recursion_limit_does_not_crash() -> None:
    """A thousand levels, made by hand since no library would write them, read as null below the limit."""
    raw = b"\x18\x01"
    for _ in range(1000):
        raw = _delimited(5, _delimited(1, raw))
    assert any_value(raw) == "[" * MAX_DEPTH + "null" + "]" * MAX_DEPTH


def _delimited(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field."""
    size, length = len(payload), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2]) + bytes(length) + bytes([size]) + payload
