"""Business metrics in one line: what they count, how labels stay bounded, and that they harm nobody."""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import AsyncGenerator, Callable, Generator

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider

from sloburn.sdk import track as module
from sloburn.sdk.cardinality import OVERFLOW, LabelBounds
from sloburn.sdk.measures import Measures
from sloburn.sdk.prometheus.meters import MirroredMeterProvider
from sloburn.sdk.prometheus.mirror import Mirror
from sloburn.sdk.prometheus.store import Store
from sloburn.sdk.track import count, gauge, track
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

Seen = Callable[[], dict[tuple[str, frozenset[tuple[str, object]]], float]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Return a function that tells what was counted by name and labels; of histograms, how many values."""
    mirror = Mirror()
    store = mirror.store = Store()
    measures = Measures()
    measures.use(MirroredMeterProvider(MeterProvider(), mirror).get_meter("test"))
    monkeypatch.setattr(module, "MEASURES", measures)

    def read() -> dict[tuple[str, frozenset[tuple[str, object]]], float]:
        mirror.refresh()
        return {
            (part.instrument.name, frozenset(part.attributes)): sum(part.counts) or float(part.value)
            for part in store.collect()[0]
        }

    return read


def _run(name: str, **labels: object) -> dict[tuple[str, frozenset[tuple[str, object]]], float]:
    key = frozenset((label.replace("_", "."), value) for label, value in labels.items())
    return {(name, key): 1, (f"{name}.duration", key): 1}


def test_function(seen: Seen) -> None:
    """A function is counted and timed with how it ended, keeps its result, its exceptions and its name."""

    @track("checkout.payment", provider="adyen")
    def pay(amount: int) -> int:
        """Pay."""
        return 100 // amount

    assert (pay(10), pay.__name__, pay.__doc__) == (10, "pay", "Pay.")
    with pytest.raises(ZeroDivisionError):
        pay(0)
    assert seen() == {
        **_run("checkout.payment", provider="adyen", outcome="success"),
        **_run("checkout.payment", provider="adyen", outcome="failure", error_type="ZeroDivisionError"),
    }


def test_block(seen: Seen) -> None:
    """A block may say how it ended and add what it knows only later; asynchronous blocks work alike."""
    with track("order", shop=1) as run:
        run.label(country="de", nothing=None)
        run.outcome("declined")

    async def block() -> None:
        async with track("async.order"):
            await asyncio.sleep(0)

    asyncio.run(block())
    assert seen() == {
        **_run("order", shop=1, country="de", outcome="declined"),
        **_run("async.order", outcome="success"),
    }


def test_one_tracker_in_many_places(seen: Seen) -> None:
    """A tracker may be entered again before it is left, by recursion, tasks and threads; each block has its own run."""
    tracker = track("shared")

    async def task(number: int) -> None:
        with tracker as run:
            await asyncio.sleep(0.001 * (5 - number))
            run.label(task=number)

    async def tasks() -> None:
        await asyncio.gather(*(task(number) for number in range(5)))

    asyncio.run(tasks())
    with tracker as outer, tracker as inner:
        inner.label(at="inner")
        outer.label(at="outer")
    expected = [_run("shared", outcome="success", task=number) for number in range(5)]
    expected += [_run("shared", outcome="success", at=at) for at in ("inner", "outer")]
    assert seen() == {key: value for part in expected for key, value in part.items()}


def test_coroutine(seen: Seen) -> None:
    """A coroutine function is timed until it is done; one that is cancelled is neither success nor failure."""

    @track("job")
    async def job(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    async def run() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(job(60), 0.01)
        return await job(0)

    assert asyncio.run(run()) == "done"
    assert seen() == {
        **_run("job", outcome="success"),
        **_run("job", outcome="cancelled", error_type="asyncio.exceptions.CancelledError"),
    }


def test_generator(seen: Seen) -> None:
    """A generator is one run from its first step to its last, and can still be sent to and thrown into."""

    @track("rows")
    def rows() -> Generator[int, str, str]:
        try:
            answer = yield 1
        except KeyError:
            answer = "thrown"
        yield 2
        return answer

    steps = rows()
    assert (next(steps), steps.send("sent")) == (1, 2)
    with pytest.raises(StopIteration, match="sent"):
        next(steps)
    steps = rows()
    next(steps)
    assert steps.throw(KeyError()) == 2
    steps.close()
    assert seen() == {
        **_run("rows", outcome="success"),
        **_run("rows", outcome="cancelled", error_type="GeneratorExit"),
    }


def test_async_generator(seen: Seen) -> None:
    """An asynchronous generator is one run too, can be sent to and thrown into, and is closed when it is left."""
    closed: list[str] = []

    @track("stream")
    async def stream() -> AsyncGenerator[object, object]:
        try:
            answer = yield 1
            try:
                yield answer
            except KeyError:
                yield "thrown"
        finally:
            closed.append("closed")

    async def use() -> list[object]:
        steps = stream()
        got = [await anext(steps), await steps.asend("sent"), await steps.athrow(KeyError())]
        got += [step async for step in steps]
        early = stream()
        await anext(early)
        await early.aclose()
        return got

    assert asyncio.run(use()) == [1, "sent", "thrown"]
    assert closed == ["closed", "closed"]
    assert seen() == {
        **_run("stream", outcome="success"),
        **_run("stream", outcome="cancelled", error_type="GeneratorExit"),
    }


def test_count_and_gauge(seen: Seen) -> None:
    """Counters add up and gauges keep the last value; enums, numbers and None are labels."""

    class Size(enum.Enum):
        LARGE = "large"

    count("orders", 2, size=Size.LARGE, express=True, note=None)
    count("orders", size="large", express=True)
    gauge("queue", 5, name="mail")
    gauge("queue", 3.5, name="mail")
    assert seen() == {
        ("orders", frozenset({("size", "large"), ("express", True)})): 3,
        ("queue", frozenset({("name", "mail")})): 3.5,
    }


def test_labels_are_bounded(seen: Seen) -> None:
    """From the 101st value on a label is `__overflow__`, the sum stays right, and the overflows are counted."""
    for number in range(1000):
        count("logins", user=number)
    counted = seen()
    logins = {key: value for key, value in counted.items() if key[0] == "logins"}
    assert (len(logins), sum(logins.values())) == (101, 1000)
    assert counted["logins", frozenset({("user", OVERFLOW)})] == 900
    assert counted["sloburn.labels.overflows", frozenset({("metric", "logins"), ("label", "user")})] == 900


def test_sets_of_labels_are_bounded() -> None:
    """Many labels with few values each are bounded too: then all of them overflow at once."""
    bounds = LabelBounds(most_values=10, most_series=50)
    found = [bounds.bound({"a": a, "b": b}) for a in range(10) for b in range(10)]
    assert len({tuple(labels.items()) for labels in found}) == 51
    assert found[-1] == {"a": OVERFLOW, "b": OVERFLOW}
    assert bounds.overflows == {"*": 50}
    assert bounds.bound({"a": "x" * 1000})["a"] == OVERFLOW


def test_bounds_hold_between_threads() -> None:
    """Threads that bring new values at the same time do not get past the bound."""
    bounds = LabelBounds(most_values=10)

    def use(offset: int) -> None:
        for number in range(200):
            bounds.bound({"a": offset * 1000 + number})

    threads = [threading.Thread(target=use, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bounds.overflows["a"] == 4 * 200 - 10


def test_names_are_bounded(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    """A name that holds values makes at most a thousand metrics and one log line."""
    for number in range(1500):
        count(f"orders.{number}")
    assert len(seen()) == 1000
    assert len(caplog.records) == 1
    assert "a name must not hold values" in caplog.text


@pytest.mark.parametrize("bad", ["", "1st", "späti", "x" * 300, None, 5])
def test_names_that_cannot_be_harm_nobody(seen: Seen, bad: object, caplog: pytest.LogCaptureFixture) -> None:
    """A name that OpenTelemetry refuses costs one log line, not the host's request."""

    @track(bad)  # type: ignore[arg-type]
    def work() -> str:
        return "done"

    count(bad)  # type: ignore[arg-type]
    assert work() == "done"
    assert len(caplog.records) <= 1


def test_before_init_and_with_a_provider_of_the_host() -> None:
    """Without `init_telemetry` nothing happens; a provider that the host set itself gets the metrics."""
    succeed(
        """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sloburn import count
count("orders")
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
count("orders", 5)
(metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
assert metric.data.data_points[0].value == 5
"""
    )


def test_live_after_init_in_all_processes() -> None:
    """What was decorated before `init_telemetry` counts after it, in forked children from zero, and feeds OTLP."""
    with Collector() as collector:
        succeed(
            """
import os, sys
from sloburn import count, init_telemetry, track
@track("paid")
def pay(): pass
pay()
telemetry = init_telemetry(endpoint=sys.argv[1])
pay()
if (pid := os.fork()) == 0:
    pay()
    telemetry.shutdown()
    os._exit(0)
os.waitpid(pid, 0)
telemetry.shutdown()
""",
            collector.endpoint,
        )
        assert (collector.total("paid"), collector.total("paid.duration")) == (2, 2)


def test_meter_without_telemetry() -> None:
    """The default meter is OpenTelemetry's own, which does nothing."""
    Measures().count("x", 1, {}, "")
    assert metrics.get_meter_provider() is not None
