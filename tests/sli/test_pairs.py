"""Counter pairs in, good and bad events out: what arrives late, twice, first or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from sloburn.duration import MINUTE, SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.recovery import restore
from sloburn.server.storage import Store
from sloburn.sli.account import GRACE_NS, MAX_HELD, MAX_WAITING, OVERDUE_NS, Account
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.slo.budget import Count
from sloburn.slo.model import Slo
from sloburn.spec import parse_slos
from tests.sli.harness import NOW, Bench
from tests.telemetry import DELTA, PointSpec, metric_request

START = NOW - 10 * MINUTE


def slo(counters: str, group_by: str = "[]") -> Slo:
    """Return an SLO of the service `shop` on counters that are written as in a document."""
    text = f"""
version: sloburn/v1
slos:
  - name: jobs
    service: shop
    objective: 99
    period: 30d
    group_by: {group_by}
    indicator: {{counters: {counters}}}
"""
    (found,) = parse_slos(text, "slos.yaml")
    return found


BAD_TOTAL = slo("{bad: failed, total: started}")
GOOD_TOTAL = slo("{good: done, total: started}")


def point(value: int, at: int, start: int = START, **values: str) -> PointSpec:
    """Return a counter's point; times are seconds after NOW."""
    return PointSpec(time=NOW + at * SECOND, start=start, value=value, values=values)


def send(bench: Bench, *, at: int, temporality: int = 2, **counters: int) -> None:
    """Send points of several counters, each in a request of its own, as one batch."""
    requests = [metric_request(name, [point(value, at)], temporality=temporality) for name, value in counters.items()]
    bench.metrics(*requests)


def of_sender(request: ExportMetricsServiceRequest, number: int) -> ExportMetricsServiceRequest:
    """Return the request as one of several instances would send it."""
    for part in request.resource_metrics:
        part.resource.attributes.add(key="service.instance.id").value.string_value = str(number)
    return request


def together(*parts: tuple[str, PointSpec]) -> ExportMetricsServiceRequest:
    """Return one request with points of several metrics."""
    request = metric_request(parts[0][0], [parts[0][1]])
    for name, one in parts[1:]:
        more = metric_request(name, [one])
        request.resource_metrics.extend(more.resource_metrics)
    return request


def test_good_and_bad_need_no_pairing() -> None:
    """Two counters that share no event are counted as they come."""
    bench = Bench(slo("{good: done, bad: failed}"))
    send(bench, at=0, done=7)
    send(bench, at=0, failed=2)
    send(bench, at=60, done=9, failed=2)
    assert bench.status().lifetime == Count(good=9, bad=2)


@pytest.mark.parametrize("names", [("started", "failed"), ("failed", "started")])
def test_a_total_and_its_bad_in_one_request(names: tuple[str, str]) -> None:
    """Whichever stands first in the request, nothing has to wait."""
    bench = Bench(BAD_TOTAL)
    values = {"started": 10, "failed": 3}
    bench.metrics(together(*((name, point(values[name], 0)) for name in names)))
    assert bench.count() == Count(good=7, bad=3)


def test_a_total_waits_for_its_bad() -> None:
    """Once both sides are known, a total that comes alone is neither good nor bad before the other has spoken."""
    bench = Bench(BAD_TOTAL)
    bench.metrics(together(("started", point(10, -60)), ("failed", point(3, -60))))
    send(bench, at=0, started=20)
    assert bench.count() == Count(good=7, bad=3)
    send(bench, at=0, failed=8)
    assert bench.count() == Count(good=12, bad=8)


def test_a_bad_waits_for_its_total() -> None:
    """There is never more bad than total: bad events that come first wait."""
    bench = Bench(BAD_TOTAL)
    send(bench, at=0, failed=3)
    assert bench.status().lifetime == Count()
    assert bench.status().notes == ("a sender of failed sent no started: without a total nothing is counted",)
    send(bench, at=0, started=10)
    assert bench.status().lifetime == Count(good=7, bad=3)


def test_without_errors_there_is_no_bad_counter() -> None:
    """A counter of failures often does not exist before the first one: until then all of the total is good, at once."""
    bench = Bench(BAD_TOTAL)
    send(bench, at=-10, started=10)
    assert bench.count() == Count(good=10)
    assert bench.status().notes == ("a sender of started sent no failed yet: all its events count as good",)
    bench.metrics(together(("started", point(20, 0)), ("failed", point(1, 0))))
    assert bench.count() == Count(good=19, bad=1)


def test_a_good_counter_that_stands_still_is_an_outage() -> None:
    """A total without its good waits for the grace, then it is bad: no data is not 100 %."""
    bench = Bench(GOOD_TOTAL)
    bench.metrics(together(("started", point(10, -120)), ("done", point(10, -120))))
    send(bench, at=-70, started=15)
    assert bench.count() == Count(good=10)
    send(bench, at=0, started=16)
    assert bench.count() == Count(good=10, bad=5)


def test_a_late_good_is_made_up_for() -> None:
    """What was booked is never taken back; good events that come after the grace count with the next total."""
    bench = Bench(GOOD_TOTAL)
    bench.metrics(together(("started", point(10, -180)), ("done", point(10, -180))))
    send(bench, at=-120, started=20)
    send(bench, at=-50, started=20)
    assert bench.status().lifetime == Count(good=10, bad=10)
    send(bench, at=-120, done=20)
    bench.metrics(together(("started", point(35, 0)), ("done", point(20, 0))))
    assert bench.status().lifetime == Count(good=20, bad=15)


def test_a_part_larger_than_its_whole_is_told() -> None:
    """Counters that do not belong together never give a negative number; a note says what is wrong."""
    bench = Bench(BAD_TOTAL)
    bench.metrics(together(("started", point(10, 0)), ("failed", point(50, 0))))
    status = bench.status()
    assert status.count == Count(bad=10)
    assert "failed counts more events than started" in status.notes[0]


def test_groups_are_paired_apart() -> None:
    """Each group has its own account."""
    bench = Bench(slo("{bad: failed, total: started}", "[queue]"))
    for name, value in (("started", 10), ("failed", 3)):
        bench.metrics(metric_request(name, [point(value, 0, queue="a"), point(value + 1, 0, queue="b")]))
    groups = {status.group: status.lifetime for status in bench.snapshot().statuses}
    bench.metrics(metric_request("started", [point(20, 60, queue="a"), point(30, 60, queue="b")]))
    bench.metrics(metric_request("failed", [point(3, 60, queue="a"), point(4, 60, queue="b")]))
    groups = {status.group: status.lifetime for status in bench.snapshot().statuses}
    assert groups == {(("queue", "a"),): Count(17, 3), (("queue", "b"),): Count(26, 4)}


def test_delta_counters_and_filters() -> None:
    """Delta counters are added; each side takes the points that its own filter selects."""
    filtered = slo("{bad: {metric: failed, where: {fatal: 'yes'}}, total: started}")
    bench = Bench(filtered)
    failed = [point(2, 0, fatal="yes"), point(4, 0, fatal="no")]
    bench.metrics(metric_request("failed", failed, temporality=DELTA))
    bench.metrics(metric_request("started", [point(10, 0)], temporality=DELTA))
    bench.metrics(metric_request("started", [point(10, 1)], temporality=DELTA))
    assert bench.status().lifetime == Count(good=18, bad=2)


def test_two_filters_of_one_metric_need_no_pairing() -> None:
    """Each point is judged whole: nothing waits, whatever comes first."""
    bench = Bench(slo("{bad: {metric: jobs, where: {outcome: failure}}, total: jobs}"))
    bench.metrics(metric_request("jobs", [point(4, 0, outcome="failure")]))
    assert bench.count() == Count(bad=4)
    bench.metrics(metric_request("jobs", [point(6, 0, outcome="success")]))
    assert bench.count() == Count(good=6, bad=4)


@pytest.mark.parametrize("part", ["failed", "done"])
def test_counters_of_different_senders(part: str) -> None:
    """A total may come from another process than its part; the part then counts once its sender has sent again."""
    bench = Bench(BAD_TOTAL if part == "failed" else GOOD_TOTAL)
    for at in range(0, 300, 60):
        bench.now = NOW + at * SECOND
        bench.metrics(of_sender(metric_request("started", [point(10 + at, at)]), 1))
        bench.metrics(of_sender(metric_request(part, [point(4, at + 1)]), 2))
    bench.metrics(of_sender(metric_request("started", [point(250, 300)]), 1))
    bench.metrics(of_sender(metric_request(part, [point(4, 301)]), 2))
    count = bench.status().lifetime
    assert count.bad + count.good in (250, 250 - 60)  # the last total may still wait
    assert (count.bad if part == "failed" else count.good) == 4


def delta_of(sender: int, name: str, value: int, at: int) -> ExportMetricsServiceRequest:
    """Return a request of one sender with what one counter counted in the second before `at`, seconds after NOW."""
    one = point(value, at, start=NOW + (at - 1) * SECOND)
    return of_sender(metric_request(name, [one], temporality=DELTA), sender)


@pytest.mark.parametrize("part", ["failed", "done"])
def test_a_part_that_comes_once(part: str) -> None:
    """A sender that tells one part and is silent ever after is heard as soon as others are the grace past it."""
    bench = Bench(BAD_TOTAL if part == "failed" else GOOD_TOTAL)
    for at in range(0, 610, 10):
        bench.now = NOW + at * SECOND
        bench.metrics(delta_of(1, "started", 100, at))
        if at == 0:
            bench.metrics(delta_of(2, part, 9, 1))
        if at == (60 if part == "failed" else 120):
            lifetime = bench.status().lifetime
            assert (lifetime.bad if part == "failed" else lifetime.good) == 9
    status = bench.status()
    assert (status.lifetime.bad if part == "failed" else status.lifetime.good) == 9
    assert status.lifetime.total >= (6100 if part == "failed" else 4900)
    assert status.notes == ()


def test_a_total_that_comes_once() -> None:
    """The same for the sender of the total, beside one that sends the good events only."""
    bench = Bench(GOOD_TOTAL)
    bench.metrics(delta_of(1, "started", 100, 0))
    for at in range(0, 100, 10):
        bench.metrics(delta_of(2, "done", 5, at))
    assert bench.status().lifetime == Count(good=5, bad=95)


def test_a_part_that_comes_once_beside_a_sender_of_both() -> None:
    """Whoever sends both counters settles what waited for nobody."""
    bench = Bench(BAD_TOTAL)
    bench.metrics(delta_of(2, "failed", 9, 0))
    for at in range(0, 100, 10):
        bench.metrics(delta_of(1, "started", 100, at), delta_of(1, "failed", 1, at))
    assert bench.status().lifetime == Count(good=981, bad=19)


def looks(bench: Bench, nanoseconds: int) -> None:
    """Let time pass with a look every ten seconds, while nobody sends anything."""
    for _ in range(nanoseconds // (10 * SECOND)):
        bench.now += 10 * SECOND
        bench.snapshot()


def test_a_total_whose_good_never_comes_waits_for_no_request() -> None:
    """A service that falls silent after a total leaves an outage: it counts once nothing was heard for two minutes."""
    bench = Bench(GOOD_TOTAL)
    bench.metrics(together(("started", point(10, -60)), ("done", point(10, -60))))
    send(bench, at=0, started=15)
    looks(bench, OVERDUE_NS)
    assert bench.status().lifetime == Count(good=10)
    looks(bench, 10 * SECOND)
    assert bench.status().lifetime == Count(good=10, bad=5)
    send(bench, at=0, done=14)
    bench.metrics(together(("started", point(25, 200)), ("done", point(24, 200))))
    assert bench.status().lifetime == Count(good=20, bad=5)  # four good ones wait for the next total


def test_senders_of_one_side_wait_for_no_request() -> None:
    """The last that two senders of one side each told counts though neither speaks again."""
    bench = Bench(GOOD_TOTAL)
    bench.metrics(delta_of(1, "started", 100, 0), delta_of(2, "done", 9, 0))
    assert bench.status().lifetime == Count()
    looks(bench, OVERDUE_NS + MINUTE)
    assert bench.status().lifetime == Count(good=9, bad=91)


def test_what_waits_outlives_a_kill(tmp_path: Path) -> None:
    """After a restart the wait begins anew, and ends; nothing is written again and again while a part stays over."""
    life = Life(tmp_path, GOOD_TOTAL)
    life.send(together(("started", point(10, 0)), ("done", point(10, 0))).SerializeToString(), NOW)
    life.send(metric_request("started", [point(15, 10)]).SerializeToString(), NOW + 10 * SECOND)
    life.send(metric_request("done", [point(30, 20)]).SerializeToString(), NOW + 20 * SECOND)
    life.send(metric_request("started", [point(17, 40)]).SerializeToString(), NOW + 40 * SECOND)
    life.kill()
    written = [life.look(NOW + second * SECOND) for second in range(60, 400, 10)]
    assert written.count(True) <= 2
    life.kill()
    assert life.count(NOW + 400 * SECOND) == Count(good=17)
    life.store.close()


def test_a_note_goes_when_the_part_arrives() -> None:
    """That a part never came is told until it comes, from whomever, and no longer."""
    bench = Bench(BAD_TOTAL)
    bench.now += MINUTE
    bench.metrics(delta_of(1, "started", 100, 0))
    assert bench.status().notes == ("a sender of started sent no failed yet: all its events count as good",)
    bench.metrics(delta_of(2, "failed", 9, 1))
    bench.metrics(delta_of(1, "started", 100, 10))
    assert bench.status().notes == ()


def test_a_group_that_counts_nothing_is_no_group() -> None:
    """Counters that start at zero open no group before its first event."""
    bench = Bench(slo("{bad: failed, total: started}", "[queue]"))
    bench.metrics(together(("started", point(0, 0, queue="a")), ("failed", point(0, 0, queue="a"))))
    assert bench.snapshot().statuses == ()


def test_senders_that_wait_are_bounded() -> None:
    """Only so many senders are remembered whose events wait; those of one more do not wait, and no event is lost."""
    bench = Bench(BAD_TOTAL)
    for sender in range(MAX_WAITING + 2):
        bench.metrics(delta_of(sender, "failed", 1, 0))
    bench.metrics(delta_of(-1, "started", 5000, 0))
    assert bench.status().lifetime == Count(good=4998, bad=2)
    bench.metrics(delta_of(-1, "started", 5000, 70))
    assert bench.status().lifetime == Count(good=10_000 - MAX_WAITING - 2, bad=MAX_WAITING + 2)


@settings(max_examples=12, deadline=None)
@given(data=st.data(), parts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=8))
def test_senders_of_one_side_are_heard_once_over_kills(
    data: st.DataObject, parts: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Senders of bad events that speak now and then, requests repeated, kills: every bad event counts exactly once."""
    life = Life(tmp_path_factory.mktemp("senders"), BAD_TOTAL)
    for number in range(len(parts) + 8):
        at = number * 20
        bodies = [delta_of(9, "started", 1000, at)]
        bodies += [delta_of(sender, "failed", events, at) for sender, events in parts[number : number + 1]]
        for request in bodies:
            body = request.SerializeToString()
            for _ in range(data.draw(st.integers(1, 2), label="times")):
                life.send(body, NOW + at * SECOND)
            if data.draw(st.integers(0, 3), label="kill") == 0:
                life.kill()
        assert life.count(NOW + at * SECOND).bad <= sum(events for _, events in parts[: number + 1])
    bad = sum(events for _, events in parts)
    assert life.count(NOW + at * SECOND) == Count(1000 * (len(parts) + 8) - bad, bad)
    life.store.close()


def test_an_account_is_bounded() -> None:
    """Slices that wait for the other side are put together once there are too many; no event is lost."""
    account = Account()
    for number in range(3 * MAX_HELD):
        account.hear(whole=False, at_unix_nano=number * SECOND, slice_unix_nano=number * SECOND, events=2)
        account.settle(waits=True)
    assert (len(account.held), account.waiting) == (1, 6 * MAX_HELD)
    assert Account.of(account.state()) == account


# A tick: how many events the first and the second sender saw since the last, and how many of them the part holds.
ticks = st.lists(
    st.tuples(*(st.integers(0, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))) for _ in range(2))),
    min_size=1,
    max_size=6,
)


class Life:
    """A processor without its servers that is fed with points and killed now and then."""

    def __init__(self, folder: Path, promise: Slo) -> None:
        self._folder, self._promise = folder, promise
        self._start()

    def _start(self) -> None:
        self.store = Store(self._folder, START)
        self.engine = Engine([self._promise], any_value, epoch=START)
        self.scribe, _ = restore(self.engine, self.store)

    def kill(self) -> None:
        """End without a word and start again."""
        self.store.close()
        self._start()

    def send(self, body: bytes, now: int) -> None:
        """Count a request durably."""
        commit = Commit()
        self.engine.prepare_metrics(decode(Signal.METRICS, Encoding.PROTOBUF, body), now, commit)
        self.store.append(now, *self.scribe.write(commit))
        self.scribe.written()
        self.engine.apply(commit)

    def look(self, now: int) -> bool:
        """Let the clock decide, durably; tell whether anything was written."""
        commit = self.engine.judge(now)
        if commit.is_empty:
            return False
        self.store.append(now, *self.scribe.write(commit))
        self.scribe.written()
        self.engine.apply(commit)
        return True

    def count(self, now: int) -> Count:
        """Return all events ever counted."""
        return self.engine.tick(now).statuses[0].lifetime


@settings(max_examples=25, deadline=None)
@given(data=st.data(), ticks=ticks, part_is_bad=st.booleans())
def test_sums_are_exact_in_the_end_and_possible_always(
    data: st.DataObject,
    ticks: list[tuple[tuple[int, int], tuple[int, int]]],
    part_is_bad: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Requests reordered, repeated, with resets and kills: never negative, never more than came, exact at the end."""
    life = Life(tmp_path_factory.mktemp("pairs"), BAD_TOTAL if part_is_bad else GOOD_TOTAL)
    part_name = "failed" if part_is_bad else "done"
    bodies: list[bytes] = []
    totals = [[0, 0], [0, 0]]
    sums, starts = [0, 0], [START, START]
    for number, senders in enumerate(ticks):
        at = number * 10
        for sender, (whole, part) in enumerate(senders):
            if data.draw(st.booleans(), label="reset"):
                totals[sender], starts[sender] = [0, 0], START + (number + 1) * SECOND
            for side, (name, events) in enumerate((("started", whole), (part_name, part))):
                totals[sender][side] += events
                sums[side] += events
                made = point(totals[sender][side], at, start=starts[sender])
                body = of_sender(metric_request(name, [made]), sender).SerializeToString()
                bodies.append(body)
        for body in data.draw(st.permutations(bodies[-4:]), label="order"):
            life.send(body, NOW + at * SECOND)
            if data.draw(st.booleans(), label="again"):
                life.send(body, NOW + at * SECOND)
            if data.draw(st.integers(0, 5), label="kill") == 0:
                life.kill()
        count = life.count(NOW + at * SECOND)
        part = count.bad if part_is_bad else count.good
        assert 0 <= part <= count.total
        assert (count.total <= sums[0], part <= sums[1]) == (True, True)
        if not part_is_bad:  # each sender's total waits for its good, so it is exact at once
            assert count == Count(sums[1], sums[0] - sums[1])
    # Everything came; more events of the whole alone make up for what was late.
    end = len(ticks) * 10 + GRACE_NS // SECOND
    for sender in range(2):
        totals[sender][0] += sums[1]
        values = zip(("started", part_name), totals[sender], strict=True)
        made_points = [(name, point(value, end, start=starts[sender])) for name, value in values]
        life.send(of_sender(together(*made_points), sender).SerializeToString(), NOW + end * SECOND)
    whole, part = sums[0] + 2 * sums[1], sums[1]
    assert life.count(NOW + end * SECOND) == (Count(whole - part, part) if part_is_bad else Count(part, whole - part))
    life.store.close()
