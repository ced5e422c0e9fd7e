"""The store: a kill at any moment changes no number."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloburn.duration import SECOND
from sloburn.errors import StorageCorrupt, StorageError
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.recovery import restore
from sloburn.server.states import read_alerts, write_alerts
from sloburn.server.storage import FILE_NAME, KEEP_ROWS_NS, KEPT_NOTICES, Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.status import Snapshot
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import BudgetLevel, Severity, Slo
from tests.promises import metric_slo, span_slo
from tests.server.hasty import HastyStore
from tests.sli.harness import NOW
from tests.telemetry import PointSpec, SpanSpec, metric_request, trace_request

SLOS = (span_slo(), span_slo("by-route", group_by=("http.route",)), metric_slo("work", metric="jobs", threshold=None))


class Life:
    """One life of a processor, without its servers; it ends without a word, as by kill -9."""

    store_type = Store

    def __init__(self, folder: Path, slos: tuple[Slo, ...] = SLOS) -> None:
        self.store = self.store_type(folder, NOW)
        self.engine = Engine(slos, any_value, epoch=self.store.epoch)
        try:
            self.scribe, self.applied = restore(self.engine, self.store)
        except BaseException:
            self.store.close()
            raise

    def spans(self, *numbers: int, error: bool = False, now: int = NOW) -> None:
        """Take spans, durably."""
        specs = [SpanSpec(number=n, end=now, error=error, values={"http.route": f"/{n % 3}"}) for n in numbers]
        commit = Commit()
        body = trace_request(specs).SerializeToString()
        self.engine.prepare_traces(decode(Signal.TRACES, Encoding.PROTOBUF, body), now, commit)
        self._commit(commit, now)

    def jobs(self, value: int, at: int) -> None:
        """Take a point of a cumulative counter, durably; `at` is seconds after NOW."""
        commit = Commit()
        body = metric_request("jobs", [PointSpec(time=NOW + at * SECOND, start=NOW, value=value)]).SerializeToString()
        self.engine.prepare_metrics(decode(Signal.METRICS, Encoding.PROTOBUF, body), NOW, commit)
        self._commit(commit, NOW)

    def _commit(self, commit: Commit, now: int) -> None:
        if not commit.is_empty:
            self.store.append(now, *self.scribe.write(commit))
            self.scribe.written()
        self.engine.apply(commit)

    def checkpoint(self, now: int = NOW) -> None:
        """Write a checkpoint."""
        checkpoint = self.scribe.checkpoint(now)
        self.store.checkpoint(checkpoint, now)
        self.scribe.kept(checkpoint)

    def count(self, name: str = "availability") -> Count:
        """Return the lifetime of an SLO without groups."""
        return next(s.lifetime for s in self.engine.tick(NOW).statuses if s.slo.name == name)

    def end(self) -> Snapshot:
        """Return the last numbers and go."""
        snapshot = self.engine.tick(NOW)
        self.store.close()
        return snapshot


class HastyLife(Life):
    """A life of which there are many."""

    store_type = HastyStore


def numbers_of(snapshot: Snapshot) -> list[object]:
    """Return what must be the same after a restart."""
    return [(s.slo.name, s.group, s.count, s.lifetime, s.burns, s.failing, s.budget) for s in snapshot.statuses]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("spans"), st.lists(st.integers(1, 50), max_size=5), st.booleans()),
        st.tuples(st.just("jobs"), st.integers(0, 20), st.integers(0, 50)),
        st.tuples(st.just("checkpoint"), st.none(), st.none()),
        st.tuples(st.just("kill"), st.none(), st.none()),
    ),
    max_size=25,
)


@pytest.mark.timeout(500)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_kills_change_no_number(
    steps: list[tuple[str, object, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A life with kills and checkpoints anywhere ends with the numbers of a life without any."""
    plain, killed = (tmp_path_factory.mktemp(name) for name in ("plain", "killed"))
    one, other = HastyLife(plain), HastyLife(killed)
    for kind, first, second in steps:
        if kind == "kill":
            other.end()
            other = HastyLife(killed)
        elif kind == "checkpoint":
            other.checkpoint()
        for life in (one, other):
            if kind == "spans":
                life.spans(*first, error=bool(second))  # type: ignore[misc]
            elif kind == "jobs":
                life.jobs(first, second)  # type: ignore[arg-type]
    other.end()
    assert numbers_of(HastyLife(killed).end()) == numbers_of(one.end())


def test_replays_only_what_the_checkpoint_lacks(tmp_path: Path) -> None:
    """A start applies the commits after the checkpoint and no others."""
    life = Life(tmp_path)
    life.spans(1)
    life.checkpoint()
    life.spans(2)
    life.spans(3, error=True)
    life.end()
    again = Life(tmp_path)
    assert (again.applied, again.count()) == (2, Count(2, 1))
    again.end()


def test_a_resent_span_is_known_after_a_restart(tmp_path: Path) -> None:
    """Span ids survive, with and without a checkpoint between."""
    life = Life(tmp_path)
    life.spans(1)
    life.checkpoint()
    life.spans(2)
    life.end()
    again = Life(tmp_path)
    again.spans(1, 2, 3)
    assert again.count() == Count(3, 0)
    again.end()


def test_a_counter_goes_on_where_it_was(tmp_path: Path) -> None:
    """What a cumulative stream counted while nobody looked is there with its next point."""
    life = Life(tmp_path)
    life.jobs(10, 0)
    life.checkpoint()
    life.end()
    again = Life(tmp_path)
    again.jobs(25, 1)
    assert again.count("work") == Count(25, 0)
    again.end()


def test_rows_are_forgotten_in_time(tmp_path: Path) -> None:
    """Rows that a checkpoint contains stay for the span ids in them, and then go."""
    life = Life(tmp_path)
    life.spans(1)
    life.checkpoint()
    assert len(list(life.store.rows())) == 1
    life.checkpoint(NOW + KEEP_ROWS_NS + 1)
    assert list(life.store.rows()) == []
    life.spans(2)
    assert life.count() == Count(2, 0)
    life.end()
    again = Life(tmp_path)
    assert again.count() == Count(2, 0)
    again.end()


def test_an_objective_may_change_but_not_what_is_counted(tmp_path: Path) -> None:
    """A new objective keeps the history; another condition begins a new one; an SLO that went leaves no trace."""
    life = Life(tmp_path)
    life.spans(1, 2, 3)
    life.end()
    softer = Life(tmp_path, (span_slo(objective="0.9"),))
    assert softer.count() == Count(3, 0)
    softer.end()
    other = Life(tmp_path, (span_slo(service="shop", group_by=("http.route",)),))
    assert other.engine.tick(NOW).statuses == ()
    other.end()


def test_alerts_are_read_back(tmp_path: Path) -> None:
    """An alert that fires goes on firing after a restart, since the same moment."""
    firing = Alert(severity=Severity.PAGE, state=AlertState.FIRING, since_unix_nano=7, fired_unix_nano=7)
    life = Life(tmp_path)
    key = next(key for key in life.engine.series if key.slo == "availability")
    life.store.save_alerts([(key, write_alerts((firing,)))])
    life.end()
    again = Life(tmp_path)
    assert again.engine.series[key].alerts[0] == firing
    assert read_alerts(write_alerts((firing,))) == (firing,)
    again.end()


def test_budget_alerts_are_read_back(tmp_path: Path) -> None:
    """A budget alert keeps its identity over a restart, and one that the file no longer asks for is forgotten."""
    level = BudgetLevel(severity=Severity.PAGE, left=Fraction(1, 3), clear=Fraction(1, 2))
    plain = span_slo()
    slo = replace(plain, alerting=replace(plain.alerting, budget=(level,)))
    firing = Alert(
        severity=Severity.PAGE, left=Fraction(1, 3), state=AlertState.FIRING, since_unix_nano=7, fired_unix_nano=7
    )
    life = Life(tmp_path, (slo,))
    (key,) = life.engine.series
    life.store.save_alerts([(key, write_alerts((firing,)))])
    life.end()
    again = Life(tmp_path, (slo,))
    assert again.engine.series[key].alerts[2] == firing
    again.end()
    without = Life(tmp_path, (plain,))
    assert {alert.left for alert in without.engine.series[key].alerts} == {None}
    without.end()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A path that cannot be a folder is refused with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot keep data in .*file/data: Not a directory; choose .* --data"):
        Store(tmp_path / "file" / "data", NOW)


def test_a_store_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of somebody else's rights is refused as what it is, neither damaged nor moved aside."""
    Life(tmp_path).end()
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(StorageError, match=r"sloburn.db: it may not be read and written; expected the rights to do"):
        Store(tmp_path, NOW)


def test_the_newest_notices_are_kept(tmp_path: Path) -> None:
    """A disk that damages the store every second fills nothing with the stories of it."""
    store = Store(tmp_path, NOW)
    for number in range(KEPT_NOTICES + 5):
        store.note(NOW + number, str(number))
    assert [text for _, text in store.notices()] == [str(number) for number in range(5, KEPT_NOTICES + 5)]
    store.close()


def test_a_store_belongs_to_one_processor(tmp_path: Path) -> None:
    """A second processor on the same folder is refused, and the first goes on."""
    life = Life(tmp_path)
    with pytest.raises(StorageError, match="another processor uses it"):
        Store(tmp_path, NOW)
    life.spans(1)
    assert life.count() == Count(1, 0)
    life.end()


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """A file that is no database is named, and nothing is overwritten."""
    (tmp_path / FILE_NAME).write_text("this is no database" * 100)
    with pytest.raises(StorageCorrupt, match="file is not a database"):
        Store(tmp_path, NOW)
    assert (tmp_path / FILE_NAME).read_text().startswith("this is no database")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET told = 'x'",
        "UPDATE journal SET told = ''",
        "UPDATE journal SET told = '{}'",
        "UPDATE journal SET counts = x'00'",
        "UPDATE journal SET counts = zeroblob(16)",
        "UPDATE journal SET seen = x'00'",
        "UPDATE journal SET seen = zeroblob(13)",
        "UPDATE journal SET streams = zeroblob(20)",
        "UPDATE blocks SET cells = x'00'",
        "UPDATE OR REPLACE blocks SET series = 77",
        "UPDATE series SET state = '{}'",
        "UPDATE OR REPLACE series SET name = number",
        "UPDATE streams SET state = '[1]'",
        "UPDATE streams SET state = zeroblob(21)",
        "DELETE FROM meta WHERE name = 'epoch'",
    ],
)
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    """What cannot be read back is said to be so; it is never taken for zero."""
    life = Life(tmp_path)
    life.spans(1)
    life.jobs(1, 0)
    life.checkpoint()
    life.spans(2)
    life.end()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute(damage)
    db.close()
    with pytest.raises(StorageCorrupt):
        Life(tmp_path)
