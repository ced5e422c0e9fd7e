"""Processes that add to shared metrics when they are told to, and die when they are told to."""

from __future__ import annotations

import mmap
import os
import signal
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sloburn.sdk.prometheus.folder import Folder
from sloburn.sdk.prometheus.series import Instrument, Places, Series
from sloburn.sdk.prometheus.store import Store

COUNTER = Instrument(name="work", kind="counter")
HISTOGRAM = Instrument(name="took", kind="histogram", boundaries=(1.0, 10.0))
GAUGE = Instrument(name="depth", kind="gauge")
UPDOWN = Instrument(name="active", kind="updown")
_LEAVE = struct.pack("<ii", -1, 0)


class Measured:
    """An instrument without OpenTelemetry behind it."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.places: Places = {}


class Worker:
    """A forked process that adds one number at a time and says when it has.

    Args:
        folder: Where it keeps its numbers.
    """

    def __init__(self, folder: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._commands)
            _work(Store(Folder(folder)), commands, answers)
        os.close(commands)
        os.close(answers)

    def add(self, kind: int, amount: int) -> None:
        """Let it add, and wait until it has."""
        os.write(self._commands, struct.pack("<ii", kind, amount))
        assert os.read(self._answers, 1) == b"+"

    def end(self, number: int) -> None:
        """End it with a signal; 0 lets it leave by itself."""
        if number:
            os.kill(self.pid, number)
        else:
            # Closing the pipe would not do: workers that were forked later hold it too.
            os.write(self._commands, _LEAVE)
        os.close(self._commands)
        os.close(self._answers)
        os.waitpid(self.pid, 0)


def _work(store: Store, commands: int, answers: int) -> None:
    measured = [Measured(COUNTER), Measured(HISTOGRAM), Measured(GAUGE), Measured(UPDOWN)]
    while (command := os.read(commands, 8)) not in (_LEAVE, b""):
        kind, amount = struct.unpack("<ii", command)
        if kind == 1:
            store.record(measured[1], amount, (amount > 1) + (amount > 10), {"a": 1})
        elif kind == 2:
            store.set(measured[2], amount, None)
        else:
            store.add(measured[kind], amount, {"k": amount % 3})
        os.write(answers, b"+")
    os._exit(0)


@contextmanager
def hard_worker(folder: Path) -> Iterator[mmap.mmap]:
    """Fork a process that adds without a pause and notes, after each addition, how many there were; kill it."""
    truth = mmap.mmap(-1, 8)
    pid = os.fork()
    if pid == 0:
        store, measured = Store(Folder(folder)), Measured(COUNTER)
        while True:
            store.add(measured, 1, None)
            truth[:] = struct.pack("<q", struct.unpack("<q", truth[:])[0] + 1)
    try:
        yield truth
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def by_name(series: list[Series]) -> Mapping[str, float]:
    """Return the sums of all series of each instrument."""
    totals: dict[str, float] = {}
    for part in series:
        totals[part.instrument.name] = totals.get(part.instrument.name, 0.0) + float(part.value)
    return totals
