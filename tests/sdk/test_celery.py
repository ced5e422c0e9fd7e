"""Celery with a real prefork worker on a file broker: one trace, outcomes, exact counts over processes."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from sloburn.sdk.audit_chain import verify
from tests.sdk.collector import Arrivals, Collector, SeenSpan
from tests.sdk.processes import PATIENCE_SECONDS, started, stop, succeed, wait_until

_PRODUCER, _CONSUMER, _ERROR = 4, 5, 2
_RUNS = 8
_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What a publisher and a worker left behind."""

    arrivals: Arrivals
    output: str
    trail: list[bytes]

    def spans(self, name: str) -> list[SeenSpan]:
        """Return the spans of this name."""
        return [span for span in self.arrivals.spans if span.name == name]


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Worked:
    """Publish tasks from one process, run them all in a worker with two children, and shut it down warmly."""
    folder = tmp_path_factory.mktemp("broker")
    with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "SLOBURN_EXPORT_INTERVAL": "3600",
            "WORK_FOLDER": str(folder),
            "SLOBURN_AUDIT_FILE": str(folder / "audit.jsonl"),
        }
        _publish(variables)
        command = ("-m", "celery", "-A", "work", "worker", "-c", "2", "-P", "prefork", "-l", "info", *_QUIET)
        with started(*command, extra=variables) as process:
            wait_until(lambda: _ended(folder) == _RUNS + 3, process)
            done = stop(process)
    assert done.status == 0, done.output
    trail = (folder / "audit.jsonl").read_bytes().splitlines()
    return Worked(arrivals=collector.arrivals, output=done.output, trail=trail)


def _publish(variables: dict[str, str]) -> None:
    succeed(
        f"""
import work
with work.telemetry.tracer.start_as_current_span("request"):
    for number in range({_RUNS}):
        work.add.delay(number, 1)
    work.fail.delay()
    work.again.delay()
work.telemetry.shutdown()
""",
        extra=variables,
    )


def _ended(folder: Path) -> int:
    return len(list((folder / "ended").iterdir()))


def test_one_trace_joins_request_publish_and_task(worked: Worked) -> None:
    """The request's span is the parent of each publish, and each publish of its task."""
    (request,) = worked.spans("request")
    publishes, runs = worked.spans("publish add"), worked.spans("process add")
    assert {span.trace_id for span in worked.arrivals.spans} == {request.trace_id}
    assert [(span.kind, span.parent_id) for span in publishes] == [(_PRODUCER, request.span_id)] * _RUNS
    assert {span.parent_id for span in runs} == {span.span_id for span in publishes}
    assert {span.kind for span in runs} == {_CONSUMER}


def test_nothing_is_lost_at_a_warm_shutdown(worked: Worked) -> None:
    """Every task's span and log arrives although the children end an hour before the next export."""
    assert len(worked.spans("process add")) == _RUNS
    assert len([record for record in worked.arrivals.logs if record.body == "adding"]) == _RUNS


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_task_at_work_at_sigterm(tmp_path: Path, pool: str) -> None:
    """A task that is at work when the worker is told to end runs to its end, and its span and log still leave."""
    with Collector() as collector:
        extra = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "SLOBURN_EXPORT_INTERVAL": "3600",
            "WORK_FOLDER": str(tmp_path),
        }
        succeed("import work; work.hold.delay(); work.telemetry.shutdown()", extra=extra)
        command = ("-m", "celery", "-A", "work", "worker", "-c", "1", "-P", pool, "-l", "info", *_QUIET)
        with started(*command, extra=extra) as process:
            assert process.stdout is not None
            lines = process.stdout
            wait_until(lambda: '"holding"' in lines.readline(), process)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: "Warm shutdown" in lines.readline(), process)
            (tmp_path / "enough").touch()
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        span = collector.span("process hold")
    assert (process.returncode, span.status, span.attributes["celery.task.outcome"]) == (0, 0, "success"), output
    assert "holding" in [record.body for record in collector.arrivals.logs]
    assert collector.total("celery.tasks") == 1


def test_counts_are_exact_over_processes(worked: Worked) -> None:
    """The sum of a counter over parent and children is the truth: children start at zero and lose nothing."""
    values = [point.value for point in worked.arrivals.points.values() if point.name == "runs"]
    assert sum(values) == _RUNS


def test_pool_children_close_their_audit_chains(worked: Worked) -> None:
    """Every child that wrote audit records has ended its chain, although it leaves without Python's exit."""
    found = verify(("audit.jsonl", line) for line in worked.trail)
    assert found.problems == []
    assert [chain.is_closed for chain in found.chains.values()] == [True] * len(found.chains)
    assert found.records == _RUNS + 2 * len(found.chains)


def test_messaging_attributes(worked: Worked) -> None:
    """A task's span says which task, which queue, which message and how it ended."""
    span = worked.spans("process add")[0]
    assert span.attributes.pop("celery.task.queue_seconds") > 0
    assert span.attributes == {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "celery",
        "messaging.message.id": span.attributes["messaging.message.id"],
        "celery.task.name": "add",
        "celery.task.retries": 0,
        "celery.task.outcome": "success",
    }
    assert span.resource["service.name"] == "work"


def test_failure(worked: Worked) -> None:
    """A task that fails is an error with its exception."""
    (span,) = worked.spans("process fail")
    ((name, event),) = span.events
    assert (span.status, span.attributes["celery.task.outcome"], span.attributes["error.type"]) == (
        _ERROR,
        "failure",
        "ValueError",
    )
    assert (name, event["exception.type"], event["exception.message"]) == ("exception", "ValueError", "no")


def test_retry(worked: Worked) -> None:
    """A retry is marked, is no error, and stays in the trace: its second run hangs below its first."""
    first, second = sorted(worked.spans("process again"), key=lambda span: int(span.attributes["celery.task.retries"]))
    assert (first.attributes["celery.task.outcome"], first.status) == ("retry", 0)
    assert first.attributes["celery.retry.reason"] == "Retry in 0s: KeyError('busy')"
    assert (second.attributes["celery.task.outcome"], second.attributes["celery.task.retries"]) == ("success", 1)
    (republished,) = [span for span in worked.spans("publish again") if span.parent_id == first.span_id]
    assert second.parent_id == republished.span_id


def test_durations_carry_the_outcome(worked: Worked) -> None:
    """Task durations are in seconds and labelled with task and outcome, enough for an SLI."""
    points = [point for point in worked.arrivals.points.values() if point.name == "messaging.process.duration"]
    counts: dict[tuple[str, str], float] = {}
    for point in points:
        key = point.attributes["celery.task.name"], point.attributes["outcome"]
        counts[key] = counts.get(key, 0) + point.value
    assert counts == {("add", "success"): _RUNS, ("fail", "failure"): 1, ("again", "retry"): 1, ("again", "success"): 1}
    assert {point.unit for point in points} == {"s"}
    assert 0.3 in points[0].boundaries


def test_exemplars_of_tasks_lead_to_marked_spans(worked: Worked) -> None:
    """How long a task ran and waited is shown with a trace of which a run is marked, so that samplers keep it."""
    marked = {span.trace_id for span in worked.arrivals.spans if span.is_marked and span.name.startswith("process ")}
    for name in ("messaging.process.duration", "celery.task.queue.duration", "celery.tasks"):
        found = [point.exemplars for point in worked.arrivals.points.values() if point.name == name]
        assert {trace for exemplars in found for trace in exemplars} == marked


def test_worker_logs_once(worked: Worked) -> None:
    """Each event is one line of the worker and one OTLP record, Celery's own among them."""
    assert worked.output.count('"event": "adding"') == _RUNS
    ready = [record for record in worked.arrivals.logs if str(record.body).endswith("ready.")]
    assert (len(ready), worked.output.count("ready.")) == (1, 1)


def test_failed_publish_keeps_its_span(tmp_path: Path) -> None:
    """A publish that fails leaves its span as an error, and what comes after it does not hang below it."""
    with Collector() as collector:
        succeed(
            """
import work
(work.folder / "messages").rmdir()
tracer = work.telemetry.tracer
with tracer.start_as_current_span("request"):
    try:
        work.add.delay(1, 2)
    except Exception as error:
        print(type(error))
    with tracer.start_as_current_span("afterwards"):
        pass
""",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "WORK_FOLDER": str(tmp_path)},
        )
    by_name = {span.name: span for span in collector.arrivals.spans}
    publish = by_name["publish add"]
    assert (publish.status, publish.kind) == (_ERROR, _PRODUCER)
    assert publish.attributes["error.type"] == "FileNotFoundError"
    assert [name for name, _ in publish.events] == ["exception"]
    assert by_name["afterwards"].parent_id == by_name["request"].span_id


def test_contrib_that_the_host_has_applied(tmp_path: Path) -> None:
    """Where the host has applied contrib's Celery instrumentation, publishing leaves one span, and it is contrib's."""
    with Collector() as collector:
        succeed(
            """
import work
from opentelemetry.instrumentation.celery import CeleryInstrumentor
CeleryInstrumentor().instrument()
work.add.delay(1, 2)
""",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "WORK_FOLDER": str(tmp_path)},
        )
    assert [span.name for span in collector.arrivals.spans] == ["apply_async/add"]
