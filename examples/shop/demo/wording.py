"""Sentences of the story that carry numbers."""

from __future__ import annotations

from fractions import Fraction

from examples.shop.demo.processor import SloView, SuspectView
from examples.shop.requests_log import Request
from sloburn.duration import humanize_duration
from sloburn.slo.budget import error_budget
from sloburn.slo.model import Severity, Slo, Window


def clock(slo: Slo, scale: int) -> str:
    """Explain which clock the windows run on.

    Args:
        slo: A promise on the demo's clock.
        scale: How many times faster that is.
    """
    if scale == 1:
        return "the alert windows run as in production: it takes half an hour until the page resolves"
    hour, period = span(3_600_000_000_000 // scale), span(slo.period.length_ns)
    return (
        f"only here, the alert windows run {scale} times as fast as in production: 1 h passes in {hour}, the period "
        f"of 30 d in {period}. Burn factors, requests and latencies are real; without --time-scale nothing is scaled"
    )


def pair(window: Window, scale: int) -> str:
    """Name a pair of windows as production knows it and, in brackets, as it runs here."""
    here = f"{span(window.long_ns)} + {span(window.short_ns)}"
    if scale == 1:
        return here
    there = f"{span(window.long_ns * scale)} + {span(window.short_ns * scale)}"
    return f"{there} ({here} here)"


def thresholds(slo: Slo, scale: int) -> str:
    """Say above which burn rates the page fires."""
    pages = [window for window in slo.alerting.windows if window.severity is Severity.PAGE]
    return ", or ".join(f"{float(window.factor):g} over {pair(window, scale)}" for window in pages)


def progress(requests: list[Request], view: SloView | None, window_ns: int) -> str:
    """Say what customers saw and what the processor makes of it, with the burn rate of one window."""
    sent = f"{len(requests)} requests, {sum(request.failed for request in requests)} failed"
    if view is None or not view.total:
        return f"{sent} · nothing is counted yet"
    burn = dict(view.burns).get(window_ns) or 0.0
    return f"{sent} · {view.total} counted, {view.bad} bad · burn rate {burn:.1f} over {span(window_ns)}"


def suspect(found: SuspectView) -> str:
    """Say how an attribute's value stands out among the bad events."""
    among_good = percent(found.good_share or 0)
    return (
        f"{found.key} is {found.value} in {percent(found.bad_share)} of the bad requests, in {among_good} of the good"
    )


def others(slos: dict[str, SloView], name: str) -> str:
    """Say how the other promises are."""
    return "the other promises: " + ", ".join(f"{slo.name} {slo.state}" for slo in slos.values() if slo.name != name)


def textbook(after_ns: int | None, ratio: Fraction, scale: int) -> str:
    """Name the figure that textbooks have: the same outage after full windows of clean history.

    Args:
        after_ns: When it pages, on the demo's clock; None for never.
        ratio: Share of requests that fail.
        scale: How many times faster than in production the clock runs.
    """
    there = f", {span(after_ns * scale)} in production" if after_ns is not None and scale > 1 else ""
    return f"is the textbook's figure for {percent(ratio)} of failures after full windows of clean history{there}"


def short_window(window: Window, least_seconds: float, scale: int) -> str:
    """Say why an alert does not resolve at once."""
    short = span(window.short_ns)
    there = f", {span(window.short_ns * scale)} in production" if scale > 1 else ""
    return (
        f"why so long: a short window ({short} here{there}) must forget enough failures first; "
        f"{least_seconds:.1f} s was the minimum"
    )


def open_ticket(slo: Slo, scale: int) -> str:
    """Say why a ticket outlives the page."""
    shorts = [window.short_ns * scale for window in slo.alerting.windows if window.severity is Severity.TICKET]
    names = " and ".join(span(short) for short in shorts)
    here = " and ".join(span(short // scale) for short in shorts)
    return f"the ticket stays open, as it should: its short windows are {names} ({here} here)"


def budget_so_far(slo: Slo, total: int, bad: int) -> str:
    """Say what is left of the budget that the requests so far have brought."""
    allowed = float(error_budget(slo.objective) * total)
    head = f"{percent(error_budget(slo.objective))} may fail: {allowed:.1f} of {total} requests so far, and {bad} did"
    if bad > allowed:
        return f"{head}. That is {bad / allowed:.1f} times the budget: this shop has only a minute behind it"
    return f"{head}: {percent(1 - bad / allowed)} of the budget is left"


def budget_of_a_period(slo: Slo, spent: Fraction) -> str:
    """Say what the same failures cost a service that has its whole period behind it."""
    return (
        f"a shop with a whole period of this traffic behind it ({span(slo.period.length_ns)} here) would have spent "
        f"{percent(spent)} of its budget: {percent(1 - spent)} would be left"
    )


def span(nanoseconds: int) -> str:
    """Write a duration for people, whole seconds without a decimal."""
    return humanize_duration(nanoseconds)


def percent(ratio: Fraction | float) -> str:
    """Write a ratio as percent, with one decimal where there is something to see."""
    text = f"{float(ratio) * 100:.1f}"
    return f"{text.removesuffix('.0')} %"
