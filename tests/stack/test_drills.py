"""What breaks in production, broken on purpose under load: no SLI event is lost, and what else is lost is known."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from collector.stack import state as states
from collector.stack.lifecycle import Stack

from tests.stack.backends import PATIENCE_SECONDS, Backends, wait_for
from tests.stack.conftest import Report
from tests.stack.drill import SPANS, Load, outage_seconds

PHASE_SPANS = 400  # how long each phase lasts: before the fault, during it, after it
_WINDOW_NS = 4 * 10**9
DECISION_SECONDS = 30.0  # tail sampling has decided after ten
SELECTOR = '{service_name="drill"}'
T = TypeVar("T")
CALLS = 'sum(traces_span_metrics_calls_total{service_name="drill"})'


class Tally:
    """What each backend had before a drill, to compare with what it has afterwards."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self.events_before = backends.settled_events("drill")
        self._lines = backends.count_lines(SELECTOR)
        self._traces: set[int] = set()
        self._patience_seconds = PATIENCE_SECONDS + 2 * outage_seconds()  # a backlog takes its time

    def _wait(self, look: Callable[[], T], what: str) -> T:
        return wait_for(look, what, self._patience_seconds)

    def assert_counted(self, load: Load) -> None:
        """Every span that was taken is an event in sloburn's ledger, once."""
        sent = len(load.spans)
        counted = self._wait(lambda: found if (found := self.events()) >= sent else 0, f"sloburn counts {sent} events")
        assert counted == sent

    def assert_lines_kept(self, load: Load) -> None:
        """Every log line that was taken is in Loki; a line that was sent twice may be there once."""
        self._wait(lambda: self.lines() >= load.lines, f"Loki has {load.lines} lines")

    def settled_missing_traces(self, load: Load) -> int:
        """Return how many traces Jaeger does not have once no more come."""
        seen: list[tuple[float, int]] = []

        def stands_still() -> bool:
            now, count = time.monotonic(), len(self.missing_traces(load))
            if not seen or seen[-1][1] != count:
                seen.append((now, count))
            return now - seen[-1][0] > DECISION_SECONDS

        self._wait(stands_still, "no more traces come")
        return seen[-1][1]

    def assert_traces_kept(self, load: Load) -> None:
        """Every trace that was taken is in Jaeger."""
        self._wait(lambda: not self.missing_traces(load), f"Jaeger has {len(load.spans)} traces")

    def assert_lost_traces_are_few(self, load: Load, most: int) -> None:
        """All but so many traces come to Jaeger; how long a backlog takes is up to its disk."""
        self._wait(lambda: len(self.missing_traces(load)) <= most, f"Jaeger has all but {most} of {len(load.spans)}")

    def missing_traces(self, load: Load) -> set[int]:
        """Return the traces that Jaeger does not have; it is asked for some seconds of them at a time, and once."""
        missing = {number: end for number, end in load.spans.items() if number not in self._traces}
        for begin in {end - end % _WINDOW_NS for end in missing.values()}:
            self._traces |= self._backends.trace_ids("drill", begin - _WINDOW_NS, begin + _WINDOW_NS)
        return missing.keys() - self._traces

    def summary(self, load: Load) -> str:
        """Say what was sent and what is where."""
        found = f"{self.events()} in sloburn, {self.lines()} log lines in Loki"
        return f"{len(load.spans)} spans and {load.lines} log lines taken, {load.refused} times refused; {found}"

    def events(self) -> int:
        """Return how many events were counted since."""
        return self._backends.events("drill") - self.events_before

    def lines(self) -> int:
        """Return how many lines came to Loki since."""
        return self._backends.count_lines(SELECTOR) - self._lines


@pytest.mark.parametrize("name", ["jaeger", "loki", "sloburn", "prometheus"])
def test_backend_is_down_for_a_while(stack: Stack, backends: Backends, report: Report, name: str) -> None:
    """What a backend misses waits for it, on disk; nothing is refused meanwhile, and its neighbours notice nothing."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        load.wait_for_more(PHASE_SPANS)
        stack.kill(name)
        began = time.monotonic()
        load.wait_for_more(PHASE_SPANS)
        load.wait_until(began + outage_seconds())
        _assert_neighbours_go_on(backends, name)
        stack.start(name)
        away = time.monotonic() - began
        load.wait_for_more(PHASE_SPANS)

    assert load.refused == 0
    tally.assert_counted(load)
    tally.assert_lines_kept(load)
    tally.assert_traces_kept(load)
    report(f"{name} down for {away:.0f} s: {tally.summary(load)}")


def _assert_neighbours_go_on(backends: Backends, name: str) -> None:
    if name != "sloburn":
        before = backends.events("drill")
        wait_for(lambda: backends.events("drill") > before, f"sloburn goes on without {name}")
    if name != "loki":
        lines = backends.count_lines(SELECTOR)
        wait_for(lambda: backends.count_lines(SELECTOR) > lines, f"Loki goes on without {name}")


def test_counters_go_on_after_an_outage_of_prometheus(stack: Stack, backends: Backends) -> None:
    """Cumulative counters need no queue: what Prometheus did not see, the next scrape has."""
    tally, load = Tally(backends), Load(backends.ports)
    before = _calls(backends, tally)
    with load.running():
        load.wait_for_more(PHASE_SPANS)
        stack.stop("prometheus")
        load.wait_for_more(PHASE_SPANS)
        stack.start("prometheus")

    wait_for(lambda: (backends.number(CALLS) or 0) >= before + len(load.spans), "every span is in the counter")
    tally.assert_counted(load)


def _calls(backends: Backends, tally: Tally) -> float:
    """Return the counter, which is there if any span was sent before."""
    return wait_for(lambda: backends.number(CALLS), "Prometheus has the counter") or 0 if tally.events_before else 0


def test_collector_is_killed(stack: Stack, backends: Backends, report: Report) -> None:
    """kill -9 under load: senders try again, the queue is still on disk, and no event is lost or counted twice."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        load.wait_for_more(PHASE_SPANS)
        stack.kill("otelcol")
        stack.start("otelcol")
        load.wait_for_more(PHASE_SPANS)

    tally.assert_counted(load)
    tally.assert_lines_kept(load)
    report(f"kill -9 of the Collector: {tally.summary(load)}")


def test_collector_is_killed_while_sloburn_is_down(stack: Stack, backends: Backends, report: Report) -> None:
    """The backlog for the processor survives the Collector's death."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        stack.kill("sloburn")
        load.wait_for_more(PHASE_SPANS)
        stack.kill("otelcol")
        stack.start("otelcol")
        load.wait_for_more(PHASE_SPANS)
        stack.start("sloburn")

    tally.assert_counted(load)
    report(f"kill -9 of the Collector while sloburn is down: {tally.summary(load)}")


@pytest.fixture
def small_queue(stack: Stack, tmp_path: Path) -> Iterator[None]:
    """The Collector with a queue to sloburn that is soon full."""
    option = tmp_path / "small-queue.yaml"
    queue = "sending_queue: {queue_size: 60000, batch: {min_size: 4000, max_size: 20000}}"
    option.write_text(f"exporters:\n  otlp_http/sloburn:\n    {queue}\n")
    before = stack.state
    assert before is not None
    _restart_collector(stack, (str(option),))
    yield
    _restart_collector(stack, before.options)


def _restart_collector(stack: Stack, options: tuple[str, ...]) -> None:
    stack.stop("otelcol")
    now = stack.state
    assert now is not None
    states.save(stack.data, states.with_options(now, options))
    stack.start("otelcol")


@pytest.mark.usefixtures("small_queue")
def test_queue_is_full(stack: Stack, backends: Backends, report: Report) -> None:
    """A full queue sends back what it cannot hold: senders keep it, nothing is lost, and the neighbours go on."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        stack.kill("sloburn")
        load.wait_for_refusal()
        wait_for(lambda: backends.count_lines(SELECTOR), "Loki gets lines all the same")
        stack.start("sloburn")
        load.wait_for_more(PHASE_SPANS)

    tally.assert_counted(load)
    tally.assert_lines_kept(load)
    lost = tally.settled_missing_traces(load)
    report(f"queue to sloburn full: {tally.summary(load)}; {lost} traces lost")


@pytest.fixture
def small_disk(stack: Stack) -> Iterator[Path]:
    """The Collector with its queues on a disk of a few MiB."""
    folder = stack.data / "otelcol"
    stack.stop("otelcol")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        stack.start("otelcol")
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        stack.start("otelcol")
        yield folder
        stack.stop("otelcol")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    stack.start("otelcol")


def test_disk_is_full(stack: Stack, backends: Backends, report: Report, small_disk: Path) -> None:
    """Where the disk of the queue is full, requests are sent back, not lost; with room again all goes on."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        stack.kill("sloburn")
        load.wait_for_refusal()
        stack.start("sloburn")
        load.wait_for_more(PHASE_SPANS)

    tally.assert_counted(load)
    lost = tally.settled_missing_traces(load)
    report(f"disk of the queues full: {tally.summary(load)}; {lost} traces lost")


def test_jaeger_keeps_traces_over_a_restart(stack: Stack, backends: Backends) -> None:
    """What Jaeger had before it was stopped, it has afterwards."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        load.wait_for_more(1)
    trace_id = f"{min(load.spans):032x}"
    wait_for(lambda: backends.trace(trace_id), "the trace is in Jaeger")
    stack.stop("jaeger")
    stack.start("jaeger")

    wait_for(lambda: backends.trace(trace_id), "the trace is still in Jaeger")
    tally.assert_counted(load)  # nothing of it is left for the next drill to count


def test_tail_sampling_is_what_a_crash_costs(stack: Stack, backends: Backends, report: Report) -> None:
    """A killed Collector loses the traces that wait for their decision, no others, and never a part of an SLI."""
    tally, load = Tally(backends), Load(backends.ports)
    with load.running():
        load.wait_for_more(PHASE_SPANS)
        waiting = len(load.spans) + SPANS
        stack.kill("otelcol")
        stack.start("otelcol")
        load.wait_for_more(PHASE_SPANS)

    tally.assert_counted(load)
    tally.assert_lost_traces_are_few(load, waiting)
    lost = tally.settled_missing_traces(load)
    report(f"kill -9 of the Collector: lost {lost} traces of the {waiting} that waited, of {len(load.spans)} in all")
