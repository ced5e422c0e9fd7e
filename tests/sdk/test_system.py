"""Process and host as metrics."""

from __future__ import annotations

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_INIT = """
import sys
from sloburn import init_telemetry
telemetry = init_telemetry(service_name="s", endpoint=sys.argv[1], system_metrics=True)
"""


def test_process_and_host_are_measured() -> None:
    """What psutil sees leaves under OpenTelemetry's names, with plausible values."""
    pytest.importorskip("psutil")
    with Collector() as collector:
        succeed(_INIT + "assert not telemetry.status().problems\ntelemetry.shutdown()", collector.endpoint)
        names = {point.name for point in collector.arrivals.points.values()}
        wanted = {"process.cpu.time", "process.memory.usage", "process.thread.count", "system.cpu.time",
                  "system.memory.usage", "system.memory.utilization", "cpython.gc.collections"}  # fmt: skip
        assert wanted <= names
        assert 10_000_000 < collector.total("process.memory.usage") < 2_000_000_000
        assert 0 < collector.total("system.memory.utilization") <= 3
        modes = {p.attributes["cpu.mode"] for p in collector.arrivals.points.values() if p.name == "process.cpu.time"}
        assert modes == {"user", "system"}


def test_without_psutil() -> None:
    """Without psutil the service starts all the same, and the status says what to install."""
    succeed(
        "import sys; sys.modules['psutil'] = None\n"
        + _INIT
        + """
assert telemetry.status().problems == ("system metrics need psutil: pip install 'sloburn[system]'",)
telemetry.shutdown(0.1)
""",
        "http://127.0.0.1:9",
    )
