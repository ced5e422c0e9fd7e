"""Zstandard, bounded (RFC 8878)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from sloburn.otlp.unpack import Codec, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x28\xb5\x2f\xfd"
"""The first bytes of a frame (RFC 8878, section 3.1.1)."""

ZstdError = zstd.ZstdError

# RFC 9659: over HTTP a frame's window is 8 MiB at the most, so no frame can demand more memory than that. A file is
# what its owner chose to write; the library's own limit, 128 MiB, is enough there.
_WIRE_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


def _holds(stream: Any) -> bool:  # noqa: ANN401  the type has two homes, by version of Python
    return not (stream.needs_input or stream.eof)


_ZSTD = Codec(
    name="zstd",
    parts="frames",
    open=lambda: zstd.ZstdDecompressor(options=_WIRE_OPTIONS),
    error=zstd.ZstdError,
    left=lambda _: b"",  # what is not worked off yet, the stream keeps itself
    holds=_holds,
)


def unzstd(body: bytes, limit_bytes: int, grow: Callable[[int], None]) -> bytes:
    """Return what a zstd body holds; arguments and errors are those of `unpack`."""
    return unpack(_ZSTD, body, limit_bytes, grow)


def open_zstd(file: BinaryIO) -> BinaryIO:
    """Return what a zstd file holds, as a file; reading raises `ZstdError` or EOFError where it is damaged."""
    return cast(BinaryIO, zstd.ZstdFile(file))
