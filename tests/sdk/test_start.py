"""What a start leaves alone: the collector of garbage that it pauses."""

from __future__ import annotations

import pytest

from tests.sdk.processes import succeed

_START = """
import gc, weakref
class Ring:
    def __init__(self): self.ring = self
looks = []
{before}
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]))
from sloburn import get_logger, init_telemetry
init_telemetry(endpoint="http://127.0.0.1:1", shutdown_timeout=0.1)
gc.callbacks.clear()
"""


def test_start_looks_for_no_garbage() -> None:
    """Nobody walks all that the host consists of while telemetry starts; afterwards the collector works as before."""
    code = """
assert set(looks) <= {0, 1}, looks
assert gc.isenabled() and gc.get_freeze_count() == 0
ring = weakref.ref(Ring())
gc.collect()
assert early() is None and ring() is None
"""
    succeed(_START.format(before="early = weakref.ref(Ring())") + code)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gc.disable()", "assert not gc.isenabled()"),
        (
            "gc.freeze(); frozen = gc.get_freeze_count()",
            "assert frozen > 1000 and gc.get_freeze_count() >= frozen - 50",
        ),
    ],
    ids=["disabled", "frozen"],
)
def test_collector_stays_as_the_host_has_set_it(before: str, after: str) -> None:
    """A collector that is off stays off, and what the host has put aside stays there."""
    succeed(_START.format(before=before) + after)


def test_collector_works_after_a_start_that_fails() -> None:
    """Where OpenTelemetry cannot be imported the collector is on again all the same."""
    succeed(
        """
import gc, sys
from sloburn import init_telemetry
sys.modules["opentelemetry.sdk.trace"] = None
assert init_telemetry().problems and gc.isenabled()
"""
    )
