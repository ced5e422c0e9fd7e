"""Attribute values as text that is kept: bounded, whatever a sender puts into them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sloburn.sli.select import Attribute

MAX_VALUE = 200
"""Characters of a value that is kept as a group or as a trait."""

_KEPT = 180
_DIGEST_BYTES = 8
_BYTES_OF_ONE = 1024


def spelled(value: Attribute) -> str:
    """Return a value as text of at most `MAX_VALUE` characters; booleans are written as OpenTelemetry does, ``true``.

    A longer one is cut, with a digest of the whole at its end: two long values stay two, over restarts too.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) <= MAX_VALUE:
        return text
    whole = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    return f"{text[:_KEPT]}…{whole.hexdigest()}"


def load_of(values: Iterable[object]) -> int:
    """Return for how many usual combinations of values one stands in memory: 1, and 1 more for every KiB of text."""
    return 1 + sum(len(value) for value in values if isinstance(value, bytes | str)) // _BYTES_OF_ONE
