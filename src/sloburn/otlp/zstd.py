"""Zstandard, bounded: a small body may claim to be a huge one (RFC 8878; OTLP limits hold after inflation)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import BinaryIO, cast

from sloburn.errors import BodyTooLarge, MalformedBody

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x28\xb5\x2f\xfd"
"""The first bytes of a frame (RFC 8878, section 3.1.1)."""

ZstdError = zstd.ZstdError

_PIECE_BYTES = 1024 * 1024  # what follows a frame is copied at its end: keep it small
_STEP_BYTES = 4 * 1024 * 1024
_MOST_FRAMES = 1000  # a frame costs 9 bytes and a new inflater: millions of them would be an attack

# RFC 9659: over HTTP a frame's window is 8 MiB at the most, so no frame can demand more memory than that. A file is
# what its owner chose to write; the library's own limit, 128 MiB, is enough there.
_WIRE_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


def unzstd(body: bytes, limit_bytes: int, grow: Callable[[int], None]) -> bytes:
    """Return what a zstd body holds; all its frames, if it has several.

    Args:
        body: One or more frames, and nothing else.
        limit_bytes: The most that may come out.
        grow: Told how many bytes came out, step by step; what it raises ends the work.

    Raises:
        MalformedBody: It is no zstd, damaged, cut short, or something follows it.
        BodyTooLarge: More than the limit would come out; no more than that is ever in memory.
    """
    chunks: list[bytes] = []
    room, frames, stream = limit_bytes, 1, _stream()
    view = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        rest: bytes | memoryview = view[start : start + _PIECE_BYTES]
        while rest or not (stream.needs_input or stream.eof):
            if stream.eof:
                frames, stream = _next_frame(frames)
            chunk = _step(stream, rest, min(_STEP_BYTES, room + 1))
            room -= len(chunk)
            if room < 0:
                raise BodyTooLarge(f"the body inflates to more than the limit of {limit_bytes} bytes")
            grow(len(chunk))
            chunks.append(chunk)
            rest = stream.unused_data if stream.eof else b""  # what is not worked off yet, the stream keeps itself
    if not stream.eof:
        raise MalformedBody("the zstd body ends early")
    return b"".join(chunks)


def open_zstd(file: BinaryIO) -> BinaryIO:
    """Return what a zstd file holds, as a file; reading raises `ZstdError` or EOFError where it is damaged."""
    return cast(BinaryIO, zstd.ZstdFile(file))


def _stream() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options=_WIRE_OPTIONS)


def _step(stream: zstd.ZstdDecompressor, rest: bytes | memoryview, most_bytes: int) -> bytes:
    """Inflate at most so many bytes."""
    try:
        return stream.decompress(rest, most_bytes)
    except zstd.ZstdError as error:
        raise MalformedBody(f"the zstd body is damaged, or something follows it: {error}") from None


def _next_frame(frames: int) -> tuple[int, zstd.ZstdDecompressor]:
    """Return the number of frames with one more, and its inflater."""
    if frames == _MOST_FRAMES:
        raise MalformedBody(f"the zstd body has more than {_MOST_FRAMES} frames")
    return frames + 1, _stream()
