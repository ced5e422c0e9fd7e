"""What a batch of requests changes: worked out first, stored next, applied last.

Nothing in the engine changes before the commit is durable, so a failed write loses nothing and doubles nothing: the
sender is told to send again. A restart applies the same commits once more, from the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sloburn.sli.horizon import MIN_LEAD_NS
from sloburn.sli.outcome import Outcome, Portrait
from sloburn.sli.progress import Progress
from sloburn.sli.series import SeriesKey
from sloburn.sli.status import FailingTrace
from sloburn.sli.temporality import StreamState

MAX_EVIDENCE = 50  # outcomes of which bad events are kept, in one batch
MAX_EVIDENCE_OF_ONE = 5


def _never(_: Outcome) -> bool:
    return False


@dataclass(slots=True, kw_only=True)
class Commit:
    """The changes of one batch.

    Args:
        now: When it was worked out, nanoseconds since the epoch.
        counts: Events by outcome and time (the start of its finest slice, nanoseconds since the epoch).
        seen: Keys of the spans that were counted, by the same time.
        streams: New state of metric streams, by stream key.
        evidence: Bad events worth showing, by outcome.
        looks: Events by service and time, and then by what they looked like; only for explaining.
        heard: When each service was last heard, nanoseconds since the epoch.
        leads: How far the newest event of a service is ahead of our clock, nanoseconds.
        versions: Which versions the services say that they are.
        notes: What the user must know of a series.
        outdated: Notes that are true no more.
        items: What became of every item, by signal and fate.
        weights: For how many events the heaviest item of an outcome stands, where that is not one.
        progress: How far the slices of series are judged with it.
        is_sated: Tells of which outcomes enough bad events were kept of late.
    """

    now: int = 0
    counts: dict[tuple[Outcome, int], int] = field(default_factory=dict)
    seen: dict[int, set[bytes]] = field(default_factory=dict)
    streams: dict[bytes, StreamState] = field(default_factory=dict)
    evidence: dict[Outcome, list[FailingTrace]] = field(default_factory=dict)
    looks: dict[tuple[str, int], dict[Portrait, int]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    leads: dict[str, int] = field(default_factory=dict)
    versions: set[tuple[str, str]] = field(default_factory=set)
    notes: dict[tuple[SeriesKey, str], None] = field(default_factory=dict)
    outdated: dict[tuple[SeriesKey, str], None] = field(default_factory=dict)
    items: Counter[tuple[str, str]] = field(default_factory=Counter)
    weights: dict[Outcome, int] = field(default_factory=dict)
    progress: dict[SeriesKey, Progress] = field(default_factory=dict)
    is_sated: Callable[[Outcome], bool] = _never

    @property
    def is_empty(self) -> bool:
        """Nothing in it needs to survive a restart."""
        return not (self.counts or self.streams or self.gaps)

    @property
    def gaps(self) -> dict[SeriesKey, Progress]:
        """How far the slices of those series are judged of which it was found now that nobody had listened."""
        found = self.progress.items()
        return {key: one for key, one in found if one.gaps and one.gaps[-1].end_unix_nano == self.now}

    def count(self, outcome: Outcome, at_unix_nano: int, events: int) -> None:
        """Add events of one outcome and one slice."""
        cell = (outcome, at_unix_nano)
        self.counts[cell] = self.counts.get(cell, 0) + events

    def count_looks(self, service: str, at_unix_nano: int, looks: Mapping[Portrait, int]) -> None:
        """Add events of one service and slice by what they looked like, and so by what they mean."""
        held = self.looks.setdefault((service, at_unix_nano), {})
        by_outcome: dict[Outcome, int] = {}
        for portrait, events in looks.items():
            outcome = portrait.outcome
            by_outcome[outcome] = by_outcome.get(outcome, 0) + events
            if events:
                held[portrait] = held.get(portrait, 0) + events
        for outcome, events in by_outcome.items():
            self.count(outcome, at_unix_nano, events)

    def withdraw(self, key: SeriesKey, note: str) -> None:
        """Take back what the user had to know of a series."""
        self.notes.pop((key, note), None)
        self.outdated[key, note] = None

    def weigh(self, outcome: Outcome, weight: int) -> None:
        """Note that an item of an outcome stands for so many events."""
        self.weights[outcome] = max(weight, self.weights.get(outcome, 1))

    def explain(self, portrait: Portrait, at_unix_nano: int, events: int) -> None:
        """Add what is known of events that are counted elsewhere."""
        held = self.looks.setdefault((portrait.service, at_unix_nano), {})
        held[portrait] = held.get(portrait, 0) + events

    def lead(self, service: str, lead_ns: int) -> None:
        """Note that the newest event of a service is so many nanoseconds ahead of our clock."""
        if lead_ns >= MIN_LEAD_NS:
            self.leads[service] = max(lead_ns, self.leads.get(service, 0))

    def wants(self, outcome: Outcome) -> bool:
        """Tell whether bad events of an outcome would be kept as evidence; only so many outcomes of a batch are."""
        return outcome in self.evidence or (len(self.evidence) < MAX_EVIDENCE and not self.is_sated(outcome))

    def show(self, outcome: Outcome, failing: FailingTrace) -> None:
        """Keep a bad event as evidence, in place of the oldest where there are many."""
        held = self.evidence.setdefault(outcome, [])
        held.append(failing)
        del held[:-MAX_EVIDENCE_OF_ONE]
