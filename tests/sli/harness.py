"""An engine with a clock of its own, fed with requests as they come over the wire."""

from __future__ import annotations

from collections import Counter

from google.protobuf.message import Message

from sloburn.duration import SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.status import SloStatus, Snapshot
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo

NOW = 1_760_000_000 * SECOND


class Bench:
    """Feeds an engine and reads it.

    Args:
        slos: What it counts.
        epoch: When its history begins.
        time_scale: How fast its windows run.
    """

    def __init__(self, *slos: Slo, epoch: int = 0, time_scale: int = 1, seen_capacity: int = 1_000_000) -> None:
        self.engine = Engine(slos, any_value, epoch=epoch, time_scale=time_scale, seen_capacity=seen_capacity)
        self.now = NOW

    def traces(self, *requests: Message) -> list[str]:
        """Send requests of spans as one batch; return why spans were refused."""
        return self._send(Signal.TRACES, requests)

    def metrics(self, *requests: Message) -> list[str]:
        """Send requests of data points as one batch; return why points were refused."""
        return self._send(Signal.METRICS, requests)

    def logs(self, *requests: Message) -> list[str]:
        """Send requests of log records as one batch; return why records were refused."""
        return self._send(Signal.LOGS, requests)

    def _send(self, signal: Signal, requests: tuple[Message, ...]) -> list[str]:
        commit, refused = Commit(), []
        for request in requests:
            message = decode(signal, Encoding.PROTOBUF, request.SerializeToString())
            prepare = {
                Signal.TRACES: self.engine.prepare_traces,
                Signal.METRICS: self.engine.prepare_metrics,
                Signal.LOGS: self.engine.prepare_logs,
            }[signal]
            refused += prepare(message, self.now, commit)  # type: ignore[operator]
        self.engine.apply(commit)
        return refused

    def snapshot(self) -> Snapshot:
        """Judge slices of time and evaluate everything now."""
        self.engine.apply(self.engine.judge(self.now))
        return self.engine.tick(self.now)

    def status(self, name: str | None = None) -> SloStatus:
        """Return the only status, or the one of that name."""
        found = [status for status in self.snapshot().statuses if name in (None, status.slo.name)]
        assert len(found) == 1, [(status.slo.name, status.group) for status in found]
        return found[0]

    def count(self, name: str | None = None) -> Count:
        """Return the period's events of an SLO."""
        return self.status(name).count

    def items(self) -> Counter[tuple[str, str]]:
        """Return what became of every item."""
        return Counter(self.snapshot().items)
