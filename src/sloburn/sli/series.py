"""One series: an SLO, or one group of it, with its ledger and what else is kept about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from sloburn.sli.blend import Blend
from sloburn.sli.course import Course
from sloburn.sli.early_watch import early_watch
from sloburn.sli.evidence import Evidence
from sloburn.sli.ledger import Ledger
from sloburn.sli.progress import NOT_BEGUN
from sloburn.sli.sampled import NEVER, heavier
from sloburn.sli.shape import Shape
from sloburn.sli.status import SloState, SloStatus
from sloburn.slo.alerting import Alert
from sloburn.slo.budget_alerts import alerts_of
from sloburn.slo.model import Slo

Group = tuple[tuple[str, str], ...]

MAX_FAILING = 20
MAX_NOTES = 20
OVERFLOW = "__overflow__"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What identifies a series over restarts.

    Args:
        slo: Name of the SLO.
        generation: Changes with everything that changes what is counted, so old counts never mix with new ones; the
            objective and the alert windows are read when evaluating and are not part of it.
        group: Names and values of ``group_by``.
    """

    slo: str
    generation: str
    group: Group = ()


class Series:
    """Mutable state of one series; only the engine touches it.

    Args:
        key: Which series.
        slo: The promise, scaled.
        shape: How it is evaluated.
    """

    __slots__ = (
        "alerts",
        "blend",
        "course",
        "course_turn",
        "early",
        "failing",
        "is_changed",
        "is_silent",
        "is_unsaved",
        "key",
        "ledger",
        "marks",
        "notes",
        "number",
        "progress",
        "reads",
        "shape",
        "slo",
        "source",
        "state",
        "state_since_unix_nano",
        "status",
        "weight",
    )

    def __init__(self, key: SeriesKey, slo: Slo, shape: Shape) -> None:
        self.key = key
        self.number = 0  # given when the stored ones are known: see Engine.tick
        self.slo = slo
        self.shape = shape
        self.ledger = Ledger(shape.look_backs.resolutions, shape.look_backs.tiers)
        self.early = early_watch(slo, shape.look_backs.resolutions[0].slice_ns)
        self.failing: tuple[Evidence, ...] = ()
        self.alerts: tuple[Alert, ...] = ()
        self.resume(())
        self.notes: dict[str, int] = {}  # when each was last true
        self.state = SloState.NO_DATA
        self.state_since_unix_nano = 0
        self.course: Course | None = None
        self.course_turn = 0
        self.status: SloStatus | None = None
        self.is_changed = True  # since the last status
        self.is_silent = False
        self.weight = NEVER  # for how many events the heaviest one stood, and when
        self.is_unsaved = False  # something other than its counts changed since the last checkpoint
        self.marks: tuple[set[int], ...] = ()  # take every cell that counts something, for those who read the series
        self.progress = NOT_BEGUN  # of the slices that are judged into it
        self.reads: tuple[Series, ...] = ()  # whose events or slices decide its own slices
        self.source: Series | None = None  # counts the events behind its slices
        self.blend: Blend | None = None  # reads the members of a weighted series

    def resume(self, alerts: Iterable[Alert]) -> None:
        """Take over the alerts of an earlier life, as far as the SLO still asks for them."""
        speaks = not (self.slo.alerting.together and self.key.group)
        self.alerts = alerts_of(self.slo.alerting, alerts) if speaks else ()
        self.is_changed = True

    def succeed(self, other: Series) -> None:
        """Take over what a series counted that read the same events and is used no more."""
        if other.slo == self.slo:
            self.early = other.early
        self.ledger.adopt(other.ledger)
        self.failing, self.notes, self.progress = other.failing, other.notes, other.progress
        self.marks = other.marks
        self.weight = other.weight
        self.state, self.state_since_unix_nano = other.state, other.state_since_unix_nano
        self.resume(other.alerts)

    def resemble(self, other: Series) -> None:
        """Take a copy of what a series counted that reads the same events for another SLO, which is used on."""
        self.ledger.resemble(other.ledger)
        self.failing, self.progress, self.weight = other.failing, other.progress, other.weight
        self.notes = dict(other.notes)
        self.is_changed = self.is_unsaved = True

    def fold(self, parts: Sequence[Series]) -> None:
        """Hold what series count together that read the parts of its events, and nothing else."""
        self.ledger.fold([part.ledger for part in parts])
        self.failing = ()
        self.show(dict(failing for part in parts for failing in part.failing).items())
        self.weight = max((part.weight for part in parts), default=NEVER)
        self.is_unsaved = True

    def note(self, note: str, at: int | None) -> None:
        """Note what the user must know; the oldest make room.

        Args:
            note: What it is.
            at: When it was true, nanoseconds since the epoch; None if it is true no more.
        """
        self.is_changed = self.is_changed or (note in self.notes) is (at is None)
        if at is None:
            self.notes.pop(note, None)
            return
        self.notes[note] = at
        if len(self.notes) > MAX_NOTES:
            del self.notes[min(self.notes, key=self.notes.__getitem__)]

    def weigh(self, weight: int, at: int) -> None:
        """Note for how many events one stands that came at a moment, nanoseconds since the epoch."""
        self.weight = heavier(self.weight, weight, at, self.slo)

    def count(self, at_unix_nano: int, good: int, bad: int) -> None:
        """Count events at their own time, nanoseconds since the epoch, and tell those who read the series."""
        self.ledger.add(at_unix_nano, good, bad)
        self.is_changed = True
        if self.early is not None:
            self.early.add(at_unix_nano, good, bad)
        for marks in self.marks:
            marks.add(at_unix_nano)

    def show(self, evidence: Iterable[Evidence]) -> None:
        """Take over bad events; only the newest are kept, in the order of their numbers."""
        self.failing = tuple(sorted((*self.failing, *evidence), key=itemgetter(0))[-MAX_FAILING:])
        self.is_changed = True


def look_back_ns(slo: Slo) -> int:
    """Return the long look-back of the fastest alert: what "now" means for a person on call."""
    windows = slo.alerting.windows
    return windows[0].long_ns if windows else slo.period.length_ns
