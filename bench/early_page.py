"""The early page against the workbook's table: how soon it comes, and how often it comes for nothing.

    python -m bench.early_page [--trials 300] [--years 2] [--seed 1]      about 20 minutes; --years 0.2: about four

Standard library only. Both judge the same streams. *Detection*: an hour at the noise that the objective allows, then
an outage; seconds from the first failure until the page, evaluated every 0.2 s. *False pages*: SLO-years at exactly
the error ratio that the objective allows, spent in independent errors or in total failures of up to the documented
length at random moments; stretches in which no bad slice is near another are skipped, which changes nothing. It prints
what it finds and asserts nothing.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from sloburn.duration import DAY, SECOND
from sloburn.slo.budget import Count
from sloburn.slo.catalog import workbook_windows
from sloburn.slo.clamp import reachable_windows
from sloburn.slo.conditions import AllOf
from sloburn.slo.early import WINDOWS, EarlyRule, Slice, early_rule, judge, tolerated_burst
from sloburn.slo.model import Alerting, Period, Severity, Slo, SpanIndicator

YEAR = 366 * 86_400
PERIOD = Period(length_ns=30 * DAY)
TICK = 0.2
GUARD = 5
QUIET = 60  # two pages within a minute are one


def rule_of(objective: Fraction) -> EarlyRule:
    windows, _ = reachable_windows(workbook_windows(PERIOD), objective)
    slo = Slo(
        name="bench",
        service="bench",
        objective=objective,
        period=PERIOD,
        indicator=SpanIndicator(where=AllOf(), bad=AllOf()),
        alerting=Alerting(windows=windows, early_page=True),
    )
    rule = early_rule(slo)
    assert rule is not None
    return rule


def poisson(dice: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    count, product, limit = 0, dice.random(), math.exp(-mean)
    while product > limit:
        count, product = count + 1, product * dice.random()
    return count


# --- detection ---


@dataclass(slots=True)
class Outcome:
    """Seconds from the first failure to each page; infinite where it did not come."""

    early: float
    plain: float
    guarded: float


def outage(dice: random.Random, objective: Fraction, rate: float, share: float, *, steady: bool) -> Outcome:
    """Run one outage against both."""
    rule, noise = rule_of(objective), float(1 - objective)
    slices: dict[int, list[int]] = {}
    for number in range(-70, 0):
        total = round(rate) if steady else poisson(dice, rate)
        bad = sum(dice.random() < noise for _ in range(total)) if total < 100 else poisson(dice, total * noise)
        if total:
            slices[number] = [bad, total]
    begin = dice.random()  # where in its slice the outage begins
    hour = round(rate * 3600)
    hour_bad, needed = poisson(dice, hour * noise), int(rule.allowed_ratio * hour)
    found = Outcome(math.inf, math.inf, math.inf)
    limit = 30 + float(rule.allowed_ratio) * 3600 / share * 1.5 if share > rule.allowed_ratio else 120.0
    first, at, next_tick, fresh = math.inf, dice.random() / rate - 1 / rate, 0.0, 0
    while at < limit and found.early == math.inf:
        at += 1 / rate if steady else dice.expovariate(rate)
        while next_tick <= at and first < math.inf:
            _look(rule, slices, found, next_tick - first, (hour, hour_bad + fresh, needed))
            next_tick += TICK
        out = at >= begin and dice.random() < share
        failed = out or dice.random() < noise
        cell = slices.setdefault(math.floor(at), [0, 0])
        cell[0] += failed
        cell[1] += 1
        if out:
            fresh += 1
            if first == math.inf:
                first = at
                next_tick = at + dice.random() * TICK
        slices.pop(math.floor(at) - 90, None)
    while at < limit and found.guarded == math.inf:  # the early page came: the rest by the second, not by the event
        at += 1.0
        fresh += poisson(dice, rate * share)
        _look(rule, slices, found, at - first, (hour, hour_bad + fresh, needed))
    return found


def _look(
    rule: EarlyRule, slices: dict[int, list[int]], found: Outcome, after: float, long: tuple[int, int, int]
) -> None:
    hour, bad, needed = long
    if found.early == math.inf:
        newest = [Slice(number, *slices[number]) for number in sorted(slices)[-WINDOWS[-1] :]]
        if judge(rule, newest, Count(hour - bad, bad)):
            found.early = after
    if bad > needed:
        found.plain = min(found.plain, after)
        if bad >= GUARD:
            found.guarded = min(found.guarded, after)


def detection(trials: int, seed: int) -> None:
    print(f"Seconds from the first failure to the page, {trials} outages each (median / 99 % / slowest)")
    print(f"{'objective':>9} {'per s':>6} {'arrivals':>9} {'outage':>7}  {'early page':^24} {'within':>16}  workbook")
    for objective in ("0.99", "0.995", "0.999", "0.9999"):
        for rate in (5.0, 20.0, 200.0):
            for steady in (True, False):
                for share, limit in ((1.0, 5), (0.5, 15), (0.2, 60)):
                    dice = random.Random(f"{seed} {objective} {rate} {steady} {share}")
                    count = trials if rate < 100 else max(10, trials // 10)
                    found = [outage(dice, Fraction(objective), rate, share, steady=steady) for _ in range(count)]
                    early = sorted(one.early for one in found)
                    text = "/".join(f"{_at(early, part):7.1f}" for part in (0.5, 0.99, 1.0))
                    within = 100 * sum(one <= limit for one in early) / count
                    plain, guarded = sorted(one.plain for one in found), sorted(one.guarded for one in found)
                    kind = "steady" if steady else "Poisson"
                    print(
                        f"{float(objective) * 100:9g} {rate:6g} {kind:>9} {share:7.0%}  {text}"
                        f" {within:6.1f} % in {limit:2d} s  {_at(plain, 0.5):7.1f}, guarded {_at(guarded, 0.5):7.1f}",
                        flush=True,
                    )


def _at(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


# --- false pages ---


@dataclass(slots=True)
class Touched:
    """A slice with bad events: how many, what share of it bursts cover, what share is left before the last of them."""

    number: int
    bad: int = 0
    covered: float = 0.0
    before: float = 0.0


def bad_slices(dice: random.Random, rate: float, noise: float, burst: float, years: float) -> Iterator[Touched]:
    """Yield the slices with bad events, in order; `burst` 0 stands for independent errors."""
    end, at = years * YEAR, 0.0
    open_slices: dict[int, Touched] = {}
    while at < end:
        at += dice.expovariate(noise / burst if burst else rate * noise)
        for number in [number for number in open_slices if number < int(at)]:
            done = open_slices.pop(number)
            if done.bad:
                yield done
        for moment in [at] if not burst else [at + dice.random() * burst for _ in range(poisson(dice, rate * burst))]:
            touched = open_slices.setdefault(int(moment), Touched(int(moment)))
            touched.bad += 1
            touched.before = moment - touched.number if not burst else touched.before
        for number in range(int(at), int(at + burst) + 1) if burst else ():
            part = min(at + burst, number + 1) - max(at, number)
            touched = open_slices.setdefault(number, Touched(number))
            touched.before = max(0.0, max(at, number) - number - touched.covered)
            touched.covered += part


class EarlyWatcher:
    """Counts early pages; good events are drawn only where bad slices stand close together."""

    def __init__(self, rule: EarlyRule, rate: float, burst: float, dice: random.Random) -> None:
        self.rule, self.rate, self.burst, self.dice = rule, rate, burst, dice
        self.slack = 1.2 if rate >= 3 else 2.5
        self.most = 1 / max(1.0, rate / 3 if rate >= 20 else 1.0)  # what one bad event can be worth
        self.limits = [(size * self.slack, needed / 1e6) for size, needed in rule.thresholds]
        self.recent: deque[Touched] = deque()
        self.good: dict[int, int] = {}
        self.pages, self.muted = 0, -1

    def see(self, touched: Touched) -> None:
        recent, number = self.recent, touched.number
        recent.append(touched)
        while recent[0].number < number - 64 * self.slack:
            recent.popleft()
        if number >= self.muted and len(recent) >= 3 and self._may_be(number):
            self._judge(number)

    def _may_be(self, number: int) -> bool:
        """Tell whether any window could be over, whatever good events there are."""
        worth, limits = 0.0, iter(self.limits)
        reach, needed = next(limits)
        for one in reversed(self.recent):
            while one.number <= number - reach:
                reach, needed = next(limits, (math.inf, math.inf))
            worth += min(1.0, one.bad * self.most)
            if worth > needed:
                return True
        return False

    def _judge(self, number: int) -> None:
        begin = int(number - 64 * self.slack)
        self.good = {at: count for at, count in self.good.items() if at >= begin}
        touched = {one.number: one for one in self.recent}
        slices = []
        for at in range(begin, number):
            one = touched.get(at) or Touched(at)
            if at not in self.good:
                self.good[at] = poisson(self.dice, self.rate * (1 - min(1.0, one.covered)))
            if self.good[at] + one.bad:
                slices.append(Slice(at, one.bad, self.good[at] + one.bad))
        last = touched[number]  # it is worth most right after its last bad event
        slices.append(Slice(number, last.bad, last.bad + poisson(self.dice, self.rate * last.before)))
        if judge(self.rule, slices, Count(0, 0)):
            self.pages += 1
            self.muted = number + QUIET


class WorkbookWatcher:
    """Counts pages of the workbook's table on the same stream; traffic is steady."""

    def __init__(self, objective: Fraction, rate: float) -> None:
        windows, _ = reachable_windows(workbook_windows(PERIOD), objective)
        budget = 1 - objective
        self.pairs = [
            [
                _Window(w.long_ns / SECOND, float(w.factor * budget) * rate),
                _Window(w.short_ns / SECOND, float(w.factor * budget) * rate),
            ]
            for w in windows
            if w.severity is Severity.PAGE
        ]
        self.over = {0: False, GUARD: False}
        self.pages = {0: 0, GUARD: 0}

    def see(self, number: int, bad: int) -> None:
        for pair in self.pairs:
            for window in pair:
                window.move(number)
        self._judge(count=False)
        for pair in self.pairs:
            for window in pair:
                window.add(number, bad)
        self._judge(count=True)

    def _judge(self, *, count: bool) -> None:
        for guard in self.over:
            over = any(
                long.bad > long.limit and short.bad > short.limit and long.bad >= guard for long, short in self.pairs
            )
            self.pages[guard] += count and over and not self.over[guard]
            self.over[guard] = over


class _Window:
    def __init__(self, length: float, limit_per_second: float) -> None:
        self.length, self.limit, self.bad = length, limit_per_second * length, 0
        self.cells: deque[tuple[int, int]] = deque()

    def move(self, number: int) -> None:
        while self.cells and self.cells[0][0] <= number - self.length:
            self.bad -= self.cells.popleft()[1]

    def add(self, number: int, bad: int) -> None:
        self.cells.append((number, bad))
        self.bad += bad


def slow_stream(dice: random.Random, rate: float, noise: float, burst: float, years: float) -> Iterator[Slice]:
    """Yield every slice of slow traffic that has events."""
    at = begin = 0.0
    if burst:
        begin = dice.expovariate(noise / burst)
    current, bad, total = -1, 0, 0
    while at < years * YEAR:
        at += dice.expovariate(rate)
        while burst and begin + burst < at:
            begin += dice.expovariate(noise / burst)
        if int(at) != current:
            if total:
                yield Slice(current, bad, total)
            current, bad, total = int(at), 0, 0
        total += 1
        bad += begin <= at if burst else dice.random() < noise


def slow_year(
    objective: Fraction, rate: float, burst: float, years: float, dice: random.Random
) -> tuple[int, int, int]:
    """Return early, plain and guarded pages of slow traffic."""
    rule, workbook = rule_of(objective), WorkbookWatcher(objective, rate)
    newest: deque[Slice] = deque(maxlen=WINDOWS[-1])
    early, muted = 0, -1
    for one in slow_stream(dice, rate, float(1 - objective), burst, years):
        newest.append(one)
        while newest[0].number < one.number - 3600:
            newest.popleft()
        if one.bad:
            workbook.see(one.number, one.bad)
            if one.number > muted and judge(rule, list(newest), Count(0, 0)):
                early, muted = early + 1, one.number + QUIET
    return early, workbook.pages[0], workbook.pages[GUARD]


def fast_year(
    objective: Fraction, rate: float, burst: float, years: float, dice: random.Random
) -> tuple[int, int, int]:
    """Return early, plain and guarded pages of fast traffic."""
    early = EarlyWatcher(rule_of(objective), rate, burst, dice)
    workbook = WorkbookWatcher(objective, rate)
    for touched in bad_slices(dice, rate, float(1 - objective), burst, years):
        early.see(touched)
        workbook.see(touched.number, touched.bad)
    return early.pages, workbook.pages[0], workbook.pages[GUARD]


def false_pages(years: float, seed: int) -> None:
    print("\nPages per SLO-year while exactly the allowed share of events is bad")
    print(f"{'objective':>9} {'traffic':>9} {'errors':>22} {'years':>7}", end="")
    print(f" {'early':>8} {'workbook':>9} {'guarded':>8} {'took':>7}")
    for name in ("0.99", "0.999", "0.9999"):
        objective = Fraction(name)
        longest = float(tolerated_burst(objective))
        for rate, text in (
            (1 / 60, "1/min"),
            (1 / 6, "10/min"),
            (1.0, "1/s"),
            (5.0, "5/s"),
            (50.0, "50/s"),
            (1000.0, "1000/s"),
        ):
            for burst in (0.0, longest / 4, longest):
                # Fewer years where a year is long: every event is drawn of slow traffic, the bad ones of fast traffic.
                drawn = rate * YEAR * (1.0 if rate < 1 else float(1 - objective))
                span = years * min(2.5, (2e6 if burst or rate < 1 else 4e5) / drawn)
                dice = random.Random(f"{seed} {name} {rate} {burst}")
                began = time.perf_counter()
                run = slow_year if rate < 1 else fast_year
                pages = [count / span for count in run(objective, rate, burst, span, dice)]
                kind = f"total bursts of {burst:.2f} s" if burst else "independent"
                took = time.perf_counter() - began
                print(
                    f"{float(objective) * 100:9g} {text:>9} {kind:>22} {span:7.2f} {pages[0]:8.2f} {pages[1]:9.1f}"
                    f" {pages[2]:8.1f} {took:6.1f}s",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--years", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    detection(given.trials, given.seed)
    false_pages(given.years, given.seed)


if __name__ == "__main__":
    main()
