"""What a batch of requests changes: worked out first, stored next, applied last.

Nothing in the engine changes before the commit is durable, so a failed write loses nothing and doubles nothing: the
sender is told to send again. A restart applies the same commits once more, from the journal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sloburn.sli.autopsy import EVERY, Trait
from sloburn.sli.series import SeriesKey
from sloburn.sli.status import FailingTrace
from sloburn.sli.temporality import StreamState

MAX_EVIDENCE = 50


@dataclass(slots=True, kw_only=True)
class Commit:
    """The changes of one batch.

    Args:
        counts: Good and bad events by series and time (the start of its finest slice, nanoseconds since the epoch).
        seen: Keys of the spans that were counted.
        streams: New state of metric streams, by stream key.
        evidence: Bad events worth showing.
        traits: Good and bad events by series, time and traits; only for explaining.
        heard: When each service was last heard, nanoseconds since the epoch.
        notes: What the user must know of a series.
        items: What became of every item, by signal and fate.
    """

    counts: dict[tuple[SeriesKey, int], list[int]] = field(default_factory=dict)
    seen: set[bytes] = field(default_factory=set)
    streams: dict[bytes, StreamState] = field(default_factory=dict)
    evidence: list[tuple[SeriesKey, FailingTrace]] = field(default_factory=list)
    traits: dict[tuple[SeriesKey, int, tuple[Trait, ...]], list[int]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    notes: dict[tuple[SeriesKey, str], None] = field(default_factory=dict)
    items: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_empty(self) -> bool:
        """Nothing in it needs to survive a restart."""
        return not (self.counts or self.streams)

    def count(self, key: SeriesKey, at_unix_nano: int, traits: tuple[Trait, ...], good: int, bad: int) -> None:
        """Add events of one series, one slice and one set of traits."""
        cell = self.counts.setdefault((key, at_unix_nano), [0, 0])
        cell[0] += good
        cell[1] += bad
        self.explain(key, at_unix_nano, (EVERY, *traits), good, bad)

    def explain(self, key: SeriesKey, at_unix_nano: int, traits: tuple[Trait, ...], good: int, bad: int) -> None:
        """Add what is known of events that are counted elsewhere."""
        cell = self.traits.setdefault((key, at_unix_nano, traits), [0, 0])
        cell[0] += good
        cell[1] += bad

    def show(self, key: SeriesKey, failing: FailingTrace) -> None:
        """Keep a bad event as evidence; only so many of a batch are kept."""
        if len(self.evidence) < MAX_EVIDENCE:
            self.evidence.append((key, failing))
