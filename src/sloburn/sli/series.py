"""One series: an SLO, or one group of it, with its ledger and what else is kept about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from sloburn.sli.course import Course
from sloburn.sli.early_watch import early_watch
from sloburn.sli.evidence import Evidence
from sloburn.sli.ledger import Ledger
from sloburn.sli.shape import Shape
from sloburn.sli.status import SloState, SloStatus
from sloburn.slo.alerting import Alert
from sloburn.slo.model import Severity, Slo

Group = tuple[tuple[str, str], ...]

MAX_FAILING = 20
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


def generation(slo: Slo, time_scale: int) -> str:
    """Return a digest of everything that decides what an SLO counts, and in which slices."""
    text = repr((slo.service, slo.indicator, slo.group_by, time_scale))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Series:
    """Mutable state of one series; only the engine touches it.

    Args:
        key: Which series.
        slo: The promise, scaled.
        shape: How it is evaluated.
    """

    __slots__ = (
        "alerts",
        "course",
        "course_turn",
        "early",
        "failing",
        "is_changed",
        "is_silent",
        "key",
        "ledger",
        "notes",
        "number",
        "shape",
        "slo",
        "state",
        "state_since_unix_nano",
        "status",
    )

    def __init__(self, key: SeriesKey, slo: Slo, shape: Shape) -> None:
        self.key = key
        self.number = 0  # given when the stored ones are known: see Engine.tick
        self.slo = slo
        self.shape = shape
        self.ledger = Ledger(shape.look_backs.resolutions, shape.look_backs.tiers)
        self.early = early_watch(slo, shape.look_backs.resolutions[0].slice_ns)
        self.failing: tuple[Evidence, ...] = ()
        self.alerts: tuple[Alert, ...] = _INACTIVE
        self.notes: dict[str, int] = {}  # when each was last true
        self.state = SloState.NO_DATA
        self.state_since_unix_nano = 0
        self.course: Course | None = None
        self.course_turn = 0
        self.status: SloStatus | None = None
        self.is_changed = True  # since the last status
        self.is_silent = False

    def show(self, evidence: Iterable[Evidence]) -> None:
        """Take over bad events; only the newest are kept, in the order of their numbers."""
        self.failing = tuple(sorted((*self.failing, *evidence), key=itemgetter(0))[-MAX_FAILING:])
        self.is_changed = True


_INACTIVE = tuple(Alert(severity=severity) for severity in Severity)


def look_back_ns(slo: Slo) -> int:
    """Return the long look-back of the fastest alert: what "now" means for a person on call."""
    windows = slo.alerting.windows
    return windows[0].long_ns if windows else slo.period.length_ns
