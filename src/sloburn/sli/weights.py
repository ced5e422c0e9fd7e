"""For how many spans a sampled one stands.

A sampler that follows OpenTelemetry's consistent probability sampling writes into the trace state which share of the
traces it rejected: ``ot=th:<hex>``, of 2**56. A span then stands for 2**56 / (2**56 - th) spans.

That is a whole number for one in n where n is a power of two, and hardly ever else. Ledgers hold whole events, so a
span is counted with the whole number below or above, by a draw that is right in the mean: its odds are the fraction to
the last of 64 bits, and it is made with the span's own id, so a span counts the same whenever and wherever it is
counted. Rounding adds at most half an event per square root of the sampled spans to the standard error, next to nothing
beside that of sampling itself.

Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
"""

from __future__ import annotations

import re
from math import isqrt

MAX_WEIGHT = 2**20
"""A span that claims to stand for more is refused: one sender could fill every ledger with one request."""

KEPT_KEY = "sloburn.sampling"
KEPT_VALUE = b"\x0a\x04kept"  # the text "kept" as a serialized AnyValue: see sloburn.sdk.sampling

_DIGITS = 14
_TRACES = 1 << 4 * _DIGITS
_THRESHOLD = re.compile(rb"(?:^|,)[ \t]*ot=(?:[^,;]*;)*?th:([0-9a-f]{1,14})[ \t]*(?:[;,]|$)")
_ID_BITS = 64
_SPREAD = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: ids that follow each other draw numbers that are spread evenly


def weight_of(trace_state: bytes, span_id: bytes) -> int:
    """Return for how many spans one stands: 1 where nothing, or nothing that can be read, says otherwise.

    Args:
        trace_state: As it came.
        span_id: Its 8 bytes.
    """
    found = _THRESHOLD.search(trace_state)
    if found is None:
        return 1
    kept = _TRACES - int(found[1].ljust(_DIGITS, b"0"), 16)
    weight, rest = divmod(_TRACES, kept)
    if rest and _draw(span_id) * kept < rest << _ID_BITS:
        weight += 1
    return weight


def margin(events: int, weight: int) -> int:
    """Return how far the truth may be from so many weighted events: two standard errors of sampling, rounded up.

    Args:
        events: As they were counted.
        weight: For how many the heaviest span stands.
    """
    return isqrt(4 * events * (weight - 1)) + 1


def _draw(span_id: bytes) -> int:
    return int.from_bytes(span_id, "big") * _SPREAD & ((1 << _ID_BITS) - 1)
