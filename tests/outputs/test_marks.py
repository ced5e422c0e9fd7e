"""What is drawn on the chart beside the budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE
from sloburn.outputs.alert_rows import deploy_text
from sloburn.outputs.charts import draw_chart
from sloburn.outputs.detail import detail_of
from sloburn.outputs.marks import MOST_LINES, MOST_OCCURRENCES, draw_gaps, draw_lines, exclusion_texts
from sloburn.slo.annotation import Annotation, Kind, concerning
from sloburn.slo.exclusions import Interval, OneOff
from tests.outputs import snapshots
from tests.outputs.snapshots import NOW


def place(at_unix_nano: int) -> float:
    """Put a hundred hours on the chart."""
    return (at_unix_nano - NOW) / HOUR


def deploy(hours: float, text: str = "v1") -> Annotation:
    """Return a deploy so many hours into the chart."""
    return Annotation(at_unix_nano=NOW + round(hours * HOUR), kind=Kind.DEPLOY, text=text)


def test_lines_stand_where_it_happened() -> None:
    """Each line has its place, its words, and its label on the side where there is room."""
    first, last = draw_lines(
        place, (deploy(-1), deploy(20, "v2"), deploy(99, "v3"), deploy(101)), NOW, NOW + 100 * HOUR
    )
    assert (first.place, first.label, first.is_left, first.verb) == ("20%", "v2", False, "deployed")
    assert (last.place, last.label, last.is_left) == ("99%", "v3", True)


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=60))
def test_labels_never_lie_on_each_other(hours: list[float]) -> None:
    """However many deploys there are, labels keep their distance, stay on the chart, and the newest has one."""
    found = draw_lines(place, [deploy(at) for at in sorted(hours)], NOW, NOW + 100 * HOUR)
    assert len(found) == min(len(hours), MOST_LINES)
    spans = []
    for line in found:
        at = float(line.place.removesuffix("%"))
        if line.label:
            spans.append((at - 16, at) if line.is_left else (at, at + 16))
    assert all(begin >= 0 for begin, _ in spans)
    assert all(one[1] <= other[0] + 0.02 for one, other in zip(sorted(spans), sorted(spans)[1:], strict=False))
    assert not found or found[-1].label


def test_gaps_are_cut_to_the_chart() -> None:
    """What does not count is drawn as far as it is on the chart, with its name and its times."""
    drill = OneOff(name="drill", interval=Interval(NOW - HOUR, NOW + 10 * HOUR))
    (gap,) = draw_gaps(place, (drill,), NOW, NOW + 100 * HOUR)
    assert (gap.place, gap.width) == ("0%", "10%")
    assert gap.text == "not counted: drill, 21 Nov 14:02:11 to 22 Nov 00:02:11 UTC"
    assert draw_gaps(place, (drill,), NOW + 20 * HOUR, NOW + 100 * HOUR) == ()


def test_exclusions_in_words() -> None:
    """Past, present and future are each said."""
    past = OneOff(name="drill", interval=Interval(NOW - 2 * DAY, NOW - DAY))
    lasting = OneOff(name="move", interval=Interval(NOW - HOUR, NOW + HOUR))
    coming = OneOff(name="upgrade", interval=Interval(NOW + DAY, NOW + DAY + 2 * HOUR))
    assert exclusion_texts((past, lasting, coming), NOW - 7 * DAY, NOW, 30 * DAY) == (
        "drill: 1 time, 1 d together",
        "move: 1 time, 1 h together; now, until 2026-11-21T15:02Z: what fails until then alerts nobody",
        "upgrade: not in this time; next 2026-11-22T14:02Z for 2 h",
    )


@dataclass(frozen=True)
class Endless:
    """An exclusion that comes every minute, for ever."""

    name: str = "every minute"

    def between(self, begin_unix_nano: int, end_unix_nano: int) -> Iterable[Interval]:
        """Return them, whatever the end."""
        assert begin_unix_nano < end_unix_nano
        return self._all(begin_unix_nano)

    def _all(self, at: int) -> Iterator[Interval]:
        while True:
            yield Interval(at, at + MINUTE // 2)
            at += MINUTE


def test_endless_exclusions_are_bounded() -> None:
    """A rule that never ends costs so many shapes and no more."""
    assert len(draw_gaps(place, (Endless(),), NOW, NOW + HOUR)) == MOST_OCCURRENCES


def test_the_chart_has_them_all() -> None:
    """Lines of the service alone, gaps and words are on the chart, and can be read aloud."""
    snapshot = snapshots.story_snapshot()
    (status,) = snapshot.statuses
    chart = draw_chart(status, NOW, concerning(snapshot.annotations, "checkout"))
    assert chart is not None
    assert [line.text for line in chart.lines] == ["v2.3.0", "summer sale begins", "v2.4.0", "2.4.1"]
    assert len(chart.gaps) == 2
    assert "2.4.1 first seen 13:55:11 UTC" in chart.text
    assert "not counted: failover drill: 1 time, 1 d together" in chart.text


def test_the_deploy_before_a_burn_is_said() -> None:
    """While it burns the page says which deploy came shortly before; a calm SLO accuses nobody."""
    snapshot = snapshots.story_snapshot()
    (status,) = snapshot.statuses
    assert detail_of(snapshot, status).deploy == "2.4.1 was deployed 3 min 59 s before the burn began"
    assert deploy_text(snapshot, snapshots.build_status()) == ""
