"""Compressed bodies, bounded: a small one may claim to be a huge one (OTLP limits hold after inflation)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sloburn.errors import BodyTooLarge, MalformedBody

_PIECE_BYTES = 1024 * 1024  # what follows a part is copied at its end: keep it small
_STEP_BYTES = 4 * 1024 * 1024
_MOST_PARTS = 1000  # a part costs some 10 bytes and a new inflater: millions of them would be an attack


class Stream(Protocol):
    """Inflates one part; zlib's and zstd's have this in common."""

    @property
    def eof(self) -> bool:
        """Whether the part ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What follows the end of the part."""
        ...

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        """Inflate at most so many bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A compression whose bodies are parts one behind the other.

    Args:
        name: For messages.
        parts: What its parts are called.
        open: Makes the inflater of a part.
        error: What that raises for damaged bytes.
        left: Which of the bytes that it was given it wants again.
        holds: Whether it has more to say without being given anything.
    """

    name: str
    parts: str
    open: Callable[[], Stream]
    error: type[Exception]
    left: Callable[[Stream], bytes]
    holds: Callable[[Stream], bool]


def unpack(codec: Codec, body: bytes, limit_bytes: int, grow: Callable[[int], None]) -> bytes:
    """Return what a compressed body holds; all its parts, if it has several.

    Args:
        codec: How it is compressed.
        body: One or more parts, and nothing else.
        limit_bytes: The most that may come out.
        grow: Told how many bytes came out, step by step; what it raises ends the work.

    Raises:
        MalformedBody: It is something else, damaged, cut short, or something follows it.
        BodyTooLarge: More than the limit would come out; no more than that is ever in memory.
    """
    chunks: list[bytes] = []
    room, parts, stream = limit_bytes, 1, codec.open()
    view = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        rest: bytes | memoryview = view[start : start + _PIECE_BYTES]
        while rest or codec.holds(stream):
            if stream.eof:
                parts, stream = _next(codec, parts)
            chunk = _step(codec, stream, rest, min(_STEP_BYTES, room + 1))
            room -= len(chunk)
            if room < 0:
                raise BodyTooLarge(f"the body inflates to more than the limit of {limit_bytes} bytes")
            grow(len(chunk))
            chunks.append(chunk)
            rest = stream.unused_data if stream.eof else codec.left(stream)
    if not stream.eof:
        raise MalformedBody(f"the {codec.name} body ends early")
    return b"".join(chunks)


def _step(codec: Codec, stream: Stream, rest: bytes | memoryview, most_bytes: int) -> bytes:
    try:
        return stream.decompress(rest, most_bytes)
    except codec.error as error:
        raise MalformedBody(f"the {codec.name} body is damaged, or something follows it: {error}") from None


def _next(codec: Codec, parts: int) -> tuple[int, Stream]:
    """Return the number of parts with one more, and its inflater."""
    if parts == _MOST_PARTS:
        raise MalformedBody(f"the {codec.name} body has more than {_MOST_PARTS} {codec.parts}")
    return parts + 1, codec.open()
