"""What is known of every SLO at one moment: frozen values that outputs and alerts read.

`Snapshot` is the only thing that leaves the engine. Everything that shows or sends something is a pure function of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from sloburn.sli.incomplete import Incomplete
from sloburn.slo.alerting import Alert, PairReading
from sloburn.slo.annotation import Annotation
from sloburn.slo.budget import Count
from sloburn.slo.early import EarlyEvidence
from sloburn.slo.model import Slo


class SloState(StrEnum):
    """The states of an SLO, calmest first."""

    OK = "ok"
    BURNING = "burning"  # a burn alert is firing
    EXHAUSTED = "exhausted"  # the period's budget is gone
    NO_TRAFFIC = "no traffic"  # the service reports, but no event of this SLO came
    NO_DATA = "no data"  # the service does not report: frozen, neither fires nor resolves


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBurn:
    """One look-back and what it holds.

    Args:
        length_ns: Look-back, nanoseconds.
        count: Events in it.
        burn: Burn rate; None without events.
    """

    length_ns: int
    count: Count
    burn: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingTrace:
    """One bad event that a person can look at.

    Args:
        at_unix_nano: When its span ended.
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        name: The span's name.
        duration_ns: From start to end.
        status: Its HTTP status code, or its span status, as text.
        exception: Type of the exception, or the value of ``error.type``; empty if none was recorded.
        message: The exception's message; empty if none was recorded.
        attributes: What else is known of it, for people: route, method, version.
    """

    at_unix_nano: int
    trace_id: str
    span_id: str
    name: str
    duration_ns: int
    status: str
    exception: str
    message: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """An attribute value that stands out among bad events.

    Args:
        key: Attribute name.
        value: Its value.
        count: Events with that value in the fastest long window.
        bad_share: Share of the bad events that have the value.
        good_share: Share of the good events that have it; None without good events.
    """

    key: str
    value: str
    count: Count
    bad_share: Fraction
    good_share: Fraction | None

    @property
    def lift(self) -> Fraction | None:
        """How many times more common the value is among bad events than among good ones; None if never there."""
        return self.bad_share / self.good_share if self.good_share else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPoint:
    """The budget at one moment of the period.

    Args:
        at_unix_nano: When.
        remaining: Share of the period's budget that was left, over events since the period began; 1 before any event.
        count: Events of the step that ends there.
    """

    at_unix_nano: int
    remaining: Fraction
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class SloStatus:
    """One SLO, or one group of it, at one moment.

    Args:
        slo: The promise.
        group: Names and values of ``group_by``; empty without groups.
        state: Where it stands.
        since_unix_nano: Since when it is in that state.
        count: Events of the period.
        lifetime: Events ever counted: monotonic counters for Prometheus.
        sli: Good share of the period; None without events.
        budget_remaining: Share of the budget that is left; None without events.
        outage_ns: Nanoseconds that a total outage may still last at the current traffic, or that may still be bad where
            slices of time are counted; None where that is not known.
        exhaustion_ns: Nanoseconds until it is gone at the burn of the first long window; None if it is not burning;
            of an SLO that weights others as if the period of every member were full.
        burns: Every look-back, shortest first.
        pairs: The alert pairs, fastest first.
        alerts: The burn alerts, page first, then the budget alerts.
        failing: The newest bad events, newest first.
        suspects: What stands out among them, strongest first.
        budget: The budget over the period, oldest first.
        last_event_unix_nano: When the newest event ended; 0 if there was none.
        notes: What the user must know: rules that can never fire, thresholds that cannot be judged.
        early: Why the early page fires; None unless the SLO asks for it and there is evidence.
        incomplete: How far the numbers can be off because events were lost on their way; None if none are known to be.
        clock_lead_ns: How far the clock of the service's senders was ahead of ours in the last minutes, nanoseconds; 0
            below a few seconds.
    """

    slo: Slo
    group: tuple[tuple[str, str], ...] = ()
    state: SloState
    since_unix_nano: int
    count: Count
    lifetime: Count
    sli: Fraction | None
    budget_remaining: Fraction | None
    exhaustion_ns: int | None
    burns: tuple[WindowBurn, ...]
    pairs: tuple[PairReading, ...]
    alerts: tuple[Alert, ...]
    failing: tuple[FailingTrace, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    budget: tuple[BudgetPoint, ...] = ()
    last_event_unix_nano: int = 0
    notes: tuple[str, ...] = ()
    early: EarlyEvidence | None = None
    outage_ns: int | None = None
    incomplete: Incomplete | None = None
    clock_lead_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What people must know of the processor itself.

    Args:
        at_unix_nano: Since when it is so.
        text: What happened and what follows from it.
        is_over: It is history; else it is so now.
    """

    at_unix_nano: int
    text: str
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is known at one moment.

    Args:
        at_unix_nano: The moment.
        statuses: Every SLO and group, in the order of the documents.
        items: What became of every span, data point and log record, by signal and fate (``counted``, ``duplicate``,
            ``unmatched``, ``too late``, ``in the future``, ...), since the processor started.
        annotations: What happened beside the telemetry, oldest first.
        time_scale: How many times faster than the documents say the windows run; 1 in production.
        lost: Events that were lost before they could be counted, by service (empty if that is not known), signal and
            who lost them; since the store began.
        history_unix_nano: When the history of all SLOs begins; 0 if that is not known.
        notices: What people must know of the processor itself: SLO documents that are refused, a store that fails.
        clock_leads: How far the clocks of services were ahead of ours in the last minutes, nanoseconds; only those that
            were by some seconds. One that is behind cannot be told from one that sends late.
    """

    at_unix_nano: int
    statuses: tuple[SloStatus, ...] = ()
    items: Mapping[tuple[str, str], int] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()
    time_scale: int = 1
    lost: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    history_unix_nano: int = 0
    notices: tuple[Notice, ...] = ()
    clock_leads: Mapping[str, int] = field(default_factory=dict)
