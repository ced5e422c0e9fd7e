"""Zstandard for tests: what senders and recorders write."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zstd_of(plain: bytes) -> bytes:
    """Return a frame that says how much it holds."""
    return zstd.compress(plain)


def streamed_zstd_of(plain: bytes, *, window_log: int = 0) -> bytes:
    """Return a frame as the Collector writes it: the size is not known beforehand and there is a checksum.

    Args:
        plain: What it holds.
        window_log: Binary logarithm of the window; 0 for the library's choice.
    """
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.checksum_flag: 1}
    if window_log:
        options[parameter.window_log] = window_log
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(plain[:1]) + compressor.compress(plain[1:]) + compressor.flush()
