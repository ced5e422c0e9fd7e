"""Gzip, bounded: a small body may claim to be a huge one (RFC 1952; OTLP limits hold after inflation)."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from sloburn.errors import BodyTooLarge, MalformedBody

_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 1024 * 1024  # zlib copies what is left of a piece at the end of each member: keep it small
_STEP_BYTES = 4 * 1024 * 1024
_MOST_MEMBERS = 1000  # a member costs 20 bytes and a new inflater: millions of them would be an attack


def inflate(body: bytes, limit_bytes: int, grow: Callable[[int], None]) -> bytes:
    """Return what a gzip body holds; all its members, if it has several.

    Args:
        body: One or more gzip members, and nothing else.
        limit_bytes: The most that may come out.
        grow: Told how many bytes came out, step by step; what it raises ends the work.

    Raises:
        MalformedBody: It is no gzip, damaged, cut short, or something follows it.
        BodyTooLarge: More than the limit would come out; no more than that is ever in memory.
    """
    chunks: list[bytes] = []
    room, members, stream = limit_bytes, 1, zlib.decompressobj(_GZIP_FORMAT)
    view = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        rest: bytes | memoryview = view[start : start + _PIECE_BYTES]
        while rest:
            if stream.eof:
                members, stream = _next_member(members)
            chunk = _step(stream, rest, min(_STEP_BYTES, room + 1))
            room -= len(chunk)
            if room < 0:
                raise BodyTooLarge(f"the body inflates to more than the limit of {limit_bytes} bytes")
            grow(len(chunk))
            chunks.append(chunk)
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise MalformedBody("the gzip body ends early")
    return b"".join(chunks)


def _step(stream: zlib._Decompress, rest: bytes | memoryview, most_bytes: int) -> bytes:
    """Inflate at most so many bytes."""
    try:
        return stream.decompress(rest, most_bytes)
    except zlib.error as error:
        raise MalformedBody(f"the gzip body is damaged, or something follows it: {error}") from None


def _next_member(members: int) -> tuple[int, zlib._Decompress]:
    """Return the number of members with one more, and its inflater."""
    if members == _MOST_MEMBERS:
        raise MalformedBody(f"the gzip body has more than {_MOST_MEMBERS} members")
    return members + 1, zlib.decompressobj(_GZIP_FORMAT)
