"""What an OTLP receiver answers to a request that it took: nothing, or how much of it it refused.

https://opentelemetry.io/docs/specs/otlp/#partial-success-1
"""

from __future__ import annotations

import json

from sloburn.sdk.exporters.sender import Outcome


def judge_answer(answer: bytes, content_type: str = "") -> Outcome:
    """Return what became of a request that a receiver says it took.

    What cannot be read may have been taken or not: it is not sent twice, and counted as lost.
    """
    try:
        return Outcome(verdict="taken", refused_items=max(0, refused_items(answer, content_type)))
    except (ValueError, TypeError, RecursionError):
        return Outcome(verdict="refused", reason="the answer is not one of an OTLP receiver")


def refused_items(answer: bytes, content_type: str = "") -> int:
    """Return how many items the receiver refused although it took the request.

    Args:
        answer: The body of the answer.
        content_type: Its type; some receivers answer JSON whatever they are asked in.

    Raises:
        ValueError: This is no answer of an OTLP receiver.
    """
    if not answer:
        return 0
    if "json" in content_type:
        return _refused_in_json(answer)
    partial_success = _field(answer, 1)
    if not isinstance(partial_success, bytes):
        return 0
    refused = _field(partial_success, 1)
    return refused if isinstance(refused, int) else 0


def _refused_in_json(answer: bytes) -> int:
    read = json.loads(answer)
    partial_success = read.get("partialSuccess") if isinstance(read, dict) else None
    if not isinstance(partial_success, dict):
        return 0
    counts = [value for key, value in partial_success.items() if key.startswith("rejected")]
    # proto3 JSON writes 64 bits as text.
    return int(counts[0]) if counts else 0


def _field(message: bytes, wanted: int) -> int | bytes | None:
    """Return the last value of a field of a protobuf message, None when it is absent."""
    found: int | bytes | None = None
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _value(message, at, tag & 7)
        if tag >> 3 == wanted:
            found = value
    return found


def _value(message: bytes, at: int, kind: int) -> tuple[int | bytes, int]:
    if kind == 0:
        return _varint(message, at)
    if kind == 2:
        length, at = _varint(message, at)
    else:
        length = {1: 8, 5: 4}.get(kind, len(message) + 1)
    if at + length > len(message):
        raise ValueError("the answer is not protobuf")
    return message[at : at + length], at + length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("the answer is not protobuf")
