"""Slices of time over the life of a processor: silence, late events, downtime, groups, reloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.sli import engine
from sloburn.sli.commit import Commit
from sloburn.sli.generation import generation
from sloburn.sli.status import SloState
from sloburn.slo.alerting import AlertState
from sloburn.slo.budget import Count
from sloburn.slo.conditions import Match, Op, Source
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import (
    BudgetLevel,
    EventIndicator,
    FreshnessIndicator,
    Indicator,
    JourneyIndicator,
    NoEvents,
    Severity,
    SlicedIndicator,
    Slo,
)
from tests.promises import span_slo
from tests.sli.harness import NOW
from tests.sli.lives import Life, spans
from tests.telemetry import SpanSpec

SOURCE: EventIndicator = span_slo().indicator  # type: ignore[assignment]
BEGIN = NOW // HOUR * HOUR  # every slice begins there
Start = Callable[..., Life]


def sliced(
    name: str = "minutes",
    *,
    slice_ns: int = MINUTE,
    no_events: NoEvents = NoEvents.IGNORED,
    group_by: tuple[str, ...] = (),
) -> Slo:
    """Return an SLO on minutes in which 90 % of the spans are good."""
    indicator = SlicedIndicator(source=SOURCE, slice_ns=slice_ns, target=Fraction(9, 10), no_events=no_events)
    return replace(span_slo(name, group_by=group_by, min_bad_events=2), indicator=indicator)


def fresh(name: str = "fresh", *, within_ns: int = 5 * MINUTE, group_by: tuple[str, ...] = ()) -> Slo:
    """Return an SLO on minutes at whose end the last good span is young enough."""
    indicator = FreshnessIndicator(source=SOURCE, within_ns=within_ns, slice_ns=MINUTE)
    return replace(span_slo(name, group_by=group_by, min_bad_events=2), indicator=indicator)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processors that begin on the hour; they end with the test."""
    lives: list[Life] = []

    def begin(*slos: Slo) -> Life:
        life = Life(tmp_path / str(len(lives)), *slos)
        life.now = BEGIN
        life.look()
        lives.append(life)
        return life

    yield begin
    for life in lives:
        life.close()


def every(life: Life, seconds: int, minutes: int, *, first: int = 1, error: bool = False) -> int:
    """Send a span every so many seconds for some minutes; return the next free number."""
    number = first
    for _ in range(minutes * 60 // seconds):
        life.wait(seconds * SECOND)
        life.send(*spans([life.now - 1], first=number, error=error))
        number += 1
    return number


def test_a_minute_is_good_by_its_share(start: Start) -> None:
    """One bad span of ten keeps a target of 90 %, two of ten do not; minutes without spans do not count."""
    life = start(sliced())
    minutes = [
        spans((BEGIN + minute * MINUTE + n * SECOND for n in range(10)), first=100 * minute + 1) for minute in (0, 2)
    ]
    bad = [replace(minutes[0][0], error=True), *minutes[0][1:]]
    life.wait(3 * MINUTE)
    life.send(*bad, *(replace(one, error=index < 2) for index, one in enumerate(minutes[1])))
    life.wait(20 * SECOND)
    assert life.status("minutes").count == Count(1, 1)


def test_a_late_span_judges_its_minute_again(start: Start) -> None:
    """A good minute becomes bad by a late failure, hours later; the counters that Prometheus reads never fall."""
    life = start(sliced())
    life.send(*spans([BEGIN + SECOND]))
    life.wait(2 * MINUTE)
    assert life.status("minutes").count == Count(1, 0)
    life.wait(2 * HOUR)
    life.send(*spans([BEGIN + 2 * SECOND], first=9, error=True))
    assert life.status("minutes").count == Count(0, 1)
    assert life.status("minutes").lifetime == Count(1, 1)
    life.kill()
    status = life.status("minutes")
    assert (status.count, status.lifetime) == (Count(0, 1), Count(1, 1))
    life.checkpoint()
    life.kill()
    status = life.status("minutes")
    assert (status.count, status.lifetime) == (Count(0, 1), Count(1, 1))


def test_minutes_older_than_three_days_stay_as_they_are(start: Start) -> None:
    """The ledger keeps single minutes for three days: an event that comes later moves no verdict."""
    life = start(sliced(), sliced("fives", slice_ns=5 * MINUTE))
    life.send(*spans([BEGIN + SECOND]))
    life.wait(10 * MINUTE)
    life.now = BEGIN + 3 * DAY + 2 * MINUTE
    life.look()
    life.send(*spans([BEGIN + 2 * SECOND], first=9, error=True))
    assert life.status("minutes").count == Count(1, 0)
    assert life.status("fives").count == Count(0, 1)  # slices of 5 min are kept for the whole period
    assert life.keeper.engine.tick(life.now).items["slices", "too late"] == 1
    assert "events came for slices of more than 3 d ago" in life.status("minutes").notes[-1]


@pytest.mark.parametrize(
    ("no_events", "expected"),
    [(NoEvents.IGNORED, Count(1, 0)), (NoEvents.GOOD, Count(6, 0)), (NoEvents.BAD, Count(1, 5))],
)
def test_what_an_empty_minute_is(start: Start, no_events: NoEvents, expected: Count) -> None:
    """Minutes without events are what the document says; before the first event they are nothing."""
    life = start(sliced(no_events=no_events))
    life.wait(3 * MINUTE)
    life.send(*spans([life.now + SECOND]))
    life.wait(6 * MINUTE + 15 * SECOND)
    assert life.status("minutes").count == expected


def test_silence_is_no_data_unless_it_is_a_signal(start: Start) -> None:
    """Silence freezes minutes that ignore it, and burns those to which it is bad."""
    life = start(sliced(), sliced("strict", no_events=NoEvents.BAD))
    every(life, 20, 5)
    life.wait(10 * MINUTE)
    statuses = life.look()
    assert statuses["minutes", ()].state is SloState.NO_DATA
    assert statuses["strict", ()].state is SloState.BURNING


def test_freshness_pages_although_nothing_comes(start: Start) -> None:
    """Five minutes after the last good span the minutes are bad, the second one pages; failures do not help."""
    life = start(fresh())
    number = every(life, 30, 10)
    every(life, 30, 5, first=number, error=True)
    assert life.status("fresh").count.bad == 0
    life.wait(MINUTE + 10 * SECOND)
    status = life.status("fresh")
    assert (status.count.bad, status.alerts[0].state) == (2, AlertState.FIRING)
    every(life, 30, 10, first=number + 100)
    assert life.status("fresh").state is not SloState.NO_DATA


def test_freshness_that_never_came_is_bad_from_its_first_deadline_on(start: Start) -> None:
    """An event that is expected every 5 min and never comes is missed 5 min after the start, not before."""
    life = start(fresh())
    life.wait(5 * MINUTE + 5 * SECOND)
    assert life.status("fresh").count == Count()
    life.wait(3 * MINUTE + 5 * SECOND)
    assert life.status("fresh").count == Count(0, 4)
    life.checkpoint()
    life.kill()
    life.wait(MINUTE)
    assert life.status("fresh").count == Count(0, 5)


def test_a_late_event_makes_its_minutes_fresh(start: Start) -> None:
    """A good event that was only delayed takes back the minutes that were bad for want of it."""
    life = start(fresh())
    life.send(*spans([BEGIN]))
    life.wait(9 * MINUTE + 10 * SECOND)
    assert life.status("fresh").count == Count(5, 4)
    life.send(*spans([BEGIN + 4 * MINUTE], first=5))
    assert life.status("fresh").count == Count(9, 0)


def test_nothing_ages_while_the_processor_is_down(start: Start) -> None:
    """An hour of downtime is no hour without events: nothing of it is bad, and the age goes on where it stood."""
    life = start(fresh(), sliced(no_events=NoEvents.BAD))
    every(life, 30, 3)
    life.checkpoint()
    before = life.look()
    life.sleep(HOUR)
    after = life.look()
    assert after["fresh", ()].count.bad == before["fresh", ()].count.bad == 0
    assert after["minutes", ()].count.bad == 0
    life.wait(4 * MINUTE)
    assert life.status("fresh").count.bad == 0
    life.wait(4 * MINUTE)
    assert life.status("fresh").count.bad > 0


def test_a_kill_after_a_downtime_does_not_forget_it(start: Start) -> None:
    """What was judged to be nobody's fault stays so: a gap is stored with the verdicts that it led to."""
    life = start(fresh())
    life.checkpoint()
    number = every(life, 30, 5)
    life.sleep(HOUR)
    life.look()
    every(life, 30, 2, first=number)
    before = life.status("fresh").count
    life.kill()
    life.wait(20 * SECOND)
    assert life.status("fresh").count.bad == before.bad == 0
    assert life.status("fresh").count.good in (before.good, before.good + 1)


@pytest.mark.parametrize("no_events", [NoEvents.BAD, NoEvents.IGNORED])
def test_a_kill_amid_the_first_look_after_a_downtime(
    start: Start, monkeypatch: pytest.MonkeyPatch, no_events: NoEvents
) -> None:
    """Verdicts and the gap they hang on are durable in one: a kill right after that moves neither."""
    life = start(fresh(), sliced(no_events=no_events))
    number = every(life, 30, 5)
    life.checkpoint()
    life.sleep(HOUR)

    def killed(_: Commit) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(life.keeper.engine, "apply", killed)
    with pytest.raises(KeyboardInterrupt):
        life.look()
    life.kill()
    gaps = [gap for one in life.keeper.engine.series.values() for gap in one.progress.gaps]
    assert [gap.end_unix_nano for gap in gaps] == [life.now] * 2
    every(life, 30, 2, first=number)
    assert life.status("fresh").count.bad == life.status("minutes").count.bad == 0


def test_what_came_late_of_a_downtime_counts(start: Start) -> None:
    """Minutes of a downtime are judged by the events that their senders kept."""
    life = start(sliced(no_events=NoEvents.BAD))
    every(life, 30, 2)
    life.checkpoint()
    before = life.status("minutes").count
    life.sleep(HOUR)
    ends = [life.now - 30 * MINUTE + minute * MINUTE for minute in range(3)]
    life.send(*spans(ends[:2], first=500), *spans(ends[2:], first=600, error=True))
    life.wait(MINUTE)
    assert life.status("minutes").count - before in {Count(2, 1), Count(3, 1)}  # the minute of the end was half over


def test_each_group_has_slices_of_its_own(start: Start) -> None:
    """A group begins with its first event; its bad minutes are nobody else's."""
    life = start(sliced(group_by=("http.route",)), fresh(group_by=("http.route",)))
    for minute in range(8):
        specs = [SpanSpec(number=10 * minute + 1, end=life.now + SECOND, values={"http.route": "/a"})]
        if minute < 1:
            specs.append(
                SpanSpec(number=10 * minute + 2, end=life.now + SECOND, error=True, values={"http.route": "/b"})
            )
        life.send(*specs)
        life.wait(MINUTE)
    statuses = life.look()
    assert statuses["minutes", (("http.route", "/a"),)].count == Count(7, 0)
    assert statuses["minutes", (("http.route", "/b"),)].count == Count(0, 1)
    assert statuses["fresh", (("http.route", "/a"),)].count.bad == 0
    assert statuses["fresh", (("http.route", "/b"),)].count.bad > 0  # it never had a good span


def test_a_journey_needs_every_member(start: Start) -> None:
    """A minute of a journey is bad if one member's is, and does not count while no member says anything."""
    slow = replace(span_slo("slow"), service="bank")
    journey = replace(
        span_slo("journey"),
        service="",
        indicator=JourneyIndicator(members=("availability", "slow"), slice_ns=MINUTE, target=Fraction(1, 2)),
    )
    life = start(span_slo(), slow, journey)
    for minute in range(4):
        life.send(*spans([life.now + SECOND], first=10 * minute + 1))
        life.send(*spans([life.now + SECOND], first=10 * minute + 5, error=minute == 2), service="bank")
        life.wait(MINUTE)
    life.wait(5 * MINUTE)
    assert life.status("journey").count == Count(3, 1)
    life.wait(10 * MINUTE)
    assert life.status("journey").state is SloState.NO_DATA


def test_a_minute_is_excluded_with_its_last_seconds(start: Start) -> None:
    """Maintenance takes out the minutes that end in it, whenever it is written down."""
    span = OneOff(name="maintenance", interval=Interval(BEGIN + 5 * MINUTE, BEGIN + 10 * MINUTE))
    life = start(sliced(), replace(sliced("kept"), exclusions=(span,)))
    every(life, 20, 12)
    life.wait(MINUTE)
    statuses = life.look()
    assert statuses["minutes", ()].count - statuses["kept", ()].count == Count(5, 0)


def test_bad_minutes_show_what_failed_in_them(start: Start) -> None:
    """The failing traces behind a bad minute are shown with it."""
    life = start(sliced())
    every(life, 20, 3, error=True)
    assert [trace.name for trace in life.status("minutes").failing][:2] == ["GET /", "GET /"]


def test_a_reload_goes_on_where_slices_were(start: Start) -> None:
    """With another objective and an SLO more beside it, minutes go on: nothing is lost, nothing is judged twice."""
    life = start(sliced(), fresh())
    number = every(life, 20, 4)
    before = life.look()
    life.keeper.reload([replace(sliced(), objective=Fraction(99, 100)), fresh(), span_slo()], life.now)
    after = life.look()
    assert after["minutes", ()].count == before["minutes", ()].count
    assert after["fresh", ()].count == before["fresh", ()].count
    every(life, 20, 2, first=number)
    life.send(*spans([BEGIN + 30 * SECOND], first=900, error=True))
    life.wait(20 * SECOND)
    assert life.status("minutes").count == Count(5, 1)


def test_a_reload_forgets_no_late_event(start: Start) -> None:
    """An event that came just before the SLOs changed judges its minute again after it."""
    life = start(sliced())
    life.send(*spans([BEGIN + SECOND]))
    life.wait(2 * MINUTE)
    life.send(*spans([BEGIN + 2 * SECOND], first=9, error=True))
    for objective in ("0.99", "0.999"):
        life.keeper.reload([replace(sliced(), objective=Fraction(objective)), span_slo()], life.now)
    assert life.status("minutes").count == Count(0, 1)


@pytest.mark.parametrize("kind", ["fresh", "sliced"])
def test_a_group_that_never_returns_ends(start: Start, kind: str) -> None:
    """After a period without an event the slices of a group count no more; those of an SLO without groups do."""
    indicator: Indicator = FreshnessIndicator(source=SOURCE, within_ns=HOUR, slice_ns=15 * MINUTE)
    whole = replace(span_slo("whole", period_ns=DAY), indicator=indicator)
    if kind == "sliced":
        indicator = SlicedIndicator(source=SOURCE, slice_ns=15 * MINUTE, target=Fraction(1, 2), no_events=NoEvents.BAD)
    gone = BudgetLevel(severity=Severity.TICKET, left=Fraction(0), clear=Fraction(1, 20))
    alerting = replace(whole.alerting, budget=(gone,))
    grouped = replace(whole, name="grouped", group_by=("http.route",), indicator=indicator, alerting=alerting)
    life = start(grouped, whole)
    life.send(SpanSpec(number=1, end=life.now, values={"http.route": "/a"}))
    bad = []
    for _ in range(3):
        for _ in range(6 * 24):
            life.now += 10 * MINUTE
            found = life.look()
        bad.append((found["whole", ()].count.bad, found[grouped.name, (("http.route", "/a"),)].count.bad))
    assert bad[0][1] == pytest.approx(93, abs=3)
    assert [whole for whole, _ in bad] == pytest.approx([93, 96, 96], abs=3)
    assert bad[1][1] <= 3
    assert bad[2][1] == 0
    last = found[grouped.name, (("http.route", "/a"),)]
    assert last.state is not SloState.EXHAUSTED
    assert last.alerts[0].state is last.alerts[-1].state is AlertState.RESOLVED
    assert last.alerts[-1].left == 0
    life.send(SpanSpec(number=2, end=life.now, values={"http.route": "/a"}))
    life.now += 30 * MINUTE
    assert life.look()[grouped.name, (("http.route", "/a"),)].count.total >= 1


def both(*members: str) -> Slo:
    """Return a journey by the minute over members."""
    indicator = JourneyIndicator(members=members, slice_ns=MINUTE, target=Fraction(1, 2))
    return replace(span_slo("both"), indicator=indicator)


def test_a_journey_over_another_member_begins_anew(start: Start) -> None:
    """Minutes that were judged by what a member was are not mixed with minutes judged by what it became."""
    life = start(span_slo(), both("availability"))
    number = every(life, 20, 4)
    before = life.status("both").count.total
    life.keeper.reload([span_slo(min_bad_events=9), both("availability")], life.now)
    assert life.status("both").count.total == before > 2
    where = Match(source=Source.NAME, op=Op.EQ, operands=("GET /",))
    life.keeper.reload([span_slo(where=where), both("availability")], life.now)
    assert life.status("both").count.total == 0
    every(life, 20, 3, first=number)
    assert life.status("both").count.total in (2, 3)


def by_their_own_words(slos: Mapping[str, Slo], time_scale: int) -> dict[str, str]:
    """Return the digests of the first stores."""
    return {name: generation(slo, time_scale) for name, slo in slos.items()}


def test_a_journey_of_an_earlier_store_goes_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stores told a journey by its members' names alone: it is found by its digest of today, and kept so."""
    with monkeypatch.context() as earlier:
        earlier.setattr(engine, "generations", by_their_own_words)
        life = start(span_slo(), both("availability"))
        number = every(life, 20, 4)
        life.checkpoint()
        number = every(life, 20, 1, first=number)
        before = life.status("both").count
    for _ in range(2):
        life.kill()
        assert life.status("both").count == before
        life.checkpoint()
    every(life, 20, 2, first=number)
    life.kill()
    assert life.status("both").count.total >= before.total + 1
