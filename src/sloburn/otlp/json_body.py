"""OTLP/JSON to the same request in protobuf (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding").

OTLP differs from protobuf's own JSON in one point that a parser must know: trace and span ids are hexadecimal, not
base64. What OTLP forbids senders beyond that (names of enum values, field names with underscores) is tolerated.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NoReturn

from google.protobuf.json_format import ParseDict

from sloburn.errors import MalformedBody
from sloburn.otlp.schema import OFFICIAL
from sloburn.otlp.signal import Signal

_ID_NAMES = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
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
    document = _load(body, message.DESCRIPTOR.name)
    try:
        ParseDict(document, message, ignore_unknown_fields=True)
        return message.SerializeToString()
    except Exception as error:  # the document is hostile and the parser not ours: nothing but MalformedBody may leave
        raise _malformed(message.DESCRIPTOR.name, error) from None


def _load(body: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in a body, with its ids in base64."""
    try:
        document = json.loads(str(body, "utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # ValueError: bad UTF-8, bad JSON, too many digits
        raise _malformed(name, error) from None
    if not isinstance(document, dict):
        raise _malformed(name, ValueError(f"expected an object, found {type(document).__name__}"))
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build one JSON object; called from the innermost outwards."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    for name in _ID_NAMES & found.keys():
        found[name] = _base64_id(name, found[name])
    return found


def _base64_id(name: str, value: object) -> object:
    """Return a hexadecimal id in base64; its length is not judged here."""
    if value is None:
        return None
    if not isinstance(value, str) or not _HEX_BYTES.fullmatch(value):
        raise ValueError(f"{name} must be text of hexadecimal digits, two for each byte, found {str(value)[:40]!r}")
    return base64.b64encode(bytes.fromhex(value)).decode("ascii")


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(f"{text} is no JSON number")


def _malformed(name: str, error: Exception) -> MalformedBody:
    """Return the error for a body, in printable text of bounded length."""
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else _PARSER_PREFIX.sub("", str(error))
    printable = reason.encode("utf-8", "replace").decode("utf-8")[:_LONGEST_REASON].rstrip(".")
    return MalformedBody(f"the body is no {name} in JSON: {printable}")
