"""Digests of attributes: equal sets give equal bytes, in whatever order they came."""

from __future__ import annotations

import hashlib

from sloburn.otlp.messages import Attributes

DIGEST_BYTES = 16


def digest_of(attributes: Attributes) -> bytes:
    """Return a digest of keys and values."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for key in sorted(attributes):
        digest.update(b"\x00" + key.encode() + b"\x00" + attributes[key])
    return digest.digest()
