"""Bodies decode to what they say, or are refused as malformed; nothing else may happen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sloburn.errors import MalformedBody
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.schema import OFFICIAL
from sloburn.otlp.signal import Encoding, Signal
from tests.otlp.requests import lean_tree, official_tree, otlp_json, requests

SIGNALS = st.sampled_from(Signal)
ENCODINGS = st.sampled_from(Encoding)
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
NAME = "ExportTraceServiceRequest"
SPAN = f"{NAME}.resourceSpans[0].scopeSpans[0].spans[0]"
NO_ID = "an id must be text of hexadecimal digits, two for each byte"
NO_ENUM = "the value of an enum must be an integer"


def one_span(**fields: Any) -> ExportTraceServiceRequest:
    """Return a request with one span."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(**fields)
    return request


def span_json(**fields: Any) -> bytes:
    """Return a JSON request with one span."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}).encode()


def refused(encoding: Encoding, body: bytes) -> str:
    """Return the sentence with which a body is refused."""
    with pytest.raises(MalformedBody) as raised:
        decode(Signal.TRACES, encoding, body)
    return str(raised.value)


# --- what is read ---


@given(st.data(), SIGNALS)
@SLOW
def test_a_request_reads_the_same_in_protobuf_and_in_json(data: st.DataObject, signal: Signal) -> None:
    """A random request says in both encodings what the official schema says."""
    request = data.draw(requests(signal))
    expected = official_tree(request)
    assert expected == lean_tree(decode(signal, Encoding.PROTOBUF, request.SerializeToString()))
    assert expected == lean_tree(decode(signal, Encoding.JSON, otlp_json(request)))


@pytest.mark.parametrize("signal", Signal)
def test_an_empty_request_is_fine(signal: Signal) -> None:
    """An empty protobuf body and an empty JSON object are requests without items."""
    empty = official_tree(OFFICIAL[signal]())
    assert empty == lean_tree(decode(signal, Encoding.PROTOBUF, b""))
    assert empty == lean_tree(decode(signal, Encoding.JSON, b" {} "))


def test_the_last_of_two_attributes_with_one_key_wins() -> None:
    """A key that stands twice, which OTLP forbids, reads as its last value."""
    request = one_span()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="a").value.int_value = 1
    span.attributes.add(key="a").value.int_value = 2
    for encoding, body in ((Encoding.PROTOBUF, request.SerializeToString()), (Encoding.JSON, otlp_json(request))):
        read = decode(Signal.TRACES, encoding, body).resource_spans[0].scope_spans[0].spans[0]
        assert dict(read.attributes) == {"a": b"\x18\x02"}


def test_an_attribute_without_key_or_value_is_kept() -> None:
    """A KeyValue without key has the empty key, one without value no value."""
    request = one_span()
    attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
    attributes.add(key="a")
    attributes.add().value.bool_value = True
    read = (
        decode(Signal.TRACES, Encoding.PROTOBUF, request.SerializeToString()).resource_spans[0].scope_spans[0].spans[0]
    )
    assert {key: any_value(raw) for key, raw in read.attributes.items()} == {"a": None, "": True}


def test_text_in_an_attribute_that_is_no_utf8_does_not_lose_the_request() -> None:
    """One bad byte in a value is replaced; the span and its neighbours stay."""
    body = one_span(name="neighbour").SerializeToString()
    body += _span_with_attribute(b"a", b"\x0a\x01\xff")
    read = decode(Signal.TRACES, Encoding.PROTOBUF, body)
    assert read.resource_spans[0].scope_spans[0].spans[0].name == "neighbour"
    assert any_value(read.resource_spans[1].scope_spans[0].spans[0].attributes["a"]) == "\ufffd"


def test_a_field_that_otlp_may_add_to_a_key_value_hides_that_attribute_only() -> None:
    """An attribute with an unknown field beside key and value is skipped: the known limit of the maps."""
    request = one_span()
    attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
    attributes.add(key="odd", key_strindex=7).value.int_value = 1
    attributes.add(key="plain").value.int_value = 2
    read = (
        decode(Signal.TRACES, Encoding.PROTOBUF, request.SerializeToString()).resource_spans[0].scope_spans[0].spans[0]
    )
    assert list(read.attributes) == ["plain"]


def test_unknown_fields_are_ignored() -> None:
    """Fields that a later OTLP may add are skipped in both encodings."""
    body = one_span(name="a").SerializeToString() + b"\xfa\x3f\x03new"
    assert decode(Signal.TRACES, Encoding.PROTOBUF, body).resource_spans[0].scope_spans[0].spans[0].name == "a"
    read = decode(Signal.TRACES, Encoding.JSON, span_json(name="a", novelty={"x": [1]}))
    assert read.resource_spans[0].scope_spans[0].spans[0].name == "a"


@pytest.mark.parametrize(
    ("written", "expected"), [("5B8EFFF7", "5b8efff7"), ("5b8efff7", "5b8efff7"), ("", ""), ("00" * 16, "00" * 16)]
)
def test_json_ids_are_hexadecimal_in_any_case_and_of_any_length(written: str, expected: str) -> None:
    """Ids come out as the bytes they spell; whether they are valid is judged elsewhere."""
    read = decode(Signal.TRACES, Encoding.JSON, span_json(traceId=written, spanId=written, parentSpanId=written))
    span = read.resource_spans[0].scope_spans[0].spans[0]
    assert [expected] * 3 == [span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()]


@pytest.mark.parametrize(("written", "expected"), [(2, 2), (2.0, 2), (99, 99), (None, 0)])
def test_json_takes_an_enum_as_integer(written: object, expected: int) -> None:
    """A kind is a number, also one that a later OTLP may name, and its default where it is null."""
    read = decode(Signal.TRACES, Encoding.JSON, span_json(kind=written))
    assert expected == read.resource_spans[0].scope_spans[0].spans[0].kind


def test_a_json_key_with_underscores_is_the_key_of_an_unknown_field() -> None:
    """OTLP knows lowerCamelCase only: the original name of a field is ignored, whatever its value."""
    read = decode(Signal.TRACES, Encoding.JSON, span_json(name="a", parent_span_id="zz", end_time_unix_nano=7, kind=2))
    span = read.resource_spans[0].scope_spans[0].spans[0]
    assert (span.name, span.parent_span_id, span.end_time_unix_nano, span.kind) == ("a", b"", 0, 2)
    assert not decode(Signal.TRACES, Encoding.JSON, b'{"resource_spans": [{}]}').resource_spans


def test_what_an_unknown_json_field_holds_is_not_judged() -> None:
    """A key that is an id or an enum elsewhere is ignored where OTLP has no such field."""
    read = decode(Signal.TRACES, Encoding.JSON, span_json(name="a", novelty={"traceId": "?", "kind": "x"}, code="x"))
    assert read.resource_spans[0].scope_spans[0].spans[0].name == "a"


@pytest.mark.parametrize("written", [1544712660300000000, "1544712660300000000"])
def test_json_takes_64_bits_as_number_and_as_text(written: object) -> None:
    """Times may be JSON numbers or decimal text."""
    read = decode(Signal.TRACES, Encoding.JSON, span_json(endTimeUnixNano=written))
    assert read.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano == 1544712660300000000


# --- what is refused ---


def test_protobuf_that_is_none_is_refused_with_what_was_expected() -> None:
    """The sentence names the message that was expected."""
    assert refused(Encoding.PROTOBUF, b"\xff\xff") == f"the body is no {NAME} in protobuf: Wire format was corrupt"


@pytest.mark.parametrize(
    ("body", "hint"), [(b"\x1f\x8b\x08", "looks like gzip"), (b' {"resourceSpans":[]}', "looks like JSON")]
)
def test_a_body_sent_under_the_wrong_header_is_refused_with_a_hint(body: bytes, hint: str) -> None:
    """Gzip without its header, and JSON under the protobuf type, are recognised."""
    assert hint in refused(Encoding.PROTOBUF, body)


def test_a_key_that_is_no_utf8_is_refused() -> None:
    """Attribute keys must be UTF-8, as protobuf demands of strings."""
    assert refused(Encoding.PROTOBUF, _span_with_attribute(b"\xff", b"")).endswith("String field had bad UTF-8")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "expected an object, found list"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff{}", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"resourceSpans": 7}', f"repeated field resourceSpans must be in [] which is 7 at {NAME}"),
        (span_json(traceId="xyz"), f"{NO_ID}, found 'xyz' at {SPAN}.traceId"),
        (span_json(spanId="abc"), f"{NO_ID}, found 'abc' at {SPAN}.spanId"),
        (span_json(spanId="ab cd"), f"{NO_ID}, found 'ab cd' at {SPAN}.spanId"),
        (span_json(links=[{}, {"spanId": 7}]), f"{NO_ID}, found '7' at {SPAN}.links[1].spanId"),
        (span_json(kind="SPAN_KIND_SERVER"), f"{NO_ENUM}, found 'SPAN_KIND_SERVER' at {SPAN}.kind"),
        (span_json(kind="2"), f"{NO_ENUM}, found '2' at {SPAN}.kind"),
        (span_json(kind=True), f"{NO_ENUM}, found 'True' at {SPAN}.kind"),
        (span_json(kind=2.5), f"{NO_ENUM}, found '2.5' at {SPAN}.kind"),
        (
            span_json(status={"code": "STATUS_CODE_ERROR"}),
            f"{NO_ENUM}, found 'STATUS_CODE_ERROR' at {SPAN}.status.code",
        ),
        (
            span_json(name="\ud800"),
            f"Unpaired surrogate at {SPAN}.name",
        ),
        (span_json(startTimeUnixNano=-1), "Value out of range: -1"),
    ],
    ids=lambda case: str(case)[:24],
)
def test_json_that_is_none_is_refused_with_the_place(body: bytes, reason: str) -> None:
    """The sentence says what is wrong, and where if that is known."""
    assert refused(Encoding.JSON, body) == f"the body is no {NAME} in JSON: {reason}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceSpans": ' + b"9" * 5000 + b"}",
        span_json(kind=10**400),
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":1e400}]}]}]}',
        span_json(status={"code": "\ud800"}),
        span_json(attributes=[{"key": "a", "value": {"stringValue": 1}}]),
        span_json(attributes=[{"key": "a", "value": {"intValue": "1", "stringValue": "1"}}]),
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":'
        + b'{"arrayValue":{"values":[' * 60
        + b"]}}" * 60
        + b"}]}}]}",
    ],
    ids=lambda body: str(body)[:24],
)
def test_hostile_json_is_refused_in_printable_text(body: bytes) -> None:
    """Numbers without bound, deep nesting, surrogates and wrong types are malformed, and the sentence can be sent."""
    assert len(refused(Encoding.JSON, body).encode("utf-8")) < 600


# --- what must not happen ---


@given(SIGNALS, ENCODINGS, st.binary(max_size=200))
@settings(max_examples=1000)
def test_random_bytes_decode_or_are_malformed(signal: Signal, encoding: Encoding, body: bytes) -> None:
    """No bytes lead to another exception than MalformedBody."""
    _decode_or_refuse(signal, encoding, body)


@given(st.data(), SIGNALS, ENCODINGS)
@SLOW
def test_mutated_requests_decode_or_are_malformed(data: st.DataObject, signal: Signal, encoding: Encoding) -> None:
    """A valid request with bytes changed, cut or inserted leads to no other exception either."""
    request = data.draw(requests(signal))
    body = bytearray(otlp_json(request) if encoding is Encoding.JSON else request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body)))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _decode_or_refuse(signal, encoding, bytes(body))


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary().map(repr)
NAMES = (
    "resourceSpans scopeSpans spans resource attributes key value intValue kvlistValue arrayValue values "
    "traceId kind status code resourceLogs body @type [ext]"
)
KEYS = st.text(max_size=4) | st.sampled_from(NAMES.split())
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(SIGNALS, TREES)
@example(Signal.TRACES, {"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "\ud800"}]}]}]})
@settings(max_examples=500)
def test_random_json_decodes_or_is_malformed(signal: Signal, tree: Any) -> None:
    """No JSON document leads to another exception than MalformedBody."""
    _decode_or_refuse(signal, Encoding.JSON, json.dumps(tree).encode())
    _decode_or_refuse(signal, Encoding.JSON, json.dumps({"resourceSpans": tree, "resourceLogs": [tree]}).encode())


def _decode_or_refuse(signal: Signal, encoding: Encoding, body: bytes) -> None:
    """Decode, read everything that came out, and let MalformedBody pass."""
    try:
        lean_tree(decode(signal, encoding, body))
    except MalformedBody as error:
        str(error).encode("utf-8")


def _span_with_attribute(key: bytes, value: bytes) -> bytes:
    """Return a request by hand with one span that has one attribute."""
    key_value = _field(1, key) + _field(2, value)
    return _field(1, _field(2, _field(2, _field(9, key_value))))


def _field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field of less than 128 bytes."""
    return bytes([number << 3 | 2, len(payload)]) + payload
