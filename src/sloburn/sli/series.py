"""One series: an SLO, or one group of it, with its ledger and what else is kept about it."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass

from sloburn.sli.autopsy import Autopsy
from sloburn.sli.ledger import Ledger, tiers
from sloburn.sli.status import BudgetPoint, FailingTrace, SloState
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
    """Mutable state of one series; only the engine touches it."""

    __slots__ = (
        "alerts",
        "autopsy",
        "budget",
        "budget_at_unix_nano",
        "failing",
        "key",
        "ledger",
        "notes",
        "slo",
        "state",
        "state_since_unix_nano",
    )

    def __init__(self, key: SeriesKey, slo: Slo, time_scale: int) -> None:
        self.key = key
        self.slo = slo
        self.ledger = Ledger(tiers(slo.period.length_ns, time_scale))
        self.autopsy = Autopsy(look_back_ns(slo))
        self.failing: deque[FailingTrace] = deque(maxlen=MAX_FAILING)
        self.alerts: tuple[Alert, ...] = tuple(Alert(severity=severity) for severity in Severity)
        self.notes: dict[str, None] = {}
        self.state = SloState.NO_DATA
        self.state_since_unix_nano = 0
        self.budget: tuple[BudgetPoint, ...] = ()
        self.budget_at_unix_nano = 0


def look_back_ns(slo: Slo) -> int:
    """Return the long look-back of the fastest alert: what "now" means for a person on call."""
    windows = slo.alerting.windows
    return windows[0].long_ns if windows else slo.period.length_ns


def quiet_ns(slo: Slo) -> int:
    """Return how long nothing may come before it is called silence: the short look-back of the fastest alert."""
    windows = slo.alerting.windows
    return windows[0].short_ns if windows else slo.period.length_ns
