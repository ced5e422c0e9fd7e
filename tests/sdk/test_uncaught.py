"""Exceptions that nobody catches: logged once, and printed by Python as ever."""

from __future__ import annotations

import json

import pytest

from tests.sdk.collector import Collector, SeenLog
from tests.sdk.processes import Finished, run

_SETUP = """
import sys, threading
from sloburn import init_telemetry
def theirs(kind, error, trace):
    sys.__excepthook__(kind, error, trace)
    print("theirs saw", kind.__name__)
sys.excepthook = theirs
telemetry = init_telemetry(endpoint=sys.argv[1], service_name="script")
"""
_DEAD = "http://127.0.0.1:9"


def events(done: Finished) -> list[dict[str, object]]:
    """Return the lines about uncaught exceptions."""
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "sloburn.uncaught"]


def exported(collector: Collector) -> list[SeenLog]:
    """Return the records about uncaught exceptions that arrived."""
    return [record for record in collector.arrivals.logs if record.logger == "sloburn.uncaught"]


@pytest.mark.parametrize(
    ("end", "is_chained"),
    [("def work(): raise ValueError('kaput')\nwork()", True), ("with telemetry: raise ValueError('kaput')", True)],
    ids=["script", "block"],
)
def test_script_that_dies(end: str, is_chained: bool) -> None:
    """A script that dies leaves one event with its exception; status, traceback and host's hook stay as they were."""
    with Collector() as collector:
        done = run(_SETUP + end, collector.endpoint)
        (record,) = exported(collector)
    (event,) = events(done)
    assert (done.status, done.stderr.count("Traceback"), done.stderr.count("ValueError: kaput")) == (1, 1, 1)
    assert ("theirs saw ValueError" in done.stdout) == is_chained
    assert (event["event"], event["level"], event["thread.name"]) == ("uncaught exception", "error", "MainThread")
    assert (event["exception.type"], event["exception.message"]) == ("ValueError", "kaput")
    assert event["exception.frames"]
    assert (record.severity, record.attributes["exception.type"]) == ("ERROR", "ValueError")
    assert "kaput" in record.attributes["exception.stacktrace"]


def test_thread_that_dies() -> None:
    """A thread that dies leaves one event with its name and the trace that it worked on; Python prints it as ever."""
    code = """
from opentelemetry import context, trace
def work():
    context.attach(trace.set_span_in_context(telemetry.tracer.start_span("work")))
    raise KeyError("gone")
thread = threading.Thread(target=work, name="worker-1")
thread.start(); thread.join()
"""
    done = run(_SETUP + code, _DEAD)
    (event,) = events(done)
    assert (done.status, done.stderr.count("Exception in thread worker-1")) == (0, 1)
    assert (event["exception.type"], event["thread.name"]) == ("KeyError", "worker-1")
    assert len(str(event["trace_id"])) == 32


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("raise KeyboardInterrupt", -2),
        ("thread = threading.Thread(target=sys.exit)\nthread.start(); thread.join()", 0),
        ("telemetry.shutdown()\nraise ValueError('kaput')", 1),
    ],
    ids=["exit", "ctrl-c", "exit of a thread", "after the end"],
)
def test_ends_that_are_no_failure_of_ours_to_report(end: str, status: int) -> None:
    """Who ends a program on purpose, or after telemetry, leaves no event."""
    done = run(_SETUP + end, _DEAD)
    assert (done.status, events(done)) == (status, [])


def test_hooks_are_chained_once_and_taken_away() -> None:
    """Calls of init_telemetry do not pile up hooks; after the end the host's are back, or what it has put in front."""
    code = """
assert sys.excepthook is not theirs and threading.excepthook is not threading.__excepthook__
init_telemetry(service_name="again", reconfigure=True)
hook, sys.excepthook = sys.excepthook, lambda *a: (print("in front"), hook(*a))
init_telemetry(service_name="once more", reconfigure=True)
telemetry.shutdown()
assert threading.excepthook is threading.__excepthook__
raise ValueError("kaput")
"""
    done = run(_SETUP + code, _DEAD)
    assert (done.stdout.count("in front"), done.stdout.count("theirs saw"), events(done)) == (1, 1, [])
    assert done.stderr.count("Traceback") == 1


def test_host_that_writes_itself() -> None:
    """Where the host's own handlers write, they write nothing more: the event is exported only."""
    code = "import logging\nlogging.basicConfig()\n" + _SETUP + "raise ValueError('kaput')"
    with Collector() as collector:
        done = run(code, collector.endpoint)
        assert len(exported(collector)) == 1
    assert done.stderr.count("ValueError: kaput") == 1
    assert events(done) == []


def test_host_that_wants_no_logs_of_ours() -> None:
    """With configure_logs=False Python's hooks are left alone."""
    code = "import sys\nfrom sloburn import init_telemetry\ninit_telemetry(configure_logs=False, traces=False)\n"
    assert "True" in run(code + "print(sys.excepthook is sys.__excepthook__)", _DEAD).stdout
