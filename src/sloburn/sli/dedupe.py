"""What was counted already: delivery is at-least-once, counting is once.

A sender that misses an answer sends again (opentelemetry-proto, OTLP/HTTP "Duplicate Data"), perhaps regrouped or over
another path, so spans are known by their own ids and not by the request that carried them.
"""

from __future__ import annotations

from collections.abc import Iterable

SPAN_KEY_BYTES = 16
DEFAULT_CAPACITY = 1_000_000


def span_key(trace_id: bytes, span_id: bytes) -> bytes:
    """Return 16 bytes that identify a span: the random half of the trace id (W3C Trace Context), then the span id."""
    return trace_id[-8:] + span_id


class SeenKeys:
    """The newest keys, in two generations: when the younger is full, the older is forgotten.

    Args:
        capacity: How many keys are remembered at the most; at least half as many always are. A key costs about 120
            bytes.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._half = max(1, capacity // 2)
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._young or key in self._old

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, keys: Iterable[bytes]) -> None:
        """Remember keys."""
        self._young.update(keys)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
