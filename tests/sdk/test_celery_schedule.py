"""Schedules, messages and workers, without a broker: what was missed, what waited, what hangs."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.schedules import crontab, schedule
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from sloburn.sdk.integrations.celery_beat import BeatWatch, due_after, missed_runs
from sloburn.sdk.integrations.celery_messages import PUBLISHED, message_of
from sloburn.sdk.integrations.celery_worker import WorkerWatch
from tests.sdk.processes import succeed, wait_until

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_NOON_NANO = int(_NOON.timestamp()) * 1_000_000_000


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """Reads what a meter of its own has measured."""
    return InMemoryMetricReader()


def value(reader: InMemoryMetricReader, name: str) -> float | None:
    """Return the one value of a metric; None when it was not observed."""
    return next(iter(values(reader, name)), None)


def values(reader: InMemoryMetricReader, name: str) -> list[float]:
    """Return the values of a metric, smallest first."""
    data = reader.get_metrics_data()
    return sorted(
        point.value
        for part in (data.resource_metrics if data else ())
        for scope in part.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    )


@pytest.mark.parametrize(
    ("when", "last", "now", "expected"),
    [
        (schedule(60), _NOON, _NOON + timedelta(seconds=61), 0),
        (schedule(60), _NOON, _NOON + timedelta(seconds=119), 0),
        (schedule(60), _NOON, _NOON + timedelta(seconds=181), 2),
        (schedule(1), _NOON, _NOON + timedelta(days=9), 1000),
        (crontab(minute="*/15"), _NOON, _NOON + timedelta(minutes=15, seconds=1), 0),
        (crontab(minute="*/15"), _NOON, _NOON + timedelta(hours=1, seconds=1), 3),
        (crontab(minute="0", hour="4"), _NOON, _NOON + timedelta(days=3), 2),
        (SimpleNamespace(), _NOON, _NOON + timedelta(days=3), 0),
        (schedule(60), None, _NOON, 0),
    ],
    ids=["in time", "late", "two missed", "bounded", "cron in time", "cron", "daily", "silent", "never ran"],
)
def test_missed_runs(when: Any, last: datetime | None, now: datetime, expected: int) -> None:
    """The runs between the last one and this one are missed, by interval as by crontab."""
    assert missed_runs(when, last, now) == expected


def test_overdue_and_missed_are_reported(reader: InMemoryMetricReader) -> None:
    """An entry that is due and not published is overdue; the runs it skipped are counted when it is published again."""
    clock = [_NOON]
    watch = BeatWatch(MeterProvider([reader]).get_meter("test"), now=lambda: clock[0])
    entry = SimpleNamespace(name="nightly", task="report", schedule=schedule(60), last_run_at=_NOON)
    watch.begin(sender=SimpleNamespace(scheduler=SimpleNamespace(max_interval=5, schedule={"nightly": entry})))
    assert value(reader, "celery.beat.overdue") == 0
    clock[0] += timedelta(seconds=200)
    assert value(reader, "celery.beat.overdue") == 140
    assert watch.publish(lambda: "sent", entry) == "sent"
    assert value(reader, "celery.beat.missed") == 2
    assert value(reader, "celery.beat.overdue") == 0
    assert value(reader, "celery.beat.up") == 1


def test_due_of_a_naive_moment_is_utc() -> None:
    """A schedule that remembers a time without a zone means UTC."""
    assert due_after(schedule(60), _NOON.replace(tzinfo=None)) == _NOON + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({PUBLISHED: str(_NOON_NANO)}, 5.0),
        ({PUBLISHED: str(_NOON_NANO), "eta": (_NOON + timedelta(seconds=3)).isoformat()}, 2.0),
        ({PUBLISHED: str(_NOON_NANO), "eta": "2026-03-01T12:00:03"}, 2.0),
        ({PUBLISHED: str(_NOON_NANO), "eta": "soon"}, 5.0),
        ({PUBLISHED: str(_NOON_NANO + 10**12)}, 0.0),
        ({PUBLISHED: str(_NOON_NANO), "delivery_info": {"redelivered": True}}, None),
        ({PUBLISHED: "yesterday"}, None),
        ({}, None),
    ],
    ids=["plain", "eta", "eta without zone", "odd eta", "skewed clock", "redelivered", "odd", "foreign publisher"],
)
def test_queue_time(headers: dict[str, object], expected: float | None) -> None:
    """Queue time runs from publishing, or a later ETA, to the start, and is unknown where nobody can know it."""
    assert message_of(headers).queue_seconds(_NOON_NANO + 5 * 10**9) == expected


@pytest.mark.parametrize("pool", ["celery.concurrency.prefork", "celery.concurrency.solo"])
def test_worker_whose_heart_stands_still_is_not_up(reader: InMemoryMetricReader, pool: str) -> None:
    """A worker is up while its heart beats, and down when it hangs, although its process lives."""
    clock = [0.0]
    watch = WorkerWatch(MeterProvider([reader]).get_meter("test"), interval_seconds=60, now=lambda: clock[0])
    consumer = SimpleNamespace(pool=type("Pool", (), {"__module__": pool, "num_processes": 3})(), app=None)
    watch.begin(sender=consumer)
    watch.beat()
    assert value(reader, "celery.worker.up") == 1
    clock[0] = 31.0
    assert value(reader, "celery.worker.up") == 0
    watch.beat()
    assert value(reader, "celery.worker.up") == 1
    watch.after_fork()
    assert value(reader, "celery.worker.up") is None


class Broker:
    """A broker's connection, as kombu shows it, with one queue of three messages and one that does not exist.

    Args:
        driver_type: Kombu's name of the transport.
    """

    channel_errors = (LookupError,)

    def __init__(self, driver_type: str) -> None:
        self.transport = SimpleNamespace(driver_type=driver_type)
        self.looks = 0

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def channel(self) -> Broker:
        """Return something that declares and closes."""
        self.looks += 1
        return self

    def close(self) -> None:
        """Close nothing."""

    def queue_declare(self, *, queue: str, passive: bool) -> SimpleNamespace:
        """Say how many messages wait, and refuse like AMQP does (404) when there is no such queue."""
        assert passive
        if queue == "absent":
            raise LookupError("NOT_FOUND - no queue 'absent'")
        return SimpleNamespace(message_count=3)


def watch_on(broker: Broker, reader: InMemoryMetricReader) -> WorkerWatch:
    """Return a watch of a worker that consumes two queues of a broker."""
    watch = WorkerWatch(MeterProvider([reader]).get_meter("test"), interval_seconds=0.02)
    amqp = SimpleNamespace(queues=SimpleNamespace(consume_from=["present", "absent"]))
    app = SimpleNamespace(amqp=amqp, connection_for_read=lambda: broker)
    watch.begin(sender=SimpleNamespace(pool=SimpleNamespace(num_processes=1), app=app))
    return watch


@pytest.mark.parametrize("transport", ["amqp", "redis"])
def test_depth_of_queues(reader: InMemoryMetricReader, transport: str) -> None:
    """Whatever speaks AMQP's words is asked; a queue that does not exist has no messages."""
    broker = Broker(transport)
    watch = watch_on(broker, reader)
    wait_until(lambda: broker.looks >= 4)
    assert values(reader, "celery.queue.depth") == [0, 3]
    watch.end()


def test_depth_on_an_unknown_transport(reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture) -> None:
    """On a transport where a look may cost money there is no depth, one line for whoever debugs, and no other look."""
    broker, others = Broker("sqs"), set(threading.enumerate())
    with caplog.at_level(logging.DEBUG, "sloburn"):
        watch = watch_on(broker, reader)
        wait_until(lambda: any("depth" in message for message in caplog.messages))
        wait_until(lambda: not any(thread.name == "sloburn-queues" for thread in set(threading.enumerate()) - others))
    expected = "the depth of queues is not measured on sqs: only on amqp, filesystem, memory, redis"
    assert [message for message in caplog.messages if "depth" in message] == [expected]
    assert (values(reader, "celery.queue.depth"), broker.looks) == ([], 0)
    watch.end()


_FORKS_WHILE_LOOKING = """
import os, time
from types import SimpleNamespace
from opentelemetry.metrics import NoOpMeter
from sloburn.sdk.integrations.celery_worker import WorkerWatch

class Broker:
    transport = SimpleNamespace(driver_type="redis")
    channel_errors = ()
    is_asked = False
    looks = 0
    __enter__ = lambda self: self
    __exit__ = lambda self, *_: None
    close = lambda self: None
    channel = lambda self: self
    def queue_declare(self, **_):
        self.is_asked = True
        time.sleep(0.02)
        self.is_asked = False
        self.looks += 1
        return SimpleNamespace(message_count=0)

broker = Broker()
queues = SimpleNamespace(consume_from=["celery"])
app = SimpleNamespace(connection_for_read=lambda: broker, amqp=SimpleNamespace(queues=queues))
watch = WorkerWatch(NoOpMeter("test"), interval_seconds=0.01, fork_patience_seconds=60)
watch.begin(sender=SimpleNamespace(app=app))
while not broker.is_asked:
    time.sleep(0.001)
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        os._exit(int(broker.is_asked))
    assert os.waitpid(pid, 0)[1] == 0, "forked in the middle of a look"
before = broker.looks
while broker.looks == before:
    time.sleep(0.001)
"""


def test_no_child_is_forked_in_the_middle_of_a_look() -> None:
    """A client's lock that a look holds would stay locked in the child for ever: the worker would kill it as hung."""
    succeed(_FORKS_WHILE_LOOKING)
