"""Series that begin with a history: new objectives, new names, groups that begin to alert together; kills included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE
from sloburn.sli.status import SloState, SloStatus
from sloburn.slo.budget import Count
from sloburn.slo.model import EventIndicator, NoEvents, SlicedIndicator, Slo
from tests.promises import span_slo
from tests.sli.lives import Life, spans
from tests.telemetry import SpanSpec

SOURCE: EventIndicator = span_slo().indicator  # type: ignore[assignment]
Start = Callable[..., Life]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processors; they end with the test."""
    lives: list[Life] = []

    def begin(*slos: Slo) -> Life:
        life = Life(tmp_path / str(len(lives)), *slos)
        life.look()
        lives.append(life)
        return life

    yield begin
    for life in lives:
        life.close()


def by_route(*, together: bool, name: str = "routes") -> Slo:
    """Return an SLO with a budget for each route."""
    slo = span_slo(name, group_by=("http.route",))
    return replace(slo, alerting=replace(slo.alerting, together=together))


def send(life: Life, first: int, *, good: int = 0, bad: int = 0, route: str = "/a", age: int = 0) -> None:
    """Send spans of one route that ended so long ago, nanoseconds."""
    numbers = range(first, first + good + bad)
    values = {"http.route": route}
    life.send(*(SpanSpec(number=n, end=life.now - age, error=n < first + bad, values=values) for n in numbers))


def figures(status: SloStatus) -> tuple[object, ...]:
    """Return all that is made of counts."""
    return status.count, status.lifetime, status.burns[0].count, [trace.span_id for trace in status.failing]


def change(life: Life, *slos: Slo, how: str) -> None:
    """Put other SLOs in force: by a reload, by one that a kill follows at once, or over a restart."""
    if how == "restart":
        life.restart(*slos)
        return
    life.reload(*slos)
    if how == "kill":
        life.kill()


@pytest.mark.parametrize("how", ["reload", "kill", "restart"])
def test_another_objective_begins_with_the_history_of_its_sibling(start: Start, how: str) -> None:
    """The same indicator under another name and objective: the counts of all days are there at once, and go on."""
    life = start(span_slo())
    send(life, 1, good=7, bad=2, age=20 * DAY)
    life.checkpoint()
    send(life, 20, good=4, bad=1)
    strict = replace(span_slo("strict"), objective=Fraction(9999, 10_000))
    change(life, span_slo(), strict, how=how)
    found = life.look()
    assert figures(found["strict", ()]) == figures(found["availability", ()])
    assert found["strict", ()].lifetime == Count(11, 3)
    send(life, 40, good=1)
    life.checkpoint()
    life.kill()
    found = life.look()
    assert found["strict", ()].lifetime == found["availability", ()].lifetime == Count(12, 3)


def test_a_new_name_keeps_the_history(start: Start) -> None:
    """An SLO that is renamed while the processor runs goes on where it was."""
    life = start(span_slo())
    send(life, 1, good=7, bad=2)
    life.reload(span_slo("renamed"))
    assert life.status("renamed").lifetime == Count(7, 2)
    life.checkpoint()
    life.kill()
    assert life.status("renamed").lifetime == Count(7, 2)


def test_copies_go_apart(start: Start) -> None:
    """What one counts later is not in the other: a late event of a removed sibling's time changes only the heir."""
    life = start(span_slo())
    send(life, 1, good=7)
    life.reload(span_slo(), replace(span_slo("strict"), objective=Fraction(1, 2)))
    life.reload(replace(span_slo("strict"), objective=Fraction(1, 2)))
    send(life, 20, bad=3)
    life.reload(span_slo(), replace(span_slo("strict"), objective=Fraction(1, 2)))
    found = life.look()
    assert (found["availability", ()].lifetime, found["strict", ()].lifetime) == (Count(7, 0), Count(7, 3))


def test_slices_are_inherited_with_their_verdicts(start: Start) -> None:
    """Minutes that were judged for one objective count for the other, and none is judged twice."""
    indicator = SlicedIndicator(source=SOURCE, slice_ns=MINUTE, target=Fraction(1, 2), no_events=NoEvents.BAD)
    minutes = replace(span_slo("minutes"), indicator=indicator)
    life = start(minutes)
    for first in range(1, 9):
        life.send(*spans([life.now], first=first, error=first > 6))
        life.wait(MINUTE)
    life.reload(minutes, replace(minutes, name="strict", objective=Fraction(99, 100)))
    life.wait(2 * MINUTE)
    found = life.look()
    assert found["strict", ()].count == found["minutes", ()].count
    assert found["strict", ()].count.total >= 9
    life.send(*spans([life.now - 9 * MINUTE] * 5, first=90, error=True))
    life.wait(MINUTE)
    found = life.look()
    assert found["strict", ()].count == found["minutes", ()].count


@pytest.mark.parametrize("how", ["reload", "kill", "restart"])
def test_the_whole_begins_with_its_groups(start: Start, how: str) -> None:
    """Groups that begin to alert together bring their history into the whole, and nothing counts twice."""
    life = start(by_route(together=False))
    send(life, 1, good=7, bad=2, age=20 * DAY)
    send(life, 20, good=1, route="/b", age=HOUR)
    life.checkpoint()
    send(life, 30, bad=3, route="/b")
    change(life, by_route(together=True), how=how)
    whole = life.status("routes")
    assert (whole.count, whole.lifetime) == (Count(8, 5), Count(8, 5))
    assert whole.burns[0].count == Count(0, 3)
    assert len(whole.failing) == 5
    send(life, 40, good=2, route="/c")
    life.kill()
    assert life.status("routes").lifetime == Count(10, 5)


@pytest.mark.parametrize("how", ["reload", "kill", "restart"])
def test_apart_again_there_is_no_whole(start: Start, how: str) -> None:
    """Groups that alert on their own have no whole that stands still; together again it lacks nothing."""
    life = start(by_route(together=True))
    send(life, 1, good=7, bad=2)
    life.checkpoint()
    change(life, by_route(together=False), how=how)
    assert [group for _, group in life.look()] == [(("http.route", "/a"),)]
    send(life, 20, bad=4, route="/b")
    change(life, by_route(together=True), how=how)
    whole = life.status("routes")
    assert (whole.lifetime, whole.state) == (Count(7, 6), SloState.BURNING)


STEP = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 3), st.integers(0, 2), st.sampled_from("abc"), st.integers(0, 3 * HOUR)),
    st.tuples(st.sampled_from(["kill", "checkpoint"])),
    st.tuples(st.sampled_from(["reload", "restart", "kill after"]), st.booleans(), st.booleans()),
)


@settings(max_examples=10, deadline=None)
@given(steps=st.lists(STEP, min_size=2, max_size=12))
def test_whole_and_siblings_always_hold_the_same(
    steps: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever comes, is switched, reloaded and killed: whole, groups and siblings hold all events, each once."""
    plain, sibling = span_slo(), replace(span_slo("sibling"), objective=Fraction(1, 2))
    life = Life(tmp_path_factory.mktemp("heritage"), plain, by_route(together=False))
    total, number, has_sibling, together = Count(), 1, False, False
    for kind, *rest in steps:
        if kind == "send":
            good, bad, route, age = rest
            send(life, number, good=good, bad=bad, route=f"/{route}", age=age)  # type: ignore[arg-type]
            number, total = number + good + bad, total + Count(good, bad)  # type: ignore[operator, arg-type]
        elif rest:
            has_sibling, together = (bool(one) for one in rest)
            slos = [plain, *([sibling] if has_sibling else []), by_route(together=together)]
            change(life, *slos, how=str(kind).removesuffix(" after"))
        else:
            getattr(life, str(kind))()
        found = life.look()
        assert found["availability", ()].lifetime == found["availability", ()].count == total
        groups = [one for (name, group), one in found.items() if name == "routes" and group]
        assert sum((one.lifetime for one in groups), Count()) == total
        assert (("routes", ()) in found) <= together
        if together and total.total:
            assert found["routes", ()].count == found["routes", ()].lifetime == total
    life.close()
