"""OTLP/JSON to the same request in protobuf (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding").

OTLP differs from protobuf's own JSON in four points, applied here before protobuf's parser sees the document:

* trace and span ids are hexadecimal in either case, not base64;
* the value of an enum is a JSON integer: its name, which protobuf's JSON knows too, is refused;
* a key is the field's name in lowerCamelCase: the original name (``resource_spans``) is no key of OTLP, therefore a
  field with an unknown name;
* a field with an unknown name is ignored, whatever it holds.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from typing import Any, NoReturn, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict

from sloburn.errors import MalformedBody
from sloburn.otlp.schema import OFFICIAL
from sloburn.otlp.signal import Signal

_ID_NAMES = frozenset({"trace_id", "span_id", "parent_span_id"})
_HEX_BYTES = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_PARSER_PREFIX = re.compile(
    r"(?:Failed to parse \w+ field: )+"
)  # one for each level; the path at the end says the same
_LONGEST_REASON = 300


def json_to_protobuf(signal: Signal, body: bytes) -> bytes:
    """Return a JSON request in protobuf.

    Raises:
        MalformedBody: The body is no JSON object in UTF-8, or not the request that `signal` says.
    """
    message = OFFICIAL[signal]()
    name = message.DESCRIPTOR.name
    document = _load(body, name)
    try:
        ParseDict(_message(document, cast(Descriptor, message.DESCRIPTOR), name), message)
        return message.SerializeToString()
    except Exception as error:  # the document is hostile and the parser not ours: nothing but MalformedBody may leave
        raise _malformed(name, error) from None


def _load(body: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in a body."""
    try:
        document = json.loads(str(body, "utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # ValueError: bad UTF-8, bad JSON, too many digits
        raise _malformed(name, error) from None
    if not isinstance(document, dict):
        raise _malformed(name, ValueError(f"expected an object, found {type(document).__name__}"))
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build one JSON object."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


@cache
def _fields(message: Descriptor) -> dict[str, FieldDescriptor]:
    """Return a message's fields by their keys in OTLP/JSON."""
    return {field.json_name: field for field in message.fields}


def _message(document: dict[str, Any], message: Descriptor, place: str) -> dict[str, Any]:
    """Return an object in protobuf's own JSON, without the fields that OTLP does not know."""
    fields = _fields(message)
    return {key: _value(value, fields[key], f"{place}.{key}") for key, value in document.items() if key in fields}


def _value(value: object, field: FieldDescriptor, place: str) -> object:
    """Return a field's value in protobuf's own JSON; what has the wrong type is left for its parser to refuse."""
    if isinstance(value, list):
        return [_value(item, field, f"{place}[{at}]") for at, item in enumerate(value)]
    if isinstance(value, dict) and field.message_type is not None:
        return _message(value, field.message_type, place)
    if value is not None and field.enum_type is not None:
        return _enum(value, place)
    return _base64_id(value, place) if value is not None and field.name in _ID_NAMES else value


def _enum(value: object, place: str) -> int:
    """Return the number of an enum's value; a number that no name has is a value that a later OTLP may add."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise ValueError(f"the value of an enum must be an integer, found {str(value)[:40]!r} at {place}")
    return int(value)


def _base64_id(value: object, place: str) -> str:
    """Return a hexadecimal id in base64; its length is not judged here."""
    if not isinstance(value, str) or not _HEX_BYTES.fullmatch(value):
        found = f"found {str(value)[:40]!r} at {place}"
        raise ValueError(f"an id must be text of hexadecimal digits, two for each byte, {found}")
    return base64.b64encode(bytes.fromhex(value)).decode("ascii")


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(f"{text} is no JSON number")


def _malformed(name: str, error: Exception) -> MalformedBody:
    """Return the error for a body, in printable text of bounded length."""
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else _PARSER_PREFIX.sub("", str(error))
    printable = reason.encode("utf-8", "replace").decode("utf-8")[:_LONGEST_REASON].rstrip(".")
    return MalformedBody(f"the body is no {name} in JSON: {printable}")
