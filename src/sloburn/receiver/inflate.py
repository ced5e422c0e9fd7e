"""Gzip, bounded (RFC 1952)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from sloburn.otlp.unpack import Codec, unpack


def _left(stream: Any) -> bytes:  # noqa: ANN401  zlib names its inflater nowhere
    tail: bytes = stream.unconsumed_tail
    return tail


_GZIP = Codec(
    name="gzip",
    parts="members",
    open=lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    error=zlib.error,
    left=_left,
    holds=lambda _: False,
)


def inflate(body: bytes, limit_bytes: int, grow: Callable[[int], None]) -> bytes:
    """Return what a gzip body holds; arguments and errors are those of `unpack`."""
    return unpack(_GZIP, body, limit_bytes, grow)
