"""Which format a scraper gets: the one it likes best of those that there are."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

_OPENMETRICS = "application/openmetrics-text"
_TEXT = ("text/plain", "text/*", "*/*", "")
_SMALLEST_PACKED_BYTES = 1024


def wants_openmetrics(accept: str) -> bool:
    """Tell from an ``Accept`` header whether OpenMetrics is wanted; the format of old is what everybody reads."""
    weights = dict(_weights(accept))
    openmetrics = weights.get(_OPENMETRICS, 0.0)
    text = max((weights[kind] for kind in _TEXT if kind in weights), default=0.0)
    return openmetrics > 0 and openmetrics >= text


def pack(body: bytes, accept_encoding: str) -> tuple[bytes, str]:
    """Compress a body when the client can read that and it is worth it.

    Returns:
        The body, and the name of its encoding; empty when it is as it was.
    """
    is_read = dict(_weights(accept_encoding)).get("gzip", 0.0) > 0
    if not is_read or len(body) < _SMALLEST_PACKED_BYTES:
        return body, ""
    return gzip.compress(body, compresslevel=4), "gzip"


def _weights(header: str) -> Iterator[tuple[str, float]]:
    """Yield what a header lists, the best version of each only, with its weight."""
    found: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name == _OPENMETRICS and "version=2.0.0" in parameters:
            continue
        weight = next((_weight(given) for given in parameters if given.startswith("q=")), 1.0)
        found[name] = max(weight, found.get(name, 0.0))
    yield from found.items()


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0
