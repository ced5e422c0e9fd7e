"""Counter pairs told by several senders, some of which end: every event of either side counts once, and in the end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.sli.account import ENDED_NS, MAX_HELD, MAX_WAITING, Account
from sloburn.slo.budget import Count
from tests.sli.harness import NOW, Bench
from tests.sli.test_pairs import BAD_TOTAL, GOOD_TOTAL, Life, delta_of, looks, of_sender, point, together
from tests.telemetry import DELTA, metric_request

LAST = 99  # the sender that goes on when the others have ended


def both(bench: Bench, sender: int, started: int, failed: int, at: int) -> None:
    """Send both counters of one sender in one request."""
    bench.metrics(of_sender(together(("started", point(started, at)), ("failed", point(failed, at))), sender))


@pytest.mark.parametrize("last", ["whole", "both"])
def test_an_instance_that_ends_loses_no_failure(last: str) -> None:
    """The first failures of an instance come after its last total was called good: they count with those of others."""
    bench = Bench(BAD_TOTAL)
    bench.metrics(delta_of(1, "started", 10, 0))
    assert bench.status().lifetime == Count(good=10)
    bench.metrics(delta_of(1, "failed", 7, 10))
    looks(bench, ENDED_NS + MINUTE)
    bench.engine.forget_streams(bench.now)
    for at in range(1000, 1180, 10):
        parts = [delta_of(LAST, "started", 5, at), *([delta_of(LAST, "failed", 0, at)] if last == "both" else [])]
        bench.metrics(*parts)
    assert bench.status().lifetime == Count(good=10 + 90 - 7, bad=7)


def test_totals_may_be_told_by_another_than_most_failures() -> None:
    """A sender that told more failures than totals, for it counted them for others, is made up for by theirs."""
    bench = Bench(BAD_TOTAL)
    for number in range(1, 11):
        at = 20 * number
        both(bench, 1, started=number, failed=5 * number, at=at)
        bench.metrics(of_sender(metric_request("started", [point(20 * number, at + 1)]), 2))
    assert bench.status().lifetime.total == 210
    looks(bench, ENDED_NS + MINUTE)
    bench.metrics(of_sender(metric_request("started", [point(300, 1000)]), 2))
    assert bench.status().lifetime == Count(good=310 - 50, bad=50)


def test_what_nobody_has_totals_for_is_not_forgotten_with_old_streams() -> None:
    """What is left over waits for whoever has totals, for as long as the last point of a stream is remembered."""
    bench = Bench(BAD_TOTAL)
    both(bench, 1, started=2, failed=5, at=0)
    looks(bench, ENDED_NS + MINUTE)
    bench.engine.forget_streams(bench.now + 23 * HOUR)
    both(bench, 2, started=100, failed=0, at=1000)
    assert bench.status().lifetime == Count(good=97, bad=5)


def test_surplus_of_more_senders_than_are_known_stays_with_them() -> None:
    """Of so many senders that ended what is left over goes to whoever has totals; of one more it waits for its own."""
    bench, more = Bench(BAD_TOTAL), 3
    for sender in range(MAX_WAITING + more):
        both(bench, sender, started=1, failed=3, at=0)
    looks(bench, ENDED_NS + MINUTE)
    bench.metrics(of_sender(metric_request("started", [point(9000, 900)]), -1))
    bad = MAX_WAITING * 3 + more
    assert bench.status().lifetime == Count(good=9000 + MAX_WAITING + more - bad, bad=bad)
    for sender in range(MAX_WAITING, MAX_WAITING + more):
        both(bench, sender, started=6, failed=3, at=960)
    bad += 2 * more
    assert bench.status().lifetime == Count(good=9000 + MAX_WAITING + 6 * more - bad, bad=bad)


def test_what_is_left_over_by_very_many_is_bounded() -> None:
    """However many senders end with more of the part than of the whole, so many slices wait, and no event is lost."""
    shared = Account()
    for number in range(3 * MAX_HELD):
        shared.take(Account(held={number * 5 * SECOND: [0, 2]}))
    assert (len(shared.held), shared.waiting) == (MAX_HELD, 6 * MAX_HELD)


@dataclass(frozen=True)
class Told:
    """What a sender tells of one counter, and what happens around it."""

    sender: int
    is_part: bool
    events: int
    pause: int  # seconds before it
    again: bool
    kill: bool


told = st.builds(
    Told,
    sender=st.integers(0, 2),
    is_part=st.booleans(),
    events=st.integers(0, 6),
    pause=st.sampled_from([0, 1, 10, 60, 150]),
    again=st.booleans(),
    kill=st.integers(0, 7).map(lambda number: number == 0),
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(told, min_size=1, max_size=12), part_is_bad=st.booleans(), last_tells_both=st.booleans())
def test_the_sums_equal_the_oracle(
    steps: list[Told], part_is_bad: bool, last_tells_both: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever tells which side, ends, repeats or is killed: as long as anybody tells of totals nothing is lost."""
    life = Life(tmp_path_factory.mktemp("senders"), BAD_TOTAL if part_is_bad else GOOD_TOTAL)
    names = ("started", "failed" if part_is_bad else "done")
    since: dict[tuple[int, bool], int] = {}
    sums, at = [0, 0], 0

    def tell(sender: int, *, is_part: bool, events: int, again: bool = False) -> None:
        begin = since.get((sender, is_part), -1)
        if begin == at:
            return
        since[sender, is_part] = at
        one = point(events, at, start=NOW + begin * SECOND)
        request = of_sender(metric_request(names[is_part], [one], temporality=DELTA), sender)
        sums[is_part] += events
        for _ in range(1 + again):
            life.send(request.SerializeToString(), NOW + at * SECOND)

    for step in steps:
        at += step.pause
        life.look(NOW + at * SECOND)
        tell(step.sender, is_part=step.is_part, events=step.events, again=step.again)
        if step.kill:
            life.kill()
    for _ in range(ENDED_NS // (20 * SECOND) + 1):
        at += 20
        life.look(NOW + at * SECOND)
    life.engine.forget_streams(NOW + at * SECOND)
    for _ in range(12):
        at += 20
        tell(LAST, is_part=False, events=10)
        if last_tells_both:
            tell(LAST, is_part=True, events=0)
        life.look(NOW + at * SECOND)
        life.engine.forget_streams(NOW + at * SECOND)
    for _ in range(8):
        at += 20
        life.look(NOW + at * SECOND)
    rest = sums[0] - sums[1]
    assert life.count(NOW + at * SECOND) == (Count(rest, sums[1]) if part_is_bad else Count(sums[1], rest))
    life.store.close()
