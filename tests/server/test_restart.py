"""What a restart finds beside the counts: states, silence, and what the autopsy knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sloburn.duration import MINUTE, SECOND
from sloburn.errors import StorageCorrupt
from sloburn.otlp.anyvalue import any_value
from sloburn.server.looks import MAX_LOOKS, read_looks, write_looks
from sloburn.server.storage import FILE_NAME
from sloburn.sli.autopsy import Autopsy
from sloburn.sli.engine import Engine
from sloburn.sli.status import SloState
from sloburn.slo.model import Slo
from sloburn.spec import parse_slos
from tests.promises import span_slo
from tests.server.test_reload import BY_ROUTE, Service
from tests.sli.harness import NOW

SILENCE = """
version: sloburn/v1
slos:
  - {name: errors, service: shop, objective: 99.9, period: 30d, indicator: {spans: {}, bad: {status: error}}}
  - {name: minutes, service: shop, objective: 99.9, period: 30d,
     slices: {length: 1m, target: 95%, no_events: bad}, indicator: {spans: {}, bad: {status: error}}}
"""


def start(folder: Path, now: int, *slos: Slo) -> Service:
    """Return the next life."""
    return Service(folder, *(slos or (span_slo(), BY_ROUTE)), now=now)


def test_groups_that_alert_apart_begin_no_new_history(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The whole that they had is not taken for an SLO that counts something else now."""
    together, apart = (replace(BY_ROUTE, alerting=replace(BY_ROUTE.alerting, together=on)) for on in (True, False))
    service = start(tmp_path, NOW, together)
    service.spans(1, 2)
    service.keeper.checkpoint(service.now)
    service.kill()
    start(tmp_path, NOW + SECOND, apart).kill()
    assert "history begins anew" not in caplog.text


def states(service: Service) -> list[tuple[str, SloState, int]]:
    """Return every SLO's state and since when it is in it."""
    found = service.keeper.engine.tick(service.now).statuses
    return [(one.slo.name, one.state, one.since_unix_nano) for one in found]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_states_are_what_they_were(tmp_path: Path, *, checkpoint: bool) -> None:
    """No moment of "no data" after a kill: a service that was heard of a moment ago is not silent."""
    service = start(tmp_path, NOW)
    service.spans(*range(1, 200))
    states(service)
    service.keeper.checkpoint(service.now)
    service.now += 30 * SECOND
    service.spans(200, 201)
    before = states(service)
    assert {state for _, state, _ in before} == {SloState.OK}
    assert {since for *_, since in before} == {NOW}
    if checkpoint:
        service.keeper.checkpoint(service.now)
    service.kill()
    service = start(tmp_path, service.now + SECOND)
    assert states(service) == before
    service.kill()


def test_silence_is_known_since_its_beginning(tmp_path: Path) -> None:
    """A service that was silent before a kill is silent after it, since the same moment."""
    service = start(tmp_path, NOW)
    service.spans(1, 2)
    states(service)
    service.now += 10 * MINUTE
    before = states(service)
    assert {state for _, state, _ in before} == {SloState.NO_DATA}
    service.keeper.checkpoint(service.now)
    service.kill()
    service = start(tmp_path, service.now + MINUTE)
    assert states(service) == before
    service.kill()


def test_verdicts_on_silence_are_no_sign_of_life(tmp_path: Path) -> None:
    """Slices that were judged bad because nothing came do not make a burning SLO of a silent one after a kill."""
    slos = parse_slos(SILENCE, "slos.yaml")
    service = start(tmp_path, NOW, *slos)
    service.spans(*range(1, 200), error=True)
    assert {state for _, state, _ in states(service)} >= {SloState.BURNING}
    service.keeper.checkpoint(service.now)
    for _ in range(10):
        service.now += MINUTE
        service.keeper.commit(service.keeper.engine.judge(service.now), service.now)
    before = states(service)
    service.kill()
    service = start(tmp_path, service.now + SECOND, *slos)
    assert dict(one[:2] for one in before)["errors"] is SloState.NO_DATA
    assert [one[:2] for one in states(service)] == [one[:2] for one in before]
    service.kill()


def test_a_service_that_stayed_away_is_silent(tmp_path: Path) -> None:
    """Nobody is taken for alive who was not heard while the processor was down."""
    service = start(tmp_path, NOW)
    service.spans(1, 2)
    service.kill()
    service = start(tmp_path, NOW + 10 * MINUTE)
    assert {state for _, state, _ in states(service)} == {SloState.NO_DATA}
    service.kill()


def test_the_autopsy_survives_a_stop(tmp_path: Path) -> None:
    """What stands out among the bad events is the same after a restart, and goes on to be counted."""
    service = start(tmp_path, NOW)
    service.spans(*range(1, 61))
    service.spans(*range(300, 330, 3), error=True)
    before = [(one.suspects, one.failing) for one in service.keeper.engine.tick(NOW).statuses]
    assert before[0][0][0].value == "/0"
    service.keeper.finish(NOW)
    service.kill()
    service = start(tmp_path, NOW + SECOND)
    assert [(one.suspects, one.failing) for one in service.keeper.engine.tick(service.now).statuses] == before
    service.spans(*range(400, 491, 3), error=True)
    (first, *_) = service.statuses()[0].suspects
    assert (first.key, first.value, first.count.bad) == ("http.route", "/1", 31)
    service.kill()


def test_the_autopsy_is_stored_once_a_minute(tmp_path: Path) -> None:
    """A kill loses at most what was learnt since it was last stored."""
    service = start(tmp_path, NOW)
    service.spans(*range(3, 33, 3), error=True)
    service.now += MINUTE
    service.keeper.checkpoint(service.now)
    service.spans(*range(100, 160, 3), error=True)
    service.keeper.checkpoint(service.now)
    service.kill()
    service = start(tmp_path, service.now)
    (status,) = service.statuses()
    assert [(one.value, one.count.bad) for one in status.suspects if one.key == "http.route"] == [("/0", 10)]
    service.kill()


def test_old_blocks_of_the_autopsy_are_deleted(tmp_path: Path) -> None:
    """The store holds what the autopsy still looks at and nothing else."""
    service = start(tmp_path, NOW)
    for _ in range(40):
        service.spans(service.now // SECOND, error=True)
        service.now += 5 * MINUTE
        service.keeper.checkpoint(service.now)
    assert len(list(service.keeper.store.looks())) == 13
    service.kill()


def test_looks_are_bounded() -> None:
    """Beyond a number, looks are stored by what they mean: bad ones are kept before good ones, no event is lost."""
    engine = Engine((span_slo(),), any_value, epoch=0)
    autopsy = Autopsy(60 * MINUTE)
    for n in range(2 * MAX_LOOKS):
        outcome = engine.outcome([], [1]) if n % 4 == 0 else engine.outcome([1], [])
        autopsy.restore(NOW, outcome, (("", ""), ("k", str(n))), n + 1)
    ((_, entries),) = autopsy.changes()
    found = list(read_looks(write_looks(entries)))
    assert len(found) == MAX_LOOKS + 1
    assert sum(events for *_, events in found) == sum(range(2 * MAX_LOOKS + 1))
    assert sum(1 for good, bad, *_ in found if bad) == MAX_LOOKS // 2


def test_looks_that_cannot_be_read_are_damage() -> None:
    """Something else is never taken for what the autopsy knew."""
    with pytest.raises(StorageCorrupt, match="what the autopsy knew cannot be read back"):
        list(read_looks(b"something else"))


def test_a_store_ends_with_its_main_file_alone(tmp_path: Path) -> None:
    """After a stop nothing lies beside the store that an operator would have to know of."""
    service = start(tmp_path, NOW)
    service.spans(1)
    service.keeper.finish(NOW)
    service.kill()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
