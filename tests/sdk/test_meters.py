"""Instruments that survive a fork."""

from __future__ import annotations

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from sloburn.sdk.histograms import Histograms
from sloburn.sdk.meters import ForkSafeMeterProvider
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed


class Readers:
    """Makes SDK providers and remembers the newest one's reader."""

    def __init__(self) -> None:
        self.newest = InMemoryMetricReader()
        self.histograms = Histograms()

    def make(self) -> MeterProvider:
        """Return a new provider."""
        self.newest = InMemoryMetricReader()
        self.histograms.begin(Resource.get_empty())
        return MeterProvider(metric_readers=[self.newest], shutdown_on_exit=False)

    def values(self) -> dict[str, float]:
        """Collect the newest provider's values by name."""
        data = self.histograms.add_to(self.newest.get_metrics_data())
        scopes = [scope for part in (data.resource_metrics if data else ()) for scope in part.scope_metrics]
        return {
            metric.name: getattr(point, "value", getattr(point, "count", 0))
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        }


def observe(options: CallbackOptions) -> list[Observation]:
    """Observe seven."""
    return [Observation(7)]


def use_all(meter: Meter) -> None:
    """Use every kind of instrument once."""
    meter.create_counter("counter").add(5)
    meter.create_up_down_counter("up_down").add(-2)
    meter.create_histogram("histogram").record(1.5)
    meter.create_gauge("gauge").set(4)
    meter.create_observable_counter("observable_counter", [observe])
    meter.create_observable_gauge("observable_gauge", [observe])
    meter.create_observable_up_down_counter("observable_up_down", [observe])


def test_every_kind_of_instrument_moves() -> None:
    """All seven kinds work before and after the provider underneath is replaced, and counts start at zero."""
    readers = Readers()
    provider = ForkSafeMeterProvider(readers.make, readers.histograms)
    meter = provider.get_meter("test", "1", attributes={"a": "b"})
    use_all(meter)
    observed = {"observable_counter": 7.0, "observable_gauge": 7.0, "observable_up_down": 7.0}
    assert readers.values() == {"counter": 5, "up_down": -2, "histogram": 1, "gauge": 4, **observed}
    provider.after_fork()
    assert readers.values() == observed
    meter.create_counter("counter").add(1)
    assert readers.values() == {"counter": 1, **observed}


def test_same_names_give_the_same_objects() -> None:
    """A meter or instrument that is asked for again is the same one, so that asking in a loop does not fill memory."""
    provider = ForkSafeMeterProvider(Readers().make, Histograms())
    meter = provider.get_meter("test")
    assert provider.get_meter("test") is meter
    assert meter.create_counter("c") is meter.create_counter("c")


def test_fork_counts_once() -> None:
    """Parent 5 and child 1 sum up to 6, spans arrive from both, and each process has an identity of its own."""
    with Collector() as collector:
        succeed(
            """
import os, sys
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=0.05)
counter = telemetry.meter.create_counter("work")
counter.add(5)
with telemetry.tracer.start_as_current_span("parent"):
    pass
if os.fork() == 0:
    counter.add(1)
    with telemetry.tracer.start_as_current_span("child"):
        pass
    sys.exit()
os.wait()
""",
            collector.endpoint,
        )
        assert collector.total("work") == 6
        parent, child = collector.span("parent"), collector.span("child")
    identities = {point.resource["service.instance.id"] for point in collector.arrivals.points.values()}
    assert {span.resource["service.instance.id"] for span in (parent, child)} == identities
    assert len(identities) == 2


def test_multiprocessing_flushes() -> None:
    """A forked multiprocessing child, which leaves without atexit, loses nothing."""
    with Collector() as collector:
        succeed(
            """
import multiprocessing, sys
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=60)
counter = telemetry.meter.create_counter("work")
counter.add(5)
def work():
    counter.add(1)
children = [multiprocessing.get_context("fork").Process(target=work) for _ in range(2)]
for child in children:
    child.start()
for child in children:
    child.join()
""",
            collector.endpoint,
        )
        assert collector.total("work") == 7
