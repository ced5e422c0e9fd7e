"""The early page: a sequential test that knows after seconds that a total outage will spend the budget.

The workbook's fastest pair waits until 2 % of the budget is gone: 51.84 s of total outage at 99.9 %. This test asks
sooner: can what was just seen still be the noise that the objective allows?

**What is measured.** Time is cut into slices of one second; those without events are passed over. A slice is worth its
error ratio, 0 to 1, so a retry storm inside one second weighs no more than one second. Three corrections, all of them
towards silence: the newest slice is incomplete, so its ratio is taken of at least as many events as a usual slice has;
a slice with one event shows that a burst touched it and not for how long, so it is worth at most the longest burst
(half of it beside another slice with bad events, for one burst may have touched both), one with two events the mean
of that and its ratio; every ratio is rounded down. `S(m)`, the *bad slices*, is the sum over the newest m of them.

**What is allowed** (the null hypothesis). The whole budget is spent all the time: bad events come in bursts, at
moments of a Poisson process, each failing any share of the events for at most `tolerated_burst`, with a long-run error
ratio of 1 - objective. Independent single errors are the limit of short bursts. The arrival of events does not depend
on the bursts.

**The bound.** A window of m slices is touched by bursts that began within m + b slices (b: the longest burst), each
worth at most b, worth q (m + b) together on average (q = 1 - objective): a compound Poisson variable with bounded
jumps. Bennett's inequality (Boucheron, Lugosi, Massart, "Concentration Inequalities", 2013, theorem 2.9, for Poisson
the Chernoff bound) gives with s = S(m) / b and v = q (m + b) / b:  P(S(m) / b >= s) <= exp(-(s ln(s / v) - s + v)).
A threshold that makes the right side 1 / (slices of a year x number of windows) is crossed at most once a year in
expectation, by the union bound over every slice of the year and every window. Many short windows at once are a scan
statistic (Naus, JASA 1965); against Page's CUSUM it is as fast at a known error ratio and needs none to be known.

What the proof leaves to `bench/early_page.py`, which simulates it: a ratio of few events is a sample, so a burst may
seem longer than it is. The union bound counts overlapping windows as if they were different, which more than pays.

**The floor.** No threshold is below `FLOOR_SLICES`: a single total failure shorter than 3.2 s at steady traffic, and
shorter than 2 s at any, never pages, however many events it holds. The longest burst is the one whose bound for the
shortest window reaches just this floor: 0.52 s at 99 %, 0.63 s at 99.5 %, 0.88 s at 99.9 %, and never more than a
slice, for what is said of neighbours would not hold beyond.

**It is never another opinion.** The error ratio of the window must also burn faster than the workbook's fastest page:
the page would come later if this goes on, and `EarlyEvidence` says when.

Late events are put into their own slice and the sums taken again, as long as it is among the newest `WINDOWS[-1]`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from sloburn.duration import DAY, SECOND, humanize_duration
from sloburn.slo.budget import Count, error_budget
from sloburn.slo.model import Severity, Slo

SLICE_NS = SECOND
WINDOWS = (4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
SHORTEST_BURST_SLICES = Fraction(1, 2)
LONGEST_BURST_SLICES = Fraction(1)
FLOOR_SLICES = Fraction(32, 10)

_YEAR_SLICES = 366 * DAY // SLICE_NS
_MICRO = 1_000_000
FLOOR_MICRO = int(FLOOR_SLICES * _MICRO)
_BISECTIONS = 80


class Slice(NamedTuple):  # not a dataclass: 64 of them are made for every series that has bad events, at every tick
    """The events of one second: its number since the epoch, how many events were bad, how many there were."""

    number: int
    bad: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyEvidence:
    """Why the early page fires.

    Args:
        bad: Bad events of the window that shows it.
        total: All events of that window.
        span_ns: How long the window is, nanoseconds: from the start of its oldest slice to the end of its newest.
        bad_slices: What the window is worth.
        needed_slices: What noise exceeds at most once a year.
        budget_share: Share of the period's budget that the workbook's fastest page waits for.
        gone_ns: Nanoseconds until so much is gone at this pace and steady traffic; 0 if it is gone.
    """

    bad: int
    total: int
    span_ns: int
    bad_slices: Fraction
    needed_slices: Fraction
    budget_share: Fraction
    gone_ns: int

    @property
    def text(self) -> str:
        """The reason: ``12 of the last 12 events failed; at this pace 2 % of the budget is gone in 47 s``."""
        seen = f"{self.bad:,} of the last {self.total:,} events failed"
        share = f"{float(self.budget_share * 100):.3g} % of the budget"
        if not self.gone_ns:
            return f"{seen}; {share} is gone"
        seconds = -(-self.gone_ns // SECOND)
        left = f"{seconds} s" if seconds < 60 else humanize_duration(seconds * SECOND)
        return f"{seen}; at this pace {share} is gone in {left}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyRule:
    """The test of one SLO.

    Args:
        long_ns: Long look-back of the workbook's fastest page, which this one comes before, nanoseconds.
        allowed_ratio: The error ratio above which that page will come.
        budget_share: The share of the period's budget that it waits for.
        slice_ns: Length of a slice, nanoseconds: a second, less on a scaled clock.
        min_bad_events: Bad events that the evidence must hold: one error never pages.
        burst: The longest burst that noise may hold, in millionths of a slice.
        thresholds: For each window, how many of the newest slices it has and the millionths of slices that it needs.
    """

    long_ns: int
    allowed_ratio: Fraction
    budget_share: Fraction
    slice_ns: int
    min_bad_events: int
    burst: int
    thresholds: tuple[tuple[int, int], ...]


def early_rule(slo: Slo, slice_ns: int = SLICE_NS) -> EarlyRule | None:
    """Return the test of an SLO; None unless it asks for one and has a page to come before.

    Args:
        slo: The promise, scaled.
        slice_ns: Length of a slice, nanoseconds; scaled like the SLO.
    """
    pages = [window for window in slo.alerting.windows if window.severity is Severity.PAGE]
    if not slo.alerting.early_page or not pages:
        return None
    fastest = min(pages, key=lambda window: window.long_ns)
    return EarlyRule(
        long_ns=fastest.long_ns,
        allowed_ratio=fastest.factor * error_budget(slo.objective),
        budget_share=fastest.factor * Fraction(fastest.long_ns, slo.period.length_ns),
        slice_ns=slice_ns,
        min_bad_events=slo.alerting.min_bad_events,
        burst=int(tolerated_burst(slo.objective) * _MICRO),
        thresholds=thresholds(slo.objective),
    )


@lru_cache(maxsize=256)
def thresholds(objective: Fraction) -> tuple[tuple[int, int], ...]:
    """Return for each window the millionths of bad slices that noise exceeds at most once a year; rounded up.

    Windows that cannot hold so many are left out: at 99 % and above there are none.
    """
    burst = tolerated_burst(objective)
    found = [(size, max(FLOOR_MICRO, math.ceil(_bound(objective, burst, size) * _MICRO) + 1)) for size in WINDOWS]
    return tuple((size, needed) for size, needed in found if needed < size * _MICRO)


@lru_cache(maxsize=256)
def tolerated_burst(objective: Fraction) -> Fraction:
    """Return the longest burst, in hundredths of a slice, that the bound of one false page a year includes."""
    steps = range(int(LONGEST_BURST_SLICES * 100), int(SHORTEST_BURST_SLICES * 100), -1)
    bursts = (Fraction(step, 100) for step in steps)
    fits = (burst for burst in bursts if _bound(objective, burst, WINDOWS[0]) <= FLOOR_SLICES)
    return next(fits, SHORTEST_BURST_SLICES)


def _bound(objective: Fraction, burst: Fraction, size: int) -> float:
    """Return how many bad slices a window of `size` holds at most once a year, with bursts of at most `burst` slices.

    It is found by bisection between the mean and a number that Bernstein's inequality shows to be beyond it.
    """
    goal = math.log(_YEAR_SLICES * len(WINDOWS))
    mean = float(error_budget(objective) * (size + burst) / burst)
    low, high = mean, mean + 2 * goal + math.sqrt(2 * goal * mean)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        exponent = middle * math.log(middle / mean) - middle + mean
        low, high = (low, middle) if exponent >= goal else (middle, high)
    return high * float(burst)


def judge(rule: EarlyRule, slices: Sequence[Slice], long: Count) -> EarlyEvidence | None:
    """Return the evidence that the newest slices hold; None while noise may explain them.

    Args:
        rule: The test.
        slices: Slices with events, oldest first; only the newest `WINDOWS[-1]` are looked at.
        long: Events of the workbook's long window, for saying when its page would come.
    """
    newest = slices[-WINDOWS[-1] :]
    if not newest:
        return None
    usual = -(-sum(one.total for one in newest) // len(newest))
    allowed, of = rule.allowed_ratio.numerator, rule.allowed_ratio.denominator
    worth = bad = total = done = 0
    for size, needed in rule.thresholds:
        if size > len(newest):
            return None
        for index in range(len(newest) - 1 - done, len(newest) - 1 - size, -1):
            one = newest[index]
            worth += _worth(rule, newest, index, usual)
            bad, total = bad + one.bad, total + one.total
        done = size
        if worth > needed and bad >= rule.min_bad_events and bad * of > allowed * total:
            return _evidence(rule, newest[-size:], Count(total - bad, bad), worth, needed, long)
    return None


def _worth(rule: EarlyRule, slices: Sequence[Slice], index: int, usual: int) -> int:
    """Return what a slice is worth, in millionths."""
    one = slices[index]
    if not one.bad:
        return 0
    ratio = _MICRO * one.bad // (max(one.total, usual) if index == len(slices) - 1 else one.total)
    if one.total > 2:
        return ratio
    if one.total == 2:
        return ratio * (_MICRO + rule.burst) // (2 * _MICRO)
    beside = (slices[max(0, index - 1)], slices[min(len(slices) - 1, index + 1)])
    touched = any(other.bad and abs(other.number - one.number) == 1 for other in beside)
    return ratio * rule.burst // ((2 if touched else 1) * _MICRO)


def _evidence(
    rule: EarlyRule, slices: Sequence[Slice], seen: Count, worth: int, needed: int, long: Count
) -> EarlyEvidence:
    span_ns = (slices[-1].number + 1 - slices[0].number) * rule.slice_ns
    missing = max(Fraction(0), rule.allowed_ratio * long.total - long.bad)
    return EarlyEvidence(
        bad=seen.bad,
        total=seen.total,
        span_ns=span_ns,
        bad_slices=Fraction(worth, _MICRO),
        needed_slices=Fraction(needed, _MICRO),
        budget_share=rule.budget_share,
        gone_ns=math.ceil(missing * span_ns / seen.bad),
    )
