"""The processor's own gauges."""

from __future__ import annotations

from sloburn.duration import SECOND
from sloburn.server.samples import seen_samples
from sloburn.sli.dedupe import HOLD_NS, SeenKeys, span_key
from sloburn.slo import naming
from tests.sli.harness import NOW


def test_what_is_remembered_shows() -> None:
    """How many spans are remembered, in how many bytes, and for how long a repeat is recognised."""
    seen = SeenKeys()
    seen.add({0: {span_key(bytes(16), bytes(8))}}, NOW)
    found = {sample.name: sample.value for sample in seen_samples(seen, NOW)}
    assert found == {
        naming.SEEN_SPANS: 1,
        naming.SEEN_BYTES: 112,
        naming.SEEN_HORIZON_SECONDS: HOLD_NS / SECOND,
    }
