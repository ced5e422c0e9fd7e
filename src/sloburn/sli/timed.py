"""Series whose events are slices of time: each slice is judged once it is over, and again when a late event moves it.

Verdicts are booked like events: one good or bad event in the last cell of its slice, by a commit that is stored before
it is applied. So windows, budgets, alerts and restarts know nothing of slices. A verdict that changes is taken back by
a count of minus one.

Nothing comes in while the processor is down. Time in which nobody listened is a gap: a slice that touches it is judged
by the events that came late, but it is never bad because nothing happened in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from sloburn.duration import MINUTE, SECOND, humanize_duration
from sloburn.sli.commit import Commit
from sloburn.sli.horizon import TOO_LATE
from sloburn.sli.outcome import Outcome
from sloburn.sli.progress import Progress
from sloburn.sli.series import Series
from sloburn.sli.verdicts import Rule, ring_of_slices
from sloburn.slo.exclusions import Interval
from sloburn.slo.model import SLICE_STEP_NS

WAIT_NS = 10 * SECOND
"""A slice is judged so long after its end: an OpenTelemetry SDK exports spans every 5 s unless told otherwise."""

GAP_NS = 1 * MINUTE
"""Longer without a look at the clock, and nobody listened."""

MOST_AT_ONCE = 1_000  # slices in one look after a gap: the first ones may hold events that came before it
MOST_GAPS = 32


SLICES = "slices"
"""Beside the signals, where items are counted: cells of events that came too late to judge their slices anew."""


class Timed:
    """The slices of one series.

    Args:
        series: Takes the verdicts.
        rule: Judges.
        starts_at_once: Its history begins with its first look at the clock, not with its first event.
        delay: How many cells longer than others it waits: what it reads is judged first.
        time_scale: How many times faster than written the windows run.
    """

    __slots__ = ("_gap_ns", "_marks", "_ring", "_rule", "_starts_at_once", "_step_ns", "_wait_ns", "series")

    def __init__(
        self, series: Series, rule: Rule, *, starts_at_once: bool, delay: int = 0, time_scale: int = 1
    ) -> None:
        self.series = series
        self._rule = rule
        self._starts_at_once = starts_at_once
        self._step_ns = SLICE_STEP_NS // time_scale
        self._wait_ns = WAIT_NS // time_scale + delay * self._step_ns
        self._gap_ns = GAP_NS // time_scale + self._wait_ns + 2 * rule.slice_ns
        self._ring = ring_of_slices(series.ledger, rule.slice_ns)
        self._marks: set[int] = set()

    def listen(self, sources: Iterable[Series]) -> None:
        """Take note of every cell in which events of some series are counted."""
        for source in sources:
            source.marks = (*source.marks, self._marks)

    def judge(self, now: int, commit: Commit, outcome_of: Callable[[int, bool], Outcome]) -> None:
        """Work out the verdicts that are new or changed at `now`.

        Args:
            now: Nanoseconds since the epoch.
            commit: Takes them.
            outcome_of: Returns the outcome of a good or bad (true) event of a numbered series.
        """
        before = self._before()
        ripe = (now - self._wait_ns) // self._rule.slice_ns
        if ripe <= before.until and not self._marks:
            return
        after = self._after(before, ripe, now)
        if not after.history_unix_nano:
            return
        numbers = self._moved(after, now, commit)
        if after is before and not numbers:
            self._marks.clear()  # what is marked is not over yet
            return
        numbers.update(range(before.until or after.until, min(after.until, before.until + MOST_AT_ONCE)))
        for number in sorted(numbers):
            self._book(number, after, commit, outcome_of)
        commit.progress[self.series.key] = after

    def next_verdict(self, now: int) -> int:
        """Return when the next slice is judged after `now`, nanoseconds since the epoch."""
        ripe = (now - self._wait_ns) // self._rule.slice_ns
        return (ripe + 1) * self._rule.slice_ns + self._wait_ns

    def applied(self, progress: Progress) -> None:
        """Take over how far a commit judged, once it is durable."""
        self.series.progress = progress
        self.series.is_unsaved = True
        self._marks.clear()

    def _before(self) -> Progress:
        """Return how far the slices are judged: a verdict in the journal says more than an older checkpoint."""
        progress, last = self.series.progress, self.series.ledger.last_unix_nano // self._rule.slice_ns
        if progress.history_unix_nano and last >= progress.until:
            self.series.progress = progress = replace(progress, until=last + 1)
        return progress

    def _after(self, before: Progress, ripe: int, now: int) -> Progress:
        """Return how far the slices will be judged."""
        if not before.history_unix_nano:
            begins = self._starts_at_once or self._rule.first_event()
            return Progress(history_unix_nano=now, until=ripe) if begins else before
        if ripe <= before.until:
            return before
        oldest = now - self.series.ledger.rings[-1].tier.reach_ns
        gaps = tuple(gap for gap in before.gaps if gap.end_unix_nano > oldest)
        stopped = before.until * self._rule.slice_ns
        if now - stopped > self._gap_ns:
            gaps = (*gaps, Interval(stopped, now))[-MOST_GAPS:]
        return replace(before, until=ripe, gaps=gaps)

    def _moved(self, progress: Progress, now: int, commit: Commit) -> set[int]:
        """Return the slices that were judged and that what came since can move; count what came too late for them."""
        oldest = (now - self._rule.reach_ns) // self._rule.slice_ns + 1
        numbers: set[int] = set()
        for at in self._marks:
            first, last = self._rule.moved_by(at, progress.gaps)
            if last < oldest:
                commit.items[SLICES, TOO_LATE] += 1
                commit.notes[self.series.key, _too_late(self._rule.reach_ns)] = None
            numbers.update(range(max(first, oldest), min(last + 1, progress.until)))
        return numbers

    def _book(
        self, number: int, progress: Progress, commit: Commit, outcome_of: Callable[[int, bool], Outcome]
    ) -> None:
        """Count a slice as what it is, and take back what it was counted as."""
        begin = number * self._rule.slice_ns
        if self._starts_at_once and begin + self._rule.slice_ns <= progress.history_unix_nano:
            return
        verdict = self._rule.verdict(begin, progress.gaps, progress.history_unix_nano)
        if verdict is None:
            return
        at = begin + self._rule.slice_ns - self._step_ns
        was = self._ring.between(at, at)
        for is_bad, booked in ((False, was.good), (True, was.bad)):
            change = (verdict is not is_bad) - booked
            if change:
                commit.count(outcome_of(self.series.number, is_bad), at, change)


def _too_late(reach_ns: int) -> str:
    return f"events came for slices of more than {humanize_duration(reach_ns)} ago, which stay as they were judged"
