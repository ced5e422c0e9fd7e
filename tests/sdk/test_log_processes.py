"""Pools of processes, and a whole program: what of the logging context goes with them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_PROCESSES = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from structlog.contextvars import get_contextvars
from opentelemetry import baggage
from sloburn.sdk.log_context import log_context
from sloburn.sdk.log_threads import ThreadFollower
forking = multiprocessing.get_context("fork")
following = ThreadFollower()
following.begin()
def look(*_):
    return len(get_contextvars()), len(baggage.get_all())
with log_context(request_id="r-1"):
    with ProcessPoolExecutor(1, mp_context=forking) as pool:
        print(pool.submit(look).result())
    with forking.Pool(1) as pool:
        print(pool.apply(look))
    process = forking.Process(target=lambda: print(look(), flush=True))
    process.start()
    process.join()
    print(look())
"""


def test_processes_of_pools_begin_with_nothing() -> None:
    """What a pool forks within a request does not carry the request, which itself goes on; own processes do."""
    assert succeed(_PROCESSES).stdout.splitlines() == ["(0, 0)", "(0, 0)", "(1, 1)", "(1, 1)"]


_PROGRAM = """
import json, threading
from concurrent.futures import ThreadPoolExecutor
from sloburn import get_logger, init_telemetry, log_context
telemetry = init_telemetry(service_name="shop"{setting})
def work():
    with telemetry.tracer.start_as_current_span("inner"):
        get_logger("w").info("worked")
with telemetry.tracer.start_as_current_span("outer"), log_context(user_id=7), ThreadPoolExecutor(1) as pool:
    pool.submit(work).result()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize(
    ("setting", "extra", "is_following"),
    [
        ("", {}, True),
        (", follow_threads=False", {}, False),
        ("", {"SLOBURN_FOLLOW_THREADS": "false"}, False),
    ],
)
def test_init_follows_threads(setting: str, extra: Mapping[str, str], is_following: bool) -> None:
    """With `init_telemetry` spans of threads join their trace and events have their fields, unless it is off."""
    with Collector() as collector:
        done = succeed(
            _PROGRAM.format(setting=setting), extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **extra}
        )
        outer = collector.span("outer")
        inner = [span for span in collector.arrivals.spans if span.name == "inner"]
    lines = [json.loads(line) for line in done.stdout.splitlines() if '"worked"' in line]
    assert [span.parent_id == outer.span_id for span in inner] == [is_following] * 2
    assert [(line["trace_id"] == outer.trace_id, line.get("user_id") == 7) for line in lines] == [
        (is_following, is_following)
    ] * 2
