"""What was lost on its way survives kill -9 and checkpoints like what was counted."""

from __future__ import annotations

from pathlib import Path

from sloburn.duration import DAY, SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.recovery import restore
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.slo.model import Slo
from tests.promises import span_slo
from tests.sli.harness import NOW
from tests.telemetry import PointSpec, metric_request


class Life:
    """One life of a processor, without its servers; it ends without a word."""

    def __init__(self, folder: Path, *slos: Slo) -> None:
        self.store = Store(folder, NOW)
        self.engine = Engine(slos, any_value, epoch=self.store.epoch)
        self.scribe, _ = restore(self.engine, self.store)

    def lose(self, value: int, at: int, exporter: str = "otlp_http/sloburn") -> None:
        """Take a Collector's drop counter, durably; `at` is seconds after NOW."""
        point = PointSpec(time=NOW + at * SECOND, start=NOW, value=value, values={"exporter": exporter})
        body = metric_request("otelcol_exporter_send_failed_spans", [point], service="otelcol").SerializeToString()
        commit = Commit()
        self.engine.prepare_metrics(decode(Signal.METRICS, Encoding.PROTOBUF, body), point.time, commit)
        self.store.append(point.time, *self.scribe.write(commit))
        self.scribe.written()
        self.engine.apply(commit)

    def checkpoint(self, now: int = NOW) -> None:
        """Write a checkpoint."""
        checkpoint = self.scribe.checkpoint(now)
        self.store.checkpoint(checkpoint, now)
        self.scribe.kept(checkpoint)

    def missing(self) -> int:
        """Return how many events the only SLO may lack."""
        (status,) = self.engine.tick(NOW + 60 * SECOND).statuses
        return status.incomplete.missing if status.incomplete else 0


def test_a_kill_forgets_no_loss(tmp_path: Path) -> None:
    """Losses and the counters behind them are there again, from the journal, from a checkpoint and from both."""
    for at, (value, expected) in enumerate([(5, 5), (9, 9), (2, 11)]):
        life = Life(tmp_path, span_slo())
        life.lose(value, at)
        if at == 1:
            life.checkpoint()
        assert life.missing() == expected
        life.store.close()
    last = Life(tmp_path, span_slo())
    assert last.missing() == 11
    assert last.engine.tick(NOW).lost == {("", "traces", "not sent by a Collector"): 11}
    last.store.close()


def test_old_losses_leave_the_store(tmp_path: Path) -> None:
    """After the period nothing of a loss is kept but its number."""
    life = Life(tmp_path, span_slo())
    life.lose(5, 0)
    life.checkpoint()
    life.checkpoint(NOW + 40 * DAY)
    assert list(life.store.blocks()) == []
    life.store.close()


def test_losses_outlive_a_change_of_slos(tmp_path: Path) -> None:
    """Another set of SLOs reads the same losses: they belong to the service, not to an SLO."""
    life = Life(tmp_path, span_slo())
    life.lose(5, 0)
    life.checkpoint()
    life.store.close()
    other = Life(tmp_path, span_slo("other", objective="0.9", period_ns=7 * DAY))
    assert other.missing() == 5
    other.store.close()
