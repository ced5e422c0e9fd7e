"""A Collector that is dead, hangs, is slow, refuses or lies: the host notices nothing, and losses are known."""

from __future__ import annotations

import json
import signal

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sloburn.sdk.exporters.health import ExportHealth
from tests.sdk.collector import Collector
from tests.sdk.processes import free_port, started, stop, succeed, wait_until


@pytest.mark.parametrize(
    ("status", "fate"),
    [(401, "HTTP 401 Unauthorized): it is lost, as it is refused for good"), (503, "it is kept up to a bound")],
)
def test_line_says_whether_anything_is_kept(status: int, fate: str) -> None:
    """Whoever reads that telemetry cannot be delivered is told whether it is lost."""
    with Collector(statuses=(status,) * 100) as collector:
        code = _WORK.replace("timeout=0.5", "timeout=30") + "work()\ntelemetry.flush(30)"
        done = succeed(code, collector.endpoint)
    assert done.stdout.count(fate) == 1


def test_receiver_that_flaps_is_not_a_stream_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that fails every other request costs two lines a minute, and the rest is counted."""
    clock = iter(range(1000))
    health = ExportHealth(destination="the Collector", now=lambda: float(next(clock)))
    with caplog.at_level("INFO", "sloburn"):
        for _ in range(40):
            health.failed("traces", "HTTP 503")
            health.succeeded("traces", lost=0)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "cannot" in line] == [lines[0]]
    assert len(lines) == 2
    next(clock for second in clock if second > 60)
    with caplog.at_level("INFO", "sloburn"):
        health.failed("traces", "HTTP 503")
    assert "(39 short outages since the last line)" in caplog.records[-1].getMessage()


def test_outage_that_outlasts_the_quiet_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A second outage soon after the first is not announced at once, but when it lasts."""
    now = [0.0]
    health = ExportHealth(destination="the Collector", now=lambda: now[0])
    for second in (0.0, 10.0, 30.0, 59.0):
        now[0] = second
        health.failed("traces", "HTTP 503")
        if second == 0.0:
            health.succeeded("traces", lost=0)
    assert [record.getMessage().partition(" to ")[0] for record in caplog.records] == [
        "telemetry cannot be delivered",
        "telemetry is delivered",
    ]
    now[0] = 61.0
    health.failed("traces", "HTTP 503")
    health.succeeded("traces", lost=0)
    assert "(1 short outages since the last line)" in caplog.records[2].getMessage()
    assert "again after 51.0 s" in caplog.records[3].getMessage()


_FAMILY = """
import os, sys
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600, timeout=30, shutdown_timeout=2)
def child():
    if os.fork() == 0:
        telemetry.tracer.start_span("work").end()
        telemetry.flush(30)
        os._exit(0)
    os.wait()
for _ in range(3): child()
telemetry.tracer.start_span("work").end()
telemetry.flush(30)
for _ in range(3): child()
"""


def test_family_of_processes_says_it_once() -> None:
    """What one of several forked processes has said the others, older and younger, do not say again."""
    done = succeed(_FAMILY, f"http://127.0.0.1:{free_port()}")
    assert done.output.count("cannot be delivered") == 1


_PARENT = """
import os, sys, time
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=0.05, shutdown_timeout=1)
for _ in range(2):
    if os.fork() == 0:
        telemetry.tracer.start_span("work").end()
        telemetry.flush_in_child()
        os._exit(0)
    os.wait()
print("ready", flush=True)
while True: time.sleep(60)
"""


def test_parent_counts_what_is_lost_with_its_children() -> None:
    """Items that a forked process could not deliver before its end are lost, and its parent reports them later."""
    port = free_port()
    with started("-c", _PARENT, f"http://127.0.0.1:{port}") as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "ready" in lines.readline(), process)
        with Collector(port=port) as collector:
            collector.wait_for(lambda _: lost_of(collector) == 2)
            stop(process)


def test_end_of_an_outage_is_said_by_whoever_notices() -> None:
    """The child that began an outage is gone when it ends; one that lives says so, and the next outage is news."""
    with Collector(statuses=(503,) * 3) as collector:
        done = succeed(_FAMILY.replace("range(3)", "range(1)"), collector.endpoint)
    assert done.output.count("cannot be delivered") == 1
    assert done.output.count("is delivered") == 1


_WORK = """
import gc, os, resource, sys, time
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=0.1, timeout=0.5, shutdown_timeout=1)
counter = telemetry.meter.create_counter("work")
def work(text="x"):
    with telemetry.tracer.start_as_current_span("work", attributes={"text": text}):
        counter.add(1)
"""
# Gives up on nobody who is only slow: what is sent again arrives twice.
_PATIENT_WORK = _WORK.replace("timeout=0.5, shutdown_timeout=1", "timeout=30, shutdown_timeout=30")


def test_everything_lost_is_counted_and_reported_when_the_collector_returns() -> None:
    """After an outage with a full queue, what arrives and what is reported as lost sum up to what was done."""
    port = free_port()
    code = _PATIENT_WORK + "for _ in range(5000): work()\nprint('done', flush=True)\nwhile True: time.sleep(60)"
    variables = {"OTEL_BSP_MAX_QUEUE_SIZE": "1000"}
    with started("-c", code, f"http://127.0.0.1:{port}", extra=variables) as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "done" in lines.readline(), process)
        with Collector(port=port) as collector:
            collector.wait_for(lambda _: collector.total("work") == 5000)
            collector.wait_for(lambda seen: len([span for span in seen.spans if span.name == "work"]) >= 1000)
            collector.wait_for(lambda _: lost_of(collector) > 0)
            stop(process)
        arrived = len([span for span in collector.arrivals.spans if span.name == "work"])
    assert arrived + lost_of(collector) == 5000
    assert arrived >= 1000


def lost_of(collector: Collector) -> float:
    """Return how many spans were reported as lost."""
    return sum(
        point.value
        for point in collector.arrivals.points.values()
        if point.name.startswith("otel.sdk.") and ".span." in point.name and "error.type" in point.attributes
    )


def test_refused_items_are_counted_and_reported() -> None:
    """Items that a receiver refuses from a request that it takes are lost, counted, and said once."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    with Collector(answer=answer.SerializeToString()) as collector:
        done = succeed(
            _PATIENT_WORK
            + """
for _ in range(3):
    work()
    telemetry.flush()
status = telemetry.status().signals["traces"]
assert (status.sent, status.lost) == (0, {"refused": 3}), status
""",
            collector.endpoint,
        )
    assert done.stdout.count("refuses some traces") == 1


@pytest.mark.parametrize("kind", ["dead", "hanging", "refusing"])
def test_latency_and_memory_without_a_collector(kind: str) -> None:
    """With a Collector that is away, calls cost what they cost, memory is bounded, and the exit is quick and quiet."""
    code = (
        _WORK
        + """
def burst():
    times = []
    for _ in range(4000):
        begun = time.perf_counter()
        work("x" * 2000)
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]
first = burst()
telemetry.flush(0.2)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
later = [burst() for _ in range(6)]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
import json
print(json.dumps({"first": first, "later": min(later), "grown": grown}))
"""
    )
    with Collector(is_hanging=kind == "hanging", statuses=(503,) * 10_000) as collector:
        endpoint = f"http://127.0.0.1:{free_port()}" if kind == "dead" else collector.endpoint
        done = succeed(code, endpoint)
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"first"')]
    assert line["later"] < 3 * line["first"]
    # 24,000 spans of 2 kB went by; kept are 8,192.
    assert line["grown"] < 40 * 1024
    assert done.output.count("cannot be delivered") == 1
    assert len([text for text in done.stdout.splitlines() if '"sloburn"' in text]) <= 4
    assert "Traceback" not in done.output


def test_slow_collector_loses_nothing() -> None:
    """A receiver that takes its time gets everything within the time that the exit may take."""
    with Collector(delay_seconds=0.3) as collector:
        succeed(
            _PATIENT_WORK + "for _ in range(100): work()",
            collector.endpoint,
        )
        collector.wait_for(lambda seen: len(seen.spans) == 100)
        assert collector.total("work") == 100


def test_ctrl_c_with_a_hanging_collector() -> None:
    """Ctrl-C ends a script within the shutdown timeout."""
    # Without the shutdown timeout it would wait for the answer.
    code = _WORK.replace("timeout=0.5", "timeout=60") + "work()\nprint('ready', flush=True)\ntime.sleep(60)"
    with Collector(is_hanging=True) as collector, started("-c", code, collector.endpoint) as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "ready" in lines.readline(), process)
        assert stop(process, signal.SIGINT).seconds < 20
