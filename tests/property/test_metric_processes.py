"""Shared metrics: whatever processes add, in whatever order, and however they end, a scrape shows the exact sum."""

from __future__ import annotations

import mmap
import signal
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.sdk.prometheus.folder import Folder
from sloburn.sdk.prometheus.store import Store
from tests.processor import wait_until
from tests.sdk.metric_processes import COUNTER, Measured, Worker, by_name, hard_worker

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs fork")

_STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**30)),
    st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from([0, signal.SIGKILL, signal.SIGTERM]), st.just(0)),
    st.tuples(st.just("scrape"), st.integers(0, 0), st.integers(0, 0), st.just(0)),
)


class Truth:
    """What must be seen, kept beside the processes that do it.

    Args:
        folder: Where they keep their numbers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scraper = Store(Folder(folder))
        self._workers: dict[int, Worker] = {}
        self._active: dict[int, int] = {}
        self._work = self._took = self._records = 0

    def add(self, number: int, what: int, amount: int) -> None:
        """Let a process add, a new one if that number has none."""
        if number not in self._workers:
            self._workers[number] = Worker(self._folder)
        self._workers[number].add(what, amount)
        self._work += amount if what == 0 else 0
        self._took += amount if what == 1 else 0
        self._records += what == 1
        self._active[number] = self._active.get(number, 0) + (amount if what == 3 else 0)

    def end(self, number: int, how: int) -> None:
        """End a process."""
        if number in self._workers:
            self._workers.pop(number).end(how)
            self._active.pop(number)

    def check(self) -> None:
        """Scrape and compare."""
        series, lost = self._scraper.collect()
        totals = by_name(series)
        assert (totals.get("work", 0), totals.get("took", 0), lost) == (self._work, self._took, 0)
        assert sum(sum(part.counts) for part in series) == self._records
        assert totals.get("active", 0) == sum(self._active.values())

    def close(self) -> None:
        """End all processes."""
        for number in list(self._workers):
            self.end(number, signal.SIGKILL)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(_STEP, min_size=5, max_size=40))
def test_every_interleaving_scrapes_to_the_exact_sum(steps: list[tuple[str, int, int, int]]) -> None:
    """Counters and histograms are exact at every scrape; up-down counters are those of the living."""
    with tempfile.TemporaryDirectory() as path:
        truth = Truth(Path(path))
        try:
            for kind, number, what, amount in steps:
                if kind == "add":
                    truth.add(number, what, amount)
                elif kind == "end":
                    truth.end(number, what)
                else:
                    truth.check()
            truth.check()
        finally:
            truth.close()


def wait_for(truth: mmap.mmap, additions: int) -> None:
    """Wait until a process notes so many additions."""
    wait_until(lambda: struct.unpack("<q", truth[:])[0] >= additions, "it has added enough")


def test_a_process_killed_while_it_adds_loses_nothing(tmp_path: Path) -> None:
    """A process that is killed in the middle of its work has counted all it finished, and at most one more."""
    seen = []
    for _ in range(5):
        with hard_worker(tmp_path) as truth:
            wait_for(truth, 1000)
        seen.append(struct.unpack("<q", truth[:])[0])
        series, lost = Store(Folder(tmp_path)).collect()
        total = by_name(series)["work"]
        assert sum(seen) <= total <= sum(seen) + len(seen)
        assert lost == 0


def test_scrapes_never_go_back_while_processes_come_and_go(tmp_path: Path) -> None:
    """Every scrape shows at least what the scrape before it showed, dead processes being archived in between."""
    scraper = Store(Folder(tmp_path))
    last = 0.0
    for _ in range(4):
        with hard_worker(tmp_path) as truth:
            wait_for(truth, 200)
            for _ in range(20):
                series, _ = scraper.collect()
                now = by_name(series).get("work", 0.0)
                assert now >= last
                last = now


def test_fractions_stay_monotonic_when_processes_are_archived(tmp_path: Path) -> None:
    """Sums of fractions do not change by a rounding error when a process ends: Prometheus would see a restart."""
    living = Store(Folder(tmp_path))
    dead = [Store(Folder(tmp_path)) for _ in range(7)]
    for number, store in enumerate([living, *dead]):
        for _ in range(10):
            store.add(Measured(COUNTER), 0.1 * 3**number, None)
    scraper = Store(Folder(tmp_path))
    before = by_name(scraper.collect()[0])["work"]
    for store in dead:
        store.begin_anew()
        assert by_name(scraper.collect()[0])["work"] == before
