"""Marked spans of whole processes: services, forks, other providers, and code that measures where it is looked at."""

from __future__ import annotations

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_COUNTS_IN_TEXT = """
import faulthandler, sys
from sloburn import count, init_telemetry
faulthandler.dump_traceback_later(40, exit=True)
telemetry = init_telemetry(service_name="shop", endpoint=sys.argv[1], export_interval=3600, libraries=False)
class Thing:
    def __str__(self):
        count("things.shown")
        return "thing"
with telemetry.tracer.start_as_current_span("request") as span:
    span.set_attribute("thing", Thing())
assert telemetry.flush(30)
"""


def test_who_counts_while_a_span_is_written_waits_for_nobody() -> None:
    """A count within an attribute's own text, where the span is locked, comes back, and the span is marked."""
    with Collector() as collector:
        succeed(_COUNTS_IN_TEXT, collector.endpoint)
        (span,) = collector.arrivals.spans
    assert (span.is_marked, collector.total("things.shown")) == (True, 1)


def test_spans_of_the_hosts_own_provider_are_marked_where_we_export_them() -> None:
    """A provider that the host has set has its spans marked on our way out, and as they were on its own."""
    code = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sloburn import count, init_telemetry
provider, theirs = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600, libraries=False)
with trace.get_tracer("host").start_as_current_span("work"):
    count("work.done")
assert [dict(span.attributes) for span in theirs.get_finished_spans()] == [{}]
assert telemetry.flush(30)
"""
    with Collector() as collector:
        succeed(code, collector.endpoint)
        (span,) = collector.arrivals.spans
    assert (span.name, span.is_marked) == ("work", True)


_FORKS = """
import os, sys
from sloburn import count, init_telemetry
telemetry = init_telemetry(service_name="shop", endpoint=sys.argv[1], export_interval=3600, libraries=False)
with telemetry.tracer.start_as_current_span("before"):
    if not os.fork():
        count("work.done")
        with telemetry.tracer.start_as_current_span("after"):
            count("work.done")
        assert telemetry.flush(30)
        os._exit(0)
    assert os.wait()[1] == 0
    count("work.done")
assert telemetry.flush(30)
"""


def test_a_forked_child_marks_its_own_spans() -> None:
    """A child marks no span that its parent has begun, because the parent is the one that sends it."""
    with Collector() as collector:
        succeed(_FORKS, collector.endpoint)
        spans = collector.arrivals.spans
    assert {span.name: span.is_marked for span in spans} == {"before": True, "after": True}


@pytest.mark.parametrize("is_mounted", [False, True])
def test_nothing_is_marked_for_exemplars_that_go_nowhere(is_mounted: bool) -> None:
    """Without metrics by OTLP and without /metrics no exemplar leads anywhere, so no trace is kept for one."""
    code = """
import sys
from sloburn import count, init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600, libraries=False, metrics=False)
if sys.argv[2] == "True":
    from fastapi import FastAPI
    from sloburn import mount_metrics
    mount_metrics(FastAPI())
with telemetry.tracer.start_as_current_span("work"):
    count("work.done")
assert telemetry.flush(30)
"""
    with Collector() as collector:
        succeed(code, collector.endpoint, str(is_mounted))
        (span,) = collector.arrivals.spans
    assert span.is_marked is is_mounted


_SERVICE = """
import sys, warnings
from sloburn import count, init_telemetry, mount_metrics
telemetry = init_telemetry(service_name="shop", endpoint=sys.argv[1], export_interval=3600)
warnings.simplefilter("ignore")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.context import Context, attach, detach
app = FastAPI()
mount_metrics(app)
@app.get("/work")
def work():
    count("work.done")
async def plain(scope, receive, send):
    token = attach(Context())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
    detach(token)
app.mount("/plain", plain)
client = TestClient(app)
for _ in range(20):
    assert client.get(sys.argv[2]).status_code == 200
# Of what was measured in one export the next one shows the exemplar still.
assert telemetry.flush(30) and telemetry.flush(30)
openmetrics = {"accept": "application/openmetrics-text; version=1.0.0"}
print(client.get("/metrics", headers=openmetrics).text)
"""
_MEASURED = ("http.server.request.duration", "work.done")


@pytest.mark.parametrize(("path", "measured"), [("/work", _MEASURED), ("/plain/", _MEASURED[:1])])
def test_exemplars_of_a_service_lead_to_marked_traces(path: str, measured: tuple[str, ...]) -> None:
    """What a request measures, by OTLP and at /metrics, leads to a span that the Collector is told to keep.

    So does the request's own duration alone, whatever is current while the answer is sent.
    """
    with Collector() as collector:
        done = succeed(_SERVICE, collector.endpoint, path)
        seen = collector.arrivals
    marked = {span.trace_id for span in seen.spans if span.is_marked}
    exemplars = {point.name: set(point.exemplars) for point in seen.points.values() if point.name in _MEASURED}
    assert set(exemplars) == set(measured)
    for traces in exemplars.values():
        assert traces & marked
    # A request that takes its time falls into another bucket, in a second that may have its trace already.
    assert len(marked) < 20
    lines = [line for line in done.stdout.splitlines() if " # {trace_id=" in line]
    for name in ("work_done_total", "http_server_request_duration_seconds_bucket")[-len(measured) :]:
        assert any(f'trace_id="{trace}"' in line for line in lines if line.startswith(name) for trace in marked)


def test_no_mark_is_seen_in_the_test_kit() -> None:
    """Which span is marked depends on the second, and what is captured is the same in every run."""
    succeed(
        """
from sloburn import count, init_telemetry
from sloburn.testing import capture_telemetry
telemetry = init_telemetry(protocol="memory")
with capture_telemetry() as captured:
    with telemetry.tracer.start_as_current_span("work"):
        count("work.done")
    assert captured.span("work").attributes == {}, captured.spans
    captured.assert_metric("work.done", 1)
"""
    )
