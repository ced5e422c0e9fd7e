"""Ends and beginnings: exit, SIGTERM, dead and hanging Collectors, second calls, switched off, nonsense."""

from __future__ import annotations

import signal
from time import monotonic

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import Finished, free_port, run, started, stop, succeed, wait_until

_SETUP = """
import logging, os, signal, sys, threading, time
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600)
counter = telemetry.meter.create_counter("work")
def work():
    with telemetry.tracer.start_as_current_span("work"):
        counter.add(1)
        get_logger().info("working")
"""


def test_everything_arrives_at_a_normal_exit() -> None:
    """A script that just ends loses nothing."""
    with Collector() as collector:
        succeed(_SETUP + "work()", collector.endpoint)
        assert collector.span("work").name == "work"
        assert collector.total("work") == 1
        assert [record.body for record in collector.arrivals.logs if record.body == "working"] == ["working"]


def test_everything_arrives_when_the_host_fails() -> None:
    """A script that ends with an exception loses nothing."""
    with Collector() as collector:
        done = run(_SETUP + "work()\nraise SystemExit(7)", collector.endpoint)
        assert (done.status, collector.span("work").name) == (7, "work")


def test_context_manager() -> None:
    """A batch job may shut telemetry down itself, twice if it likes, and flush in between."""
    with Collector() as collector:
        succeed(
            _SETUP
            + """
with telemetry:
    work()
    assert telemetry.flush()
    assert telemetry.status().signals["traces"].sent == 1
assert telemetry.shutdown()
assert not telemetry.flush()
""",
            collector.endpoint,
        )


@pytest.mark.parametrize(
    ("handler", "status", "output"),
    [
        ("", -signal.SIGTERM, ""),
        ("signal.signal(signal.SIGTERM, lambda *_: (print('handled', flush=True), os._exit(3)))", 3, "handled"),
    ],
)
def test_sigterm_flushes_and_chains(handler: str, status: int, output: str) -> None:
    """SIGTERM flushes and then does what it would have done without us: the host's handler, or the end."""
    code = f"import os, signal\n{handler}\n" + _SETUP + "work()\nprint('ready', flush=True)\nwhile True: time.sleep(60)"
    with Collector() as collector:
        with started("-c", code, collector.endpoint) as process:
            assert process.stdout is not None
            lines = process.stdout
            wait_until(lambda: "ready" in lines.readline(), process)
            done = stop(process)
        assert (done.status, output in done.stdout) == (status, True)
        assert collector.span("work").name == "work"
        assert collector.total("work") == 1


def test_sigterm_that_the_host_ignores() -> None:
    """A host that ignores SIGTERM goes on ignoring it."""
    done = succeed(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + _SETUP
        + "signal.raise_signal(signal.SIGTERM)\nprint('alive')",
        f"http://127.0.0.1:{free_port()}",
    )
    assert "alive" in done.stdout


_LOADED = _SETUP + "for _ in range(200): work()\nprint('end', time.monotonic(), flush=True)"


def exit_seconds(done: Finished) -> float:
    """Return how long ago the program that has just ended was done with its own work: its start takes time too."""
    (end,) = [line for line in done.stdout.splitlines() if line.startswith("end ")]
    return monotonic() - float(end.split()[1])


def test_exit_with_a_dead_collector() -> None:
    """With nobody listening the exit is quick, quiet and says what was lost."""
    done = succeed(_LOADED, f"http://127.0.0.1:{free_port()}")
    assert exit_seconds(done) < 20, "of the thirty seconds that it might wait"
    ours = [line for line in done.output.splitlines() if '"logger": "sloburn"' in line]
    assert len(ours) == 3
    assert "cannot be delivered to http://127.0.0.1" in ours[1]
    assert "200 traces" in ours[2]
    assert "Traceback" not in done.output


def test_exit_with_a_hanging_collector() -> None:
    """With a Collector that never answers the exit is delayed by the shutdown timeout, once for all signals."""
    code = _LOADED.replace("export_interval=3600", "export_interval=0.05, shutdown_timeout=3")
    with Collector(is_hanging=True) as collector:
        done = succeed(code, collector.endpoint)
        assert 2.9 < exit_seconds(done) < 8.9, "nine are three signals, one after the other"
    assert "could not be delivered before the end of the process" in done.output


_PARENT = """
import os, sys, time
from sloburn import init_telemetry
telemetry = init_telemetry(
    endpoint=sys.argv[1], export_interval=3600, handle_sigterm=False, shutdown_timeout=float(sys.argv[2])
)
child = os.fork()
with telemetry.tracer.start_as_current_span("parent" if child else "child"):
    pass
if not child:
    telemetry.shutdown_at_exit()
    os._exit(0)
os.waitpid(child, 0)
began = time.monotonic()
telemetry.shutdown_at_exit()
print(f"waited {time.monotonic() - began}\\n", end="")
"""


def test_parent_of_children_that_waited_in_vain() -> None:
    """A server that was loaded before it forked does not wait again for what has just kept its workers."""
    with Collector(is_hanging=True) as collector:
        done = succeed(_PARENT, collector.endpoint, "7")
    (waited,) = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("waited")]
    assert waited < 6.5


def test_parent_of_children_of_a_slow_collector() -> None:
    """Where a slow Collector has answered the children in time, the parent's last words arrive too."""
    with Collector(delay_seconds=0.3) as collector:
        succeed(_PARENT, collector.endpoint, "20")
        assert {span.name for span in collector.arrivals.spans} == {"parent", "child"}


def test_collector_that_comes_back() -> None:
    """What was done while nobody listened arrives when somebody does, after two lines in all."""
    port = free_port()
    code = _SETUP.replace("3600", "0.05") + "work()\nwhile True: time.sleep(60)"
    with started("-c", code, f"http://127.0.0.1:{port}") as process:
        assert process.stdout is not None
        lines = process.stdout
        wait_until(lambda: "cannot be delivered" in lines.readline(), process)
        with Collector(port=port) as collector:
            assert collector.span("work").name == "work"
            collector.wait_for(lambda _: collector.total("work") == 1)
            wait_until(lambda: "delivered" in lines.readline(), process)
            done = stop(process)
    assert "delivered" not in done.stdout


def test_second_call() -> None:
    """A second call is the same handle; one with other settings says in one line that it changes nothing."""
    done = succeed(
        """
from sloburn import init_telemetry
first = init_telemetry(service_name="a", traces=False, metrics=False, logs=False)
assert init_telemetry(service_name="a", traces=False, metrics=False, logs=False) is first
assert init_telemetry(service_name="b") is first
assert first.config.service_name == "a"
"""
    )
    assert done.stdout.count("again with other settings") == 1


@pytest.mark.parametrize("switch", ["OTEL_SDK_DISABLED=true", "SLOBURN_ENABLED=false"])
def test_switched_off(switch: str) -> None:
    """Switched off, nothing is sent, no thread runs, spans are no-ops, and JSON logs stay."""
    name, _, value = switch.partition("=")
    with Collector() as collector:
        done = succeed(
            _SETUP + "work()\nassert threading.active_count() == 1\nassert not telemetry.status().is_enabled",
            collector.endpoint,
            extra={name: value},
        )
    assert collector.arrivals.paths == []
    assert '"event": "working"' in done.stdout


def test_signals_can_be_switched_off() -> None:
    """A signal that is switched off is not sent; logs still carry the ids of spans that are not exported."""
    with Collector() as collector:
        succeed(_SETUP.replace("export_interval=3600", "traces=False") + "work()", collector.endpoint)
        (record,) = collector.wait_for(lambda seen: [record for record in seen.logs if record.body == "working"]).logs[
            -1:
        ]
    assert len(record.trace_id) == 32
    assert "/v1/traces" not in collector.arrivals.paths


def test_nonsense_everywhere() -> None:
    """Nonsense in every variable and every argument costs one line, and telemetry runs on what is left."""
    done = succeed(
        """
import os
from dataclasses import fields
from sloburn.sdk.config import Arguments
for name in ("ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "TRACES_ENDPOINT"):
    os.environ[f"OTEL_EXPORTER_OTLP_{name}"] = "\\x01 nonsense ::"
for name in ("SERVICE_NAME", "RESOURCE_ATTRIBUTES", "BSP_SCHEDULE_DELAY", "BSP_MAX_QUEUE_SIZE", "SDK_DISABLED",
             "METRIC_EXPORT_INTERVAL", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "TRACES_EXPORTER"):
    os.environ[f"OTEL_{name}"] = "-1 nonsense"
from sloburn import init_telemetry
arguments = {item.name: object() for item in fields(Arguments)}
telemetry = init_telemetry(**arguments, never_heard_of=1)
with telemetry.tracer.start_as_current_span("work"):
    telemetry.meter.create_counter("work").add(1)
problems = telemetry.status().problems
assert "never_heard_of: there is no such setting" in problems, problems
assert {problem.partition(":")[0] for problem in problems} > {*arguments, "OTEL_TRACES_SAMPLER"}, problems
assert telemetry.status().is_enabled
telemetry.shutdown(0)
"""
    )
    assert done.stdout.count("settings that were refused") == 1
    assert "Traceback" not in done.output


def test_start_that_fails() -> None:
    """When something breaks while telemetry starts, the host gets a handle that does nothing, and one line."""
    done = succeed(
        """
import sloburn.sdk.pipeline as pipeline
def broken(*_):
    raise OSError("no more threads")
pipeline._make_sources = broken
from sloburn import init_telemetry
telemetry = init_telemetry()
with telemetry.tracer.start_as_current_span("work"):
    pass
assert telemetry.status().problems == ("telemetry could not be started: OSError: no more threads",)
"""
    )
    assert done.output.count("could not be started") == 1


def test_providers_of_the_host() -> None:
    """Providers that the host has set before are used, not replaced."""
    with Collector() as collector:
        succeed(
            """
import sys
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
theirs = TracerProvider()
trace.set_tracer_provider(theirs)
metrics.set_meter_provider(MeterProvider())
from sloburn import init_telemetry
init_telemetry(endpoint=sys.argv[1])
assert trace.get_tracer_provider() is theirs
with trace.get_tracer("host").start_as_current_span("theirs"):
    metrics.get_meter("host").create_counter("work").add(2)
""",
            collector.endpoint,
        )
        assert collector.span("theirs").name == "theirs"
        assert collector.total("work") == 2


def test_second_provider_of_the_host() -> None:
    """A provider that the host sets after us is refused by OpenTelemetry, and nothing that was ours stops."""
    with Collector() as collector:
        succeed(
            """
import logging, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1])
trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
with trace.get_tracer("host").start_as_current_span("theirs"): pass
with telemetry.tracer.start_as_current_span("ours"): pass
""",
            collector.endpoint,
        )
        assert {collector.span("theirs").name, collector.span("ours").name} == {"theirs", "ours"}


def test_signal_in_the_middle_of_anything() -> None:
    """A signal handler that flushes may interrupt the main thread anywhere in the SDK, and nothing locks up."""
    with Collector() as collector:
        succeed(
            _SETUP.replace("3600", "0.05")
            + """
flushed = 0
def flush(*_):
    global flushed
    flushed += 1
    telemetry.flush(0.5)
    telemetry.status()
    if is_going_on(): signal.setitimer(signal.ITIMER_REAL, 0.003)
def is_going_on():
    return time.monotonic() < until or flushed <= 20
until = time.monotonic() + 3
signal.signal(signal.SIGALRM, flush)
signal.setitimer(signal.ITIMER_REAL, 0.003)
made = 0
while is_going_on():
    with telemetry.tracer.start_as_current_span("work"):
        counter.add(1)
    telemetry.status()
    made += 1
signal.setitimer(signal.ITIMER_REAL, 0)
telemetry.shutdown()
status = telemetry.status().signals["traces"]
assert (status.sent + sum(status.lost.values())) == made, (status, made)
""",
            collector.endpoint,
        )


def test_init_outside_the_main_thread() -> None:
    """In a thread, where Python allows no signal handlers, telemetry starts all the same."""
    with Collector() as collector:
        code = "\n".join(f"    {line}" for line in (_SETUP + "work()").splitlines() if line)
        succeed(
            f"import threading\ndef main():\n    global telemetry, counter, get_logger\n{code}\n"
            "thread = threading.Thread(target=main)\nthread.start()\nthread.join()",
            collector.endpoint,
        )
        assert collector.span("work").name == "work"
