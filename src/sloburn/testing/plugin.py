"""The pytest plugin: one fixture. It is loaded in every run of pytest, so it imports nothing until it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sloburn.testing.capture import Capture


@pytest.fixture
def captured_telemetry() -> Iterator[Capture]:
    """Everything that the test emits: spans, metrics and logs, with the same ids in every run."""
    from sloburn.testing.capture import capture_telemetry

    with capture_telemetry() as captured:
        yield captured
