"""Protobuf's wire format, straight to bytes: values, attributes, resources and scopes of OTLP.

A protobuf library builds an object for every field before it writes a byte, 20 to 44 us per span under the host's
interpreter lock. What OTLP needs of the format fits on this page, and pairs that come with every request, such as
``http.request.method=GET``, are encoded once.
https://protobuf.dev/programming-guides/encoding/
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

# How deep a value may be: receivers refuse messages that are nested 100 deep, a level of a mapping nests three, and an
# exemplar's attribute is the ninth.
_DEEPEST = 30
_MOST_CACHED_PAIRS = 2048
_LONGEST_CACHED_VALUE = 64
_LEAST_INT, _MOST_INT = -(2**63), 2**63 - 1
_BYTE: Final = tuple(bytes([number]) for number in range(128))

pack_double = struct.Struct("<d").pack
pack_fixed64 = struct.Struct("<Q").pack


def varint(value: int) -> bytes:
    """Encode a number of base 128; negative ones take ten bytes, as int64 and enum want it."""
    if 0 <= value < 128:
        return _BYTE[value]
    value &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def block(tag: bytes, body: bytes) -> bytes:
    """Encode a field that has a length: text, bytes, a message or packed numbers."""
    return tag + varint(len(body)) + body


def text(tag: bytes, value: str | None) -> bytes:
    """Encode a text field, nothing when it is empty."""
    return block(tag, utf8(value)) if value else b""


def number(tag: bytes, value: int) -> bytes:
    """Encode a whole number, nothing when it is zero."""
    return tag + varint(value) if value else b""


def fixed64(tag: bytes, value: int | None) -> bytes:
    """Encode a time in nanoseconds, nothing when it is zero or unknown."""
    return tag + pack_fixed64(value) if value else b""


def utf8(value: str) -> bytes:
    """Encode text; half a surrogate pair, which is no Unicode, becomes a question mark."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def any_value(value: object, depth: int = 0) -> bytes:
    """Encode the body of an ``AnyValue``; what OTLP has no type for becomes text."""
    if isinstance(value, str):
        return block(b"\x0a", utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int) and _LEAST_INT <= value <= _MOST_INT:
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + pack_double(value)
    return b"" if value is None else _compound(value, depth)


def _compound(value: object, depth: int) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        return block(b"\x3a", bytes(value))
    if depth < _DEEPEST and isinstance(value, Sequence):
        return block(b"\x2a", b"".join([block(b"\x0a", any_value(item, depth + 1)) for item in value]))
    if depth < _DEEPEST and isinstance(value, Mapping):
        pairs = [block(b"\x0a", _key_value(str(key), item, depth + 1)) for key, item in value.items()]
        return block(b"\x32", b"".join(pairs))
    return block(b"\x0a", utf8(str(value)))


def _key_value(key: str, value: object, depth: int = 0) -> bytes:
    return block(b"\x0a", utf8(key)) + block(b"\x12", any_value(value, depth))


class PairCache(dict[tuple[str, str | int], bytes]):
    """Encodes pairs of a key and a value of one type, with their length, and remembers the short ones up to a bound."""

    def __missing__(self, pair: tuple[str, str | int]) -> bytes:
        """Encode a pair that was not met before."""
        key, value = pair
        body = _key_value(key, value)
        encoded = varint(len(body)) + body
        if len(self) >= _MOST_CACHED_PAIRS:
            self.clear()
        if len(encoded) <= _LONGEST_CACHED_VALUE:
            self[pair] = encoded
        return encoded


# One for each type: 1 and True and 1.0 are the same key.
_TEXTS, _INTS = PairCache(), PairCache()


def attributes(tag: bytes, pairs: Mapping[str, object] | None) -> bytes:
    """Encode attributes as a repeated field; one whose value fails when it is looked at says so in its place."""
    if not pairs:
        return b""
    encoded = [tag]
    # The SDK's mapping takes a lock and a call for each item; its copy is a plain dictionary.
    plain: Mapping[str, Any] = pairs.copy() if hasattr(pairs, "copy") else dict(pairs)
    for key, value in plain.items():
        kind = type(value)
        if kind is str:
            encoded.append(_TEXTS[key, value])
        elif kind is int and _LEAST_INT <= value <= _MOST_INT:
            encoded.append(_INTS[key, value])
        else:
            encoded.append(_pair(key, value))
        encoded.append(tag)
    encoded.pop()
    return b"".join(encoded)


def _pair(key: str, value: object) -> bytes:
    try:
        body = _key_value(key, value)
    except Exception:
        body = _key_value(key, f"<{type(value).__name__} that cannot be shown>")
    return varint(len(body)) + body


def resource(tag: bytes, value: Resource) -> bytes:
    """Encode a resource as a message field."""
    return block(tag, attributes(b"\x0a", value.attributes))


def scope(tag: bytes, value: InstrumentationScope | None) -> bytes:
    """Encode an instrumentation scope as a message field."""
    if value is None:
        return block(tag, b"")
    return block(tag, text(b"\x0a", value.name) + text(b"\x12", value.version) + attributes(b"\x1a", value.attributes))


# Where a span or log record belongs.
Group = tuple[Resource, InstrumentationScope | None]
_MOST_GROUPS = 256


class Groups:
    """Makes one and the same pair of the same resource and scope, so that there is no new pair for each item."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Group] = {}

    def of(self, owner: Resource, library: InstrumentationScope | None) -> Group:
        """Return where an item belongs."""
        return self._known.get((id(owner), id(library))) or self._add(owner, library)

    def _add(self, owner: Resource, library: InstrumentationScope | None) -> Group:
        if len(self._known) >= _MOST_GROUPS:
            self._known.clear()
        # The pair keeps both objects alive, so that their ids are not given to others.
        group = self._known[id(owner), id(library)] = (owner, library)
        return group


def as_it_is(owner: Resource) -> Resource:
    """Return the resource that an item came with."""
    return owner


def grouped(items: Iterable[tuple[Group, bytes]], resource_of: Callable[[Resource], Resource] = as_it_is) -> bytes:
    """Encode a whole request: items under their scopes under their resources.

    The three requests are shaped alike: ``resource_x = 1 {resource = 1, scope_x = 2 {scope = 1, x = 2, schema_url = 3},
    schema_url = 3}``.

    Args:
        items: The encoded field of each item, with its tag, and where it belongs.
        resource_of: Returns the resource to send for the one that an item came with.
    """
    by_group: dict[int, tuple[Group, list[bytes]]] = {}
    for place, item in items:
        # Hashing a resource walks all its attributes; within one batch the pairs are the same objects.
        by_group.setdefault(id(place), (place, []))[1].append(item)
    tree: dict[Resource, dict[InstrumentationScope | None, list[bytes]]] = {}
    for (owner, library), encoded in by_group.values():
        tree.setdefault(resource_of(owner), {}).setdefault(library, []).extend(encoded)
    return b"".join([block(b"\x0a", _under_resource(owner, scopes)) for owner, scopes in tree.items()])


def _under_resource(owner: Resource, scopes: Mapping[InstrumentationScope | None, list[bytes]]) -> bytes:
    parts = [block(b"\x12", _under_scope(library, items)) for library, items in scopes.items()]
    return resource(b"\x0a", owner) + b"".join(parts) + text(b"\x1a", owner.schema_url)


def _under_scope(library: InstrumentationScope | None, items: list[bytes]) -> bytes:
    return scope(b"\x0a", library) + b"".join(items) + text(b"\x1a", library.schema_url if library else None)
