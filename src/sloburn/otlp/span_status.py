"""The status of a span, out of its wire form: most spans have none, and a parsed message costs more than all else.

Source: opentelemetry-proto, trace.proto, ``message Status { string message = 2; StatusCode code = 3; }``.
"""

from __future__ import annotations

_MESSAGE, _CODE = 2 << 3 | 2, 3 << 3 | 0
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FAILED = -1


def read_status(raw: bytes) -> tuple[int, str]:
    """Return code and message; what cannot be read is 0 and empty. Never raises.

    Args:
        raw: The serialized Status.
    """
    code, message, at = 0, "", 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        kind = tag & 7
        if at == _FAILED or kind not in (_VARINT, _FIXED64, _LENGTH, _FIXED32):
            return 0, ""
        number, end = _varint(raw, at) if kind in (_VARINT, _LENGTH) else (0, at + (8 if kind == _FIXED64 else 4))
        begin = end
        if kind == _LENGTH and end != _FAILED:
            end += number
        if end == _FAILED or end > len(raw):
            return 0, ""
        if tag == _CODE:
            code = number
        elif tag == _MESSAGE:
            message = raw[begin:end].decode("utf-8", "replace")
        at = end
    return code, message


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends; `_FAILED` where it does not."""
    value = 0
    for shift, byte in enumerate(raw[at : at + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    return 0, _FAILED
