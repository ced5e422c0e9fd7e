"""Request bodies to messages that can be walked fast: the one place where telemetry is parsed."""

from __future__ import annotations

from typing import Literal, cast, overload

from google.protobuf.message import DecodeError

from sloburn.errors import MalformedBody
from sloburn.otlp.json_body import json_to_protobuf
from sloburn.otlp.messages import LogsRequest, MetricsRequest, Request, TraceRequest
from sloburn.otlp.schema import LEAN, OFFICIAL
from sloburn.otlp.signal import Encoding, Signal

_NAME = {signal: kind.DESCRIPTOR.name for signal, kind in OFFICIAL.items()}
_PARSE = {signal: LEAN[name].FromString for signal, name in _NAME.items()}


@overload
def decode(signal: Literal[Signal.TRACES], encoding: Encoding, body: bytes) -> TraceRequest: ...
@overload
def decode(signal: Literal[Signal.METRICS], encoding: Encoding, body: bytes) -> MetricsRequest: ...
@overload
def decode(signal: Literal[Signal.LOGS], encoding: Encoding, body: bytes) -> LogsRequest: ...
@overload
def decode(signal: Signal, encoding: Encoding, body: bytes) -> Request: ...
def decode(signal: Signal, encoding: Encoding, body: bytes) -> Request:
    """Parse the body of an export request.

    Ids are not judged: an id of the wrong length, or all zero, is the engine's to refuse with its span.

    Args:
        signal: Which request it is.
        encoding: How it is written.
        body: The body, inflated; may be empty, which is a request without items.

    Raises:
        MalformedBody: The body is not what `signal` and `encoding` say; the message says where, if that is known.
    """
    if encoding is Encoding.JSON:
        body = json_to_protobuf(signal, body)
    try:
        return cast(Request, _PARSE[signal](body))
    except DecodeError as error:
        reason = str(error).rpartition(": ")[2]
        raise MalformedBody(f"the body is no {_NAME[signal]} in protobuf: {reason}{_hint(body)}") from None


def _hint(body: bytes) -> str:
    """Return what a body that is no protobuf may be instead; empty if it does not show."""
    if body.startswith(b"\x1f\x8b"):
        return " (it looks like gzip: is Content-Encoding missing?)"
    return " (it looks like JSON: is Content-Type application/json meant?)" if body.lstrip().startswith(b"{") else ""
