"""A processor without its servers, ticking on a clock of its own, that can be killed at any moment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sloburn.duration import SECOND
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.keeper import Keeper
from sloburn.sli.commit import Commit
from sloburn.sli.status import SloStatus
from sloburn.slo.model import Slo
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request

LOOK_NS = 20 * SECOND


class Life:
    """Engine and store, looked at every twenty seconds of its own clock.

    Args:
        folder: Of the store.
        slos: What is counted.
        time_scale: How fast the windows run.
    """

    def __init__(self, folder: Path, *slos: Slo, time_scale: int = 1) -> None:
        self.now = NOW
        self._folder = folder
        self._slos = slos
        self._time_scale = time_scale
        self._open()

    def _open(self) -> None:
        self.keeper = Keeper(self._folder, self._slos, self.now, time_scale=self._time_scale)

    def send(self, *specs: SpanSpec, service: str = "shop") -> None:
        """Send spans as one batch."""
        body = trace_request(specs, service).SerializeToString()
        commit = Commit()
        self.keeper.engine.prepare_traces(decode(Signal.TRACES, Encoding.PROTOBUF, body), self.now, commit)
        self.keeper.commit(commit, self.now)

    def look(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], SloStatus]:
        """Judge and evaluate; return every status by name and group."""
        self.keeper.commit(self.keeper.engine.judge(self.now), self.now)
        return {(one.slo.name, one.group): one for one in self.keeper.engine.tick(self.now).statuses}

    def status(self, name: str) -> SloStatus:
        """Look, and return the status of an SLO without groups."""
        return self.look()[name, ()]

    def wait(self, nanoseconds: int) -> None:
        """Let time pass, with a look every twenty seconds."""
        end = self.now + nanoseconds
        while self.now < end:
            self.now = min(end, self.now + LOOK_NS)
            self.look()

    def sleep(self, nanoseconds: int) -> None:
        """Be killed, and start again after so long."""
        self.keeper.store.close()
        self.now += nanoseconds
        self._open()

    def kill(self) -> None:
        """Be killed, and start again at once."""
        self.sleep(0)

    def reload(self, *slos: Slo) -> None:
        """Count for other SLOs."""
        self._slos = slos
        self.keeper.reload(slos, self.now)

    def restart(self, *slos: Slo) -> None:
        """Be stopped, and start again with other SLOs."""
        self.keeper.finish(self.now)
        self._slos = slos
        self.kill()

    def checkpoint(self) -> None:
        """Write a checkpoint."""
        self.keeper.checkpoint(self.now)

    def close(self) -> None:
        """End."""
        self.keeper.store.close()


def spans(ends: Iterable[int], *, first: int = 1, error: bool = False, name: str = "GET /") -> list[SpanSpec]:
    """Return spans that end at some moments, numbered one after another."""
    return [SpanSpec(number=first + index, end=end, error=error, name=name) for index, end in enumerate(ends)]
