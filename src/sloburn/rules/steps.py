"""How many events a step added, as a whole number: the ground that every window stands on.

``increase()`` extrapolates, drops the first value of a new series, and rounds nothing; windows made of it disagree with
each other. A step is the difference of a counter's values at its two ends instead. Steps lie end to end, so their sum
over a window telescopes to the exact difference over the window, for every interval of scraping.

* A counter that fell began anew: its value is what it counted since.
* A series that was not there before counts from 0 where its target was scraped before: the first errors of a service
  are not lost. One that was there an hour or a day ago comes back after a gap, and its old value is no news. (Who
  gives all series another label makes all of them new: their old values are counted once more.)
* What is read must not change later. A scrape is stored with the time of its begin, but after its end: whoever reads up
  to this moment counts without it, and the next step begins behind it. So steps are read a while later, when everything
  up to their end is settled: after Prometheus' ``scrape_timeout``, or the delay of a remote write.
* A gap of at most `BRIDGED` in the scrapes is bridged: the first step after it holds what happened meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from sloburn.duration import DAY, HOUR, MINUTE
from sloburn.rules.promql import Selector, duration, quote, union
from sloburn.rules.sources import Events, Selectors

BRIDGED_NS = 15 * MINUTE
_ELDERS_NS = (1 * HOUR, 1 * DAY)
_TARGET = "on (job, instance)"
_PART = "group_part_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How steps are taken.

    Args:
        step_ns: Length of a step, nanoseconds.
        settle_ns: How long after its end a step is read, nanoseconds.
    """

    step_ns: int
    settle_ns: int


def total_step(events: Events, pace: Pace) -> str:
    """Return the expression of all events of a step, by group."""
    return _grouped(events, _sum(events, events.total, pace))


def bad_step(events: Events, pace: Pace, total: str) -> str:
    """Return the expression of the bad events of a step; 0 where there are events, and none was ever bad.

    Args:
        events: Whose.
        pace: How steps are taken.
        total: All events of the step, by group.
    """
    none = f"0 * {total}"
    if not events.bad:
        return none
    added = _grouped(events, _sum(events, events.bad, pace))
    if not events.not_bad:
        return f"{added}\nor {none}"
    taken_off = _grouped(events, _sum(events, events.not_bad, pace))
    # A group whose bucket is missing must not look as if nothing in it was bad.
    return f"(\n{added}\n-\n{taken_off}\n)\nor ({none} unless {added})"


def _sum(events: Events, selectors: Selectors, pace: Pace) -> str:
    labels = ", ".join(label for label, _ in events.group)
    by = f" by ({labels})" if labels else ""
    steps = union(_delta(selector, events.known, pace) for selector in selectors)
    return f"sum{by} (\n{steps}\n)"


def _delta(series: Selector, known: Selector, pace: Pace) -> str:
    now = f"{series} offset {duration(pace.settle_ns)}" if pace.settle_ns else str(series)
    back = duration(pace.settle_ns + pace.step_ns)
    before = f"last_over_time({series}[{duration(BRIDGED_NS)}] offset {back})"
    elders = " or ".join(f"{series} offset {duration(length)}" for length in _ELDERS_NS)
    scraped = f"last_over_time({known}[{duration(BRIDGED_NS)}] offset {back})"
    return (
        f"(({now} - {before}) >= 0)\n"
        f"  or ({now} and {before})\n"
        f"  or (({now} unless ({elders})) and {_TARGET} {scraped})"
    )


def _grouped(events: Events, expression: str) -> str:
    """Give an expression the one label `group` that sloburn's alerts have: ``http.route=/cart,http.method=GET``."""
    named = [(label, attribute) for label, attribute in events.group if attribute]
    if not named:
        return expression
    parts = []
    for number, (label, attribute) in enumerate(named):
        part = "group" if len(named) == 1 else f"{_PART}{number}"
        parts.append(part)
        text = quote(f"{attribute}=${{1}}")
        expression = f'label_replace({expression}, "{part}", {text}, "{label}", "(.*)")'
    if len(parts) > 1:
        listed = ", ".join(f'"{part}"' for part in parts)
        expression = f'label_join({expression}, "group", ",", {listed})'
    return f"sum by (group) ({expression})"
