"""Bodies for the fuzzer: valid OTLP requests that look like real ones, and what may be done to them."""

from __future__ import annotations

import base64
import gzip
import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.payloads import SpanBody, logs_body, metrics_body
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_JSON, _PROTOBUF = b"application/json", b"application/x-protobuf"
_TYPES = (_JSON, _PROTOBUF, b"application/json; charset=utf-8", b"APPLICATION/JSON", b"text/plain", b"", b"\xff", b";")
_CODINGS = (b"gzip", b"zstd", b"identity", b"", b"br", b"GZIP", b"gzip, gzip", b"\xfe")
_PATHS = ("/v1/traces", "/v1/metrics", "/v1/logs")
_ODD_PATHS = ("/", "/v1/traces/", "/v1/profiles", "/v1/\udcff", "")
_ODD_METHODS = ("GET", "PUT", "OPTIONS", "HEAD", "PATCH", "x")

# What breaks parsers: the largest varints, lengths that overrun, groups, field zero, wire types that do not exist.
_BYTES = (
    b"\x00",
    b"\xff",
    b"\x80" * 10,
    b"\xff" * 9 + b"\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\x0b",
    b"\x0c",
    b"\x07",
    b"\x0a\x00",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
)
_TOKENS = (
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"NaN",
        b"0.1",
        b"18446744073709551616",
        b"-9223372036854775809",
        b'"\\ud800"',
    ),
    *(b"{}", b"[]", b'""', b'"x"', b'"zz"', b"[[]]", b'{"a":', b"]", b"}", b",", b":", b'"', b"\\", b"\x00", b"\xff"),
    *(b'"0x1p3"', b'"Infinity"', b"9" * 400, b'{"stringValue":{}}', b'{"kvlistValue":{"values":[null]}}'),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One request: method, path, headers and body."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Bodies:
    """Makes requests: some valid, most damaged.

    Args:
        seed: Decides everything.
        now: Nanoseconds since the epoch; about then the events end.
    """

    def __init__(self, seed: int, now: int) -> None:
        self._rnd = random.Random(seed)
        self._seeds = [
            (_PATHS[kind], encoding, body)
            for size in (1, 2, 5)
            for kind, plain in enumerate(_valid(size, now))
            for encoding, body in ((_PROTOBUF, plain.SerializeToString()), (_JSON, _json(plain)))
        ]

    def case(self) -> Case:
        """Return the next request."""
        rnd = self._rnd
        path, encoding, body = rnd.choice(self._seeds)
        for _ in range(rnd.choice((0, 0, 1, 1, 1, 2, 3, 8))):
            body = rnd.choice(_CHANGES)(rnd, body, self._seeds)
        coding = b""
        if rnd.random() < 0.3:
            coding, body = _compressed(rnd, body)
        if rnd.random() < 0.06:
            encoding = rnd.choice(_TYPES)
        if rnd.random() < 0.04:
            coding = rnd.choice(_CODINGS)
        odd = rnd.random() < 0.02
        return Case(
            rnd.choice(_ODD_METHODS) if odd and rnd.random() < 0.5 else "POST",
            rnd.choice(_ODD_PATHS) if odd else rnd.choice(_PATHS) if rnd.random() < 0.03 else path,
            ((b"content-type", encoding), *(((b"content-encoding", coding),) if coding else ())),
            body,
        )


def _valid(size: int, now: int) -> tuple[Message, ...]:
    """Return requests of spans, data points and log records."""
    return (
        ExportTraceServiceRequest.FromString(SpanBody(size, "shop", size).fresh(now)),
        ExportMetricsServiceRequest.FromString(metrics_body(now, now - 10**9, size, size)),
        ExportLogsServiceRequest.FromString(logs_body(now, size)),
    )


def _json(message: Message) -> bytes:
    """Return OTLP's JSON: ids are hexadecimal."""
    text = MessageToJson(message, indent=None, use_integers_for_enums=True)
    return re.sub(r'(?<=Id": ")[^"]*', lambda found: base64.b64decode(found[0]).hex(), text).encode()


def _compressed(rnd: random.Random, body: bytes) -> tuple[bytes, bytes]:
    """Return a content coding and the compressed body; now and then damaged, doubled or under another name."""
    coding: bytes = rnd.choice((b"gzip", b"zstd"))
    packed = gzip.compress(body, 1) if coding == b"gzip" else zstd.compress(body, 1)
    chance = rnd.random()
    if chance < 0.1:
        packed = _flip(rnd, packed, ())
    elif chance < 0.15:
        packed += packed
    elif chance < 0.2:
        packed = packed[: rnd.randrange(len(packed))]
    return coding, packed


def _flip(rnd: random.Random, body: bytes, _: object) -> bytes:
    if not body:
        return body
    changed = bytearray(body)
    changed[rnd.randrange(len(changed))] ^= 1 << rnd.randrange(8)
    return bytes(changed)


def _set(rnd: random.Random, body: bytes, _: object) -> bytes:
    at = rnd.randrange(len(body) + 1)
    return body[:at] + rnd.randbytes(1) + body[at + 1 :]


def _cut(rnd: random.Random, body: bytes, _: object) -> bytes:
    return body[: rnd.randrange(len(body) + 1)]


def _remove(rnd: random.Random, body: bytes, _: object) -> bytes:
    at = rnd.randrange(len(body) + 1)
    return body[:at] + body[at + rnd.randrange(1, 20) :]


def _repeat(rnd: random.Random, body: bytes, _: object) -> bytes:
    at = rnd.randrange(len(body) + 1)
    piece = body[at : at + rnd.randrange(1, 60)]
    return body[:at] + piece * rnd.choice((2, 2, 5, 30)) + body[at:]


def _insert(rnd: random.Random, body: bytes, _: object) -> bytes:
    at = rnd.randrange(len(body) + 1)
    return body[:at] + rnd.choice(_TOKENS if body[:1] == b"{" else _BYTES) + body[at:]


def _value(rnd: random.Random, body: bytes, _: object) -> bytes:
    """Put something else in the place of a JSON value, or of a byte that is not JSON."""
    at = body.find(b":", rnd.randrange(len(body) + 1)) + 1
    if body[:1] != b"{" or not at:
        return _set(rnd, body, ())
    ends = [end for end in (body.find(mark, at) for mark in (b",", b"}", b"]")) if end > 0]
    return body[:at] + rnd.choice(_TOKENS) + body[min(ends, default=at) :]


def _splice(rnd: random.Random, body: bytes, seeds: object) -> bytes:
    other = rnd.choice(seeds)[2] if isinstance(seeds, list) else body
    return body[: rnd.randrange(len(body) + 1)] + other[rnd.randrange(len(other) + 1) :]


def _nest(rnd: random.Random, body: bytes, _: object) -> bytes:
    depth = rnd.choice((50, 500, 3000))
    if body[:1] == b"{":
        return b'{"resourceSpans":' + b"[" * depth + b"]" * rnd.choice((depth, 0)) + b"}"
    return b"\x0a\x02" * min(depth, 500) + body


_CHANGES: tuple[Callable[[random.Random, bytes, object], bytes], ...] = (
    *(_flip, _set, _cut, _remove, _repeat, _insert, _insert, _value, _value, _splice),
    *(_flip, _set, _remove, _repeat, _insert, _value, _splice),
    *(_flip, _set, _insert, _value, _value, _flip, _set, _nest),
)
