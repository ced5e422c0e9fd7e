"""Celery on Redis in every pool: one trace from the request to the last task, and every outcome counted once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.brokers import redis
from tests.sdk.collector import Arrivals, Collector, SeenSpan
from tests.sdk.processes import started, stop, succeed, wait_until

_RUNS = 19
# A worker replaces its children here all the time, and the machine may be busy with other things.
_PATIENCE_SECONDS = 120.0
_ENDED = {
    ("add", "success"): 10,
    ("add", "revoked"): 1,
    ("again", "retry"): 2,
    ("again", "success"): 1,
    ("fail", "failure"): 1,
    ("ignore", "ignored"): 1,
    ("reject", "rejected"): 1,
    ("total", "success"): 1,
    ("unknown", "rejected"): 1,
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of our own."""
    with redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


def variables(collector: Collector, broker: str) -> dict[str, str]:
    """Return the environment of publisher and worker."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "SLOBURN_EXPORT_INTERVAL": "0.2",
        "FLOW_BROKER": broker,
    }


def worker(pool: str, *more: str) -> tuple[str, ...]:
    """Return the command of a worker with two slots."""
    return ("-m", "celery", "-A", "flow", "worker", "-c", "2", "-P", pool, "-l", "info", *more)


def runs(arrivals: Arrivals) -> list[SeenSpan]:
    """Return the consumers' spans."""
    return [span for span in arrivals.spans if span.name.startswith("process ")]


def counted(arrivals: Arrivals, name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """Return the values of a metric by these labels, summed over all processes."""
    counts: Counter[tuple[str, ...]] = Counter()
    for point in arrivals.points.values():
        if point.name == name:
            counts[tuple(str(point.attributes.get(label)) for label in labels)] += int(point.value)
    return counts


@pytest.fixture(scope="module", params=["prefork", "threads", "solo"])
def flown(request: pytest.FixtureRequest, broker: str) -> Arrivals:
    """Publish everything from one request and run it; children are replaced after three tasks."""
    with Collector() as collector:
        extra = variables(collector, broker)
        succeed("import flow; flow.publish_all()", extra=extra)
        with started(*worker(request.param, "--max-tasks-per-child", "3"), extra=extra) as process:
            collector.wait_for(lambda seen: len(runs(seen)) >= _RUNS, _PATIENCE_SECONDS)
            done = stop(process)
    assert done.status == 0, done.output
    return collector.arrivals


def test_one_trace_joins_chain_group_chord_and_retries(flown: Arrivals) -> None:
    """Every run belongs to the request's trace and hangs below the publication that caused it."""
    spans = {span.span_id: span for span in flown.spans}
    ours = [span for span in flown.spans if span.name.startswith(("request", "publish ", "process "))]
    assert len({span.trace_id for span in ours}) == 1
    for span in runs(flown):
        parent = spans[span.parent_id]
        assert parent.name in {span.name.replace("process", "publish"), "publish add", "publish nobody.knows"}


def test_chain_and_retry_hang_below_what_caused_them(flown: Arrivals) -> None:
    """The second link of a chain is published by the first one's run, and a retry by the run that failed."""
    spans = {span.span_id: span for span in flown.spans}
    publishers = [spans[span.parent_id] for span in flown.spans if span.name.startswith("publish ")]
    assert Counter(span.name for span in publishers) == {
        "request": len(publishers) - 5, "process add": 3, "process again": 2,
    }  # fmt: skip


def test_broker_traffic_of_the_worker_leaves_no_traces(flown: Arrivals) -> None:
    """Polling, acknowledging and measuring queues go on for ever: an instrumented client does not show them."""
    roots = [span.name for span in flown.spans if not span.parent_id]
    assert len(roots) <= 5, roots


def test_every_outcome_is_counted_once(flown: Arrivals) -> None:
    """Spans and counters agree over all processes: success, failure, retry, revoked, rejected, ignored."""
    assert counted(flown, "celery.tasks", "celery.task.name", "outcome") == _ENDED
    spans = Counter(
        (span.attributes["celery.task.name"], span.attributes["celery.task.outcome"]) for span in runs(flown)
    )
    assert spans == _ENDED
    assert counted(flown, "celery.task.retries", "celery.task.name") == {("again",): 2}


def test_what_never_ran_has_no_duration(flown: Arrivals) -> None:
    """Run and queue time are measured for what ran, and only for that."""
    ran = {(name, outcome): count for (name, outcome), count in _ENDED.items() if outcome != "revoked"}
    del ran["unknown", "rejected"]
    assert counted(flown, "messaging.process.duration", "celery.task.name", "outcome") == ran
    assert sum(counted(flown, "celery.task.queue.duration", "celery.task.name").values()) == sum(ran.values())


def test_countdown_is_not_queue_time(flown: Arrivals) -> None:
    """A task with a countdown of a second waited for its own sake, not in the queue."""
    published = min(_queue_seconds(flown)) if _queue_seconds(flown) else -1.0
    assert published >= 0
    assert all("celery.task.queue_seconds" in span.attributes for span in runs(flown) if _ran(span))


def _queue_seconds(flown: Arrivals) -> list[float]:
    return [span.attributes["celery.task.queue_seconds"] for span in runs(flown) if _ran(span)]


def _ran(span: SeenSpan) -> bool:
    kind = (span.attributes["celery.task.name"], span.attributes["celery.task.outcome"])
    return kind not in {("add", "revoked"), ("unknown", "rejected")}


def test_request_id_reaches_spans_and_logs_of_tasks(flown: Arrivals) -> None:
    """The correlation id of the request travels as baggage into every task's span and log lines."""
    assert {span.attributes.get("request.id") for span in runs(flown)} == {"r-1"}
    adding = [record for record in flown.logs if record.body == "adding"]
    assert {(record.attributes["request_id"], record.attributes["task_name"]) for record in adding} == {("r-1", "add")}
    ids = {span.attributes["messaging.message.id"] for span in runs(flown)}
    assert {record.attributes["task_id"] for record in adding} <= ids
    assert len(adding) == 10


def test_unknown_task_is_rejected_without_a_label_of_its_own(flown: Arrivals) -> None:
    """A name that nobody has registered is on the span, not in the metrics."""
    (span,) = [span for span in runs(flown) if span.attributes["celery.task.name"] == "unknown"]
    assert span.attributes["celery.task.unknown_name"] == "nobody.knows"
    assert span.attributes["error.type"] == "KeyError"


def test_expired_task_says_why_it_was_revoked(flown: Arrivals) -> None:
    """A revoked task's span tells an expired one from one that was called off."""
    (span,) = [span for span in runs(flown) if span.attributes["celery.task.outcome"] == "revoked"]
    assert span.attributes["celery.task.revoke_reason"] == "expired"


def test_killed_children_are_reported_by_the_parent(broker: str) -> None:
    """A child that is killed, by the kernel or by a time limit, leaves one span and one failure all the same."""
    with Collector() as collector:
        extra = variables(collector, broker)
        succeed("import flow; flow.publish_deadly()", extra=extra)
        with started(*worker("prefork"), extra=extra) as process:
            wait_until(lambda: len(runs(collector.arrivals)) >= 2, process)
            done = stop(process)
    assert done.status == 0, done.output
    assert counted(collector.arrivals, "celery.tasks", "celery.task.name", "outcome", "error.type") == {
        ("die", "failure", "billiard.exceptions.WorkerLostError"): 1,
        ("hang", "failure", "billiard.exceptions.TimeLimitExceeded"): 1,
    }
    assert Counter(span.name for span in runs(collector.arrivals)) == {"process die": 1, "process hang": 1}
    publishers = {span.span_id for span in collector.arrivals.spans if span.name.startswith("publish ")}
    assert {span.parent_id for span in runs(collector.arrivals)} == publishers


def test_terminated_task_is_revoked(broker: str) -> None:
    """A task that is revoked while it runs is reported once, as terminated, with the time it ran."""
    with Collector() as collector:
        extra = variables(collector, broker)
        with started(*worker("prefork"), extra=extra) as process:
            wait_until(lambda: _gauges(collector, "celery.worker.up") == [1], process)
            succeed(
                """
import flow, time
from celery.result import AsyncResult
result = flow.nap.delay(60)
while not any((flow.app.control.inspect(timeout=5).active() or {}).values()):
    pass
result.revoke(terminate=True)
""",
                extra=extra,
            )
            wait_until(lambda: runs(collector.arrivals), process)
            done = stop(process)
    assert done.status == 0, done.output
    (span,) = runs(collector.arrivals)
    assert span.attributes["celery.task.revoke_reason"] == "terminated"
    assert counted(collector.arrivals, "celery.tasks", "celery.task.name", "outcome") == {("nap", "revoked"): 1}
    assert counted(collector.arrivals, "messaging.process.duration", "outcome") == {("revoked",): 1}


def _gauges(collector: Collector, name: str) -> list[float]:
    return [point.value for point in list(collector.arrivals.points.values()) if point.name == name]


def _held(collector: Collector) -> dict[str, float]:
    names = ("celery.tasks.active", "celery.tasks.reserved", "celery.queue.depth")
    return {
        point.name: point.value
        for point in list(collector.arrivals.points.values())
        if point.name in names and point.attributes["messaging.destination.name"] == "celery"
    }


@pytest.mark.parametrize("transport", ["redis", "file"])
def test_queue_depth_and_tasks_in_flight(transport: str, broker: str, tmp_path: Path) -> None:
    """What runs, what was taken and what waits in the broker add up to what was published; the worker is up."""
    with Collector() as collector:
        extra = variables(collector, broker.replace("/0", "/1")) | {"FLOW_FOLDER": str(tmp_path)}
        if transport == "file":
            extra["FLOW_BROKER"] = "filesystem://localhost"
        succeed("import flow\nfor _ in range(9): flow.nap.delay(600)", extra=extra)
        with started(*worker("prefork"), extra=extra) as process:
            wait_until(lambda: _held(collector).get("celery.tasks.active") == 2, process)
            wait_until(lambda: sum(_held(collector).values()) == 9, process)
            assert _held(collector)["celery.queue.depth"] >= 4
            assert _gauges(collector, "celery.worker.up") == [1]
            assert _gauges(collector, "celery.worker.concurrency") == [2]
            # Its children nap on when it is gone.
            os.killpg(process.pid, signal.SIGKILL)


def test_worker_is_down_after_its_end(broker: str) -> None:
    """The last thing that a worker reports is that it is no longer up."""
    with Collector() as collector:
        extra = variables(collector, broker.replace("/0", "/2"))
        with started(*worker("solo"), extra=extra) as process:
            wait_until(lambda: _gauges(collector, "celery.worker.up") == [1], process)
            stop(process)
    assert _gauges(collector, "celery.worker.up") == [0]


def test_schedule_checks_in(broker: str, tmp_path: Path) -> None:
    """Runs are counted by entry where they are published and where they ran; one that cannot be published as failed."""
    with Collector() as collector:
        extra = variables(collector, broker.replace("/0", "/3"))
        schedule = ("-m", "celery", "-A", "flow", "beat", "-s", str(tmp_path / "schedule"), "-l", "info")
        with started(*worker("solo"), extra=extra) as process, started(*schedule, extra=extra) as beat:
            wait_until(
                lambda: counted(collector.arrivals, "celery.beat.check_ins", "outcome")["success",] >= 2, process
            )
            finished = stop(beat)
            stop(process)
    assert finished.status == 0, finished.output
    published = counted(collector.arrivals, "celery.beat.runs", "celery.beat.entry", "outcome")
    assert published["often", "published"] >= 2
    assert published["broken", "failed"] >= 1
    assert set(published) == {("often", "published"), ("broken", "failed")}
    assert set(counted(collector.arrivals, "celery.beat.check_ins", "celery.beat.entry")) == {("often",)}
    assert {span.attributes["celery.beat.entry"] for span in runs(collector.arrivals)} == {"often"}
    assert _gauges(collector, "celery.beat.up") == [1]
    assert min(_gauges(collector, "celery.beat.last_success")) > 1_700_000_000
