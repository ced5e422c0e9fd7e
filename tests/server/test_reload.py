"""Other SLOs while the processor runs: history that is still true is kept, nothing is counted twice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from sloburn.duration import DAY, SECOND
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.keeper import Keeper
from sloburn.server.removed import KEEP_NS
from sloburn.sli.commit import Commit
from sloburn.sli.status import SloStatus
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from sloburn.slo.model import Period, Slo
from tests.promises import CODE_5XX, metric_slo, span_slo
from tests.sli.harness import NOW
from tests.telemetry import PointSpec, SpanSpec, metric_request, trace_request

BY_ROUTE = span_slo("by-route", group_by=("http.route",))
WORK = metric_slo("work", metric="jobs", threshold=None)


class Service:
    """A keeper that telemetry is sent to."""

    def __init__(self, folder: Path, *slos: Slo, now: int = NOW) -> None:
        self.now = now
        self.keeper = Keeper(folder, slos, now)

    def spans(self, *numbers: int, error: bool = False) -> None:
        """Take spans."""
        specs = [SpanSpec(number=n, end=self.now, error=error, values={"http.route": f"/{n % 3}"}) for n in numbers]
        commit = Commit()
        request = decode(Signal.TRACES, Encoding.PROTOBUF, trace_request(specs).SerializeToString())
        self.keeper.engine.prepare_traces(request, self.now, commit)
        self.keeper.commit(commit, self.now)

    def jobs(self, value: int, *, start: int = NOW) -> None:
        """Take a point of a cumulative counter."""
        commit = Commit()
        body = metric_request("jobs", [PointSpec(time=self.now, start=start, value=value)]).SerializeToString()
        request = decode(Signal.METRICS, Encoding.PROTOBUF, body)
        self.keeper.engine.prepare_metrics(request, self.now, commit)
        self.keeper.commit(commit, self.now)

    def reload(self, *slos: Slo) -> None:
        """Serve other SLOs."""
        self.keeper.reload(slos, self.now)

    def statuses(self, name: str = "availability") -> list[SloStatus]:
        """Return an SLO and its groups now."""
        return [one for one in self.keeper.engine.tick(self.now).statuses if one.slo.name == name]

    def count(self, name: str = "availability") -> Count:
        """Return the events ever counted, all groups together."""
        found = [one.lifetime for one in self.statuses(name)]
        return Count(sum(one.good for one in found), sum(one.bad for one in found))

    def kill(self) -> None:
        """End without a word."""
        self.keeper.store.close()


def numbers_of(status: SloStatus) -> list[object]:
    """Return what a reload must leave as it was."""
    return [
        status.count, status.lifetime, status.burns, status.failing, status.suspects, status.alerts, status.state,
        status.since_unix_nano, status.budget,
    ]  # fmt: skip


def test_what_did_not_change_stays(tmp_path: Path) -> None:
    """Counts, budgets, failing traces, suspects, alerts and states of unchanged SLOs are what they were."""
    service = Service(tmp_path, span_slo(), BY_ROUTE, WORK)
    service.spans(*range(1, 101))
    service.jobs(7)
    service.statuses()
    service.now += 20 * SECOND
    service.spans(*range(101, 141), error=True)
    before = [numbers_of(one) for name in ("availability", "by-route", "work") for one in service.statuses(name)]
    service.reload(span_slo("new"), BY_ROUTE, WORK, span_slo())
    after = [numbers_of(one) for name in ("availability", "by-route", "work") for one in service.statuses(name)]
    assert after == before
    assert service.statuses()[0].alerts[0].state is AlertState.FIRING
    service.kill()


@pytest.mark.parametrize("killed", [False, True])
def test_counting_goes_on(tmp_path: Path, *, killed: bool) -> None:
    """Spans that are sent again are known, counters go on where they were, with and without a kill after the reload."""
    service = Service(tmp_path, span_slo(), WORK)
    service.spans(1, 2, 3)
    service.jobs(7)
    service.reload(span_slo(objective="0.9"), WORK)
    service.spans(3, 4, error=True)
    service.now += SECOND
    service.jobs(9)
    if killed:
        service.kill()
        service = Service(tmp_path, span_slo(objective="0.9"), WORK, now=service.now)
    assert (service.count(), service.count("work")) == (Count(3, 1), Count(9, 0))
    service.kill()


def test_another_promise_keeps_the_counts(tmp_path: Path) -> None:
    """Objective, period and alerts may change: what was counted is still true, and is read by the new promise."""
    service = Service(tmp_path, span_slo())
    service.spans(*range(1, 100))
    service.spans(100, error=True)
    assert service.statuses()[0].budget_remaining == -9
    week = replace(span_slo(objective="0.9"), period=Period(length_ns=7 * DAY))
    service.reload(week)
    (status,) = service.statuses()
    assert (status.count, status.budget_remaining) == (Count(99, 1), Fraction(9, 10))
    assert len(status.failing) == 1
    service.kill()


def test_another_indicator_begins_anew_and_the_old_one_comes_back(tmp_path: Path) -> None:
    """What counts something else begins at nothing; the old condition finds its history again."""
    service = Service(tmp_path, span_slo())
    service.spans(1, 2)
    service.reload(span_slo(bad=CODE_5XX))
    assert service.count() == Count(0, 0)
    service.spans(3)
    service.reload(span_slo())
    assert service.count() == Count(2, 0)
    service.kill()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_name_that_comes_back_finds_its_history(tmp_path: Path, *, restarted: bool) -> None:
    """Groups, bad events and alerts of an SLO that was removed for a day are there when it is back."""
    service = Service(tmp_path, span_slo(), BY_ROUTE)
    service.spans(*range(1, 31), error=True)
    service.spans(31, 32)
    before = [(one.group, one.lifetime, one.failing, one.alerts) for one in service.statuses("by-route")]
    service.keeper.save_alerts((key, one.alerts) for key, one in service.keeper.engine.series.items())
    service.reload(span_slo())
    assert service.statuses("by-route") == []
    service.spans(33)
    service.keeper.checkpoint(service.now)
    service.now += DAY
    if restarted:
        service.kill()
        service = Service(tmp_path, span_slo(), now=service.now)
    service.reload(span_slo(), BY_ROUTE)
    after = [(one.group, one.lifetime, one.failing, one.alerts) for one in service.statuses("by-route")]
    assert (after, service.count()) == (before, Count(3, 30))
    service.kill()


def test_what_a_kill_left_in_the_journal_is_kept_for_a_removed_slo(tmp_path: Path) -> None:
    """Commits that no checkpoint contains are not lost to an SLO that is missing at the next start."""
    service = Service(tmp_path, span_slo(), BY_ROUTE)
    service.spans(1, 2)
    service.keeper.checkpoint(NOW)
    service.spans(3, 4, 5)
    service.spans(6, error=True)
    service.kill()
    service = Service(tmp_path, span_slo())
    assert service.count() == Count(5, 1)
    service.keeper.checkpoint(NOW)
    service.kill()
    service = Service(tmp_path, span_slo(), BY_ROUTE)
    assert (service.count(), service.count("by-route")) == (Count(5, 1), Count(5, 1))
    service.kill()


def test_a_removed_slo_is_forgotten_in_time(tmp_path: Path) -> None:
    """Its history stays for 90 days, is then deleted with all that belongs to it, and that is counted."""
    service = Service(tmp_path, span_slo(), BY_ROUTE)
    service.spans(1, 2)
    service.spans(3, error=True)
    service.reload(span_slo())
    assert len(service.keeper.removed) == 1
    service.now += KEEP_NS
    service.keeper.tidy(service.now)
    assert service.keeper.removed.forgotten == 0
    service.now += 1
    service.keeper.tidy(service.now)
    assert (service.keeper.removed.forgotten, len(service.keeper.removed)) == (1, 0)
    assert {name for _, name, _ in service.keeper.store.series() if "by-route" in name} == set()
    service.reload(span_slo(), BY_ROUTE)
    assert (service.count("by-route"), service.count()) == (Count(0, 0), Count(2, 1))
    service.kill()


def test_evidence_goes_with_the_last_slo_that_shows_it(tmp_path: Path) -> None:
    """A bad event stays in the store as long as any SLO, removed or not, has it among its newest."""
    service = Service(tmp_path, span_slo(), BY_ROUTE)
    service.spans(1, error=True)
    service.keeper.checkpoint(NOW)
    service.reload(BY_ROUTE)
    service.reload(metric_slo())
    service.keeper.checkpoint(NOW)
    assert len(list(service.keeper.store.evidence())) == 1
    service.now += KEEP_NS + 1
    service.keeper.tidy(service.now)
    service.keeper.checkpoint(service.now)
    assert list(service.keeper.store.evidence()) == []
    service.kill()


def test_a_new_slo_counts_what_comes_from_now_on(tmp_path: Path) -> None:
    """What a counter counted before an SLO read it is not that SLO's history, after a kill neither."""
    service = Service(tmp_path, span_slo())
    service.now += 60 * SECOND
    service.reload(span_slo(), WORK)
    service.kill()
    service = Service(tmp_path, span_slo(), WORK, now=service.now + SECOND)
    service.jobs(1000, start=NOW + SECOND)
    assert service.count("work") == Count(0, 0)
    service.now += SECOND
    service.jobs(1003, start=NOW + SECOND)
    assert service.count("work") == Count(3, 0)
    service.kill()
