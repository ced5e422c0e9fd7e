"""The mathematical minimum: when could an alert fire at the earliest, if every request were known as it ends?

Independent of the engine on purpose: brute force over the load generator's own record, without slices, rings or ticks.
Only the table of windows is shared, because that table is the promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from examples.shop.requests_log import Request
from sloburn.slo.budget import time_to_detect
from sloburn.slo.model import Severity, Slo, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What decides whether an alert fires.

    Args:
        objective: Share of good events that is promised.
        windows: The pairs of one severity; any of them is enough.
        min_bad_events: Bad events that the long window must hold.
    """

    objective: Fraction
    windows: tuple[Window, ...]
    min_bad_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a rule changes its mind, and the pair that makes it."""

    at_unix_nano: int
    window: Window


def page_rule(slo: Slo) -> Rule:
    """Return what decides whether an SLO pages."""
    windows = tuple(window for window in slo.alerting.windows if window.severity is Severity.PAGE)
    return Rule(objective=slo.objective, windows=windows, min_bad_events=slo.alerting.min_bad_events)


def earliest_fire(requests: Sequence[Request], rule: Rule) -> Moment | None:
    """Return the end of the first request after which a pair is over with enough bad events; None if there is none."""
    for index, request in enumerate(requests):
        past = requests[: index + 1]
        for window in rule.windows:
            if _bad(past, request.end_unix_nano, window.long_ns) < rule.min_bad_events:
                continue
            if _is_over(past, request.end_unix_nano, window, rule.objective):
                return Moment(at_unix_nano=request.end_unix_nano, window=window)
    return None


def earliest_calm(requests: Sequence[Request], rule: Rule, after_unix_nano: int) -> Moment | None:
    """Return the end of the first request after that time at which no pair is over any more; None if there is none.

    The moment names the pair that held out longest.
    """
    last = rule.windows[0]
    for index, request in enumerate(requests):
        now = request.end_unix_nano
        if now < after_unix_nano:
            continue
        over = [window for window in rule.windows if _is_over(requests[: index + 1], now, window, rule.objective)]
        if not over:
            return Moment(at_unix_nano=now, window=last)
        last = over[-1]
    return None


def textbook(rule: Rule, ratio: Fraction) -> Moment | None:
    """Return after how many nanoseconds the rule fires when its windows are full of clean history.

    Args:
        rule: The rule.
        ratio: Share of requests that fail, from one moment on.
    """
    found = ((time_to_detect(window.factor, rule.objective, window.long_ns, ratio), window) for window in rule.windows)
    moments = [Moment(at_unix_nano=int(after), window=window) for after, window in found if after is not None]
    return min(moments, key=lambda moment: moment.at_unix_nano, default=None)


def _is_over(past: Sequence[Request], now: int, window: Window, objective: Fraction) -> bool:
    return all(
        _bad(past, now, length) > window.factor * (1 - objective) * _total(past, now, length)
        for length in (window.long_ns, window.short_ns)
    )


def _total(past: Sequence[Request], now: int, length_ns: int) -> int:
    return sum(1 for _ in _within(past, now, length_ns))


def _bad(past: Sequence[Request], now: int, length_ns: int) -> int:
    return sum(request.failed for request in _within(past, now, length_ns))


def _within(past: Sequence[Request], now: int, length_ns: int) -> Iterable[Request]:
    return (request for request in past if request.end_unix_nano > now - length_ns)
