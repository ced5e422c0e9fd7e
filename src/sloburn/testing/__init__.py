"""For those who test: see what code emits, with ids and times that are the same in every run.

As a pytest fixture::

    def test_order(captured_telemetry):
        client.post("/orders")
        captured_telemetry.assert_span("POST /orders", {"http.response.status_code": 201})
        captured_telemetry.assert_metric("orders", 1, {"country": "de"})
        captured_telemetry.assert_log("order placed", {"level": "info"})

and without pytest::

    with capture_telemetry() as captured:
        ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sloburn.testing.capture import Capture, capture_telemetry
    from sloburn.testing.records import CapturedLog, CapturedMetric, CapturedSpan

_HOMES = {
    "Capture": "sloburn.testing.capture",
    "CapturedLog": "sloburn.testing.records",
    "CapturedMetric": "sloburn.testing.records",
    "CapturedSpan": "sloburn.testing.records",
    "capture_telemetry": "sloburn.testing.capture",
}

__all__ = ["Capture", "CapturedLog", "CapturedMetric", "CapturedSpan", "capture_telemetry"]


def __getattr__(name: str) -> object:
    """Load a name when it is first used: pytest loads the plugin in every run, and with it this package."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
