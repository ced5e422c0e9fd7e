"""Last acts: the fault is removed, the page resolves, the books are compared."""

from __future__ import annotations

from fractions import Fraction

from examples.shop.demo import wording
from examples.shop.demo.figures import Entry, Figures, known, seconds
from examples.shop.demo.oracle import earliest_calm, page_rule
from examples.shop.demo.outage import BROKEN_ROUTE, switch_fault
from examples.shop.demo.processor import AlertView
from examples.shop.demo.stage import LOAD, PATIENCE_SECONDS, Stage, StoryFailed
from examples.shop.requests_log import NO_ANSWER, Request
from sloburn.slo.budget import error_budget

TELL_EVERY_SECONDS = 5.0
LAST_ANSWERS_SECONDS = 15.0  # customers wait for the answers to what they asked, each for at most 10 s


def mend(stage: Stage, figures: Figures) -> str:
    """Remove the fault and see the first customer who can pay again."""
    figures.mended_unix_nano = switch_fault(stage, "off")
    paid = stage.wait_for(lambda: _first_paid(stage, figures), PATIENCE_SECONDS, "a customer could pay again")
    stage.terminal.say("mended", f"the payment provider is back: POST {BROKEN_ROUTE} answers {paid.status}", "green")
    return f"{BROKEN_ROUTE} answers {paid.status}"


def resolve(stage: Stage, figures: Figures) -> str:
    """Wait until the page resolves by itself, and say why it takes so long."""
    rule = page_rule(stage.slo)
    slowest = max(rule.windows, key=lambda window: window.short_ns)
    patience = PATIENCE_SECONDS + seconds(slowest.short_ns)

    def tell() -> None:
        stage.terminal.say("recovers", wording.progress(stage.requests(), stage.view(), slowest.short_ns), "green")

    alert = stage.wait_for(
        lambda: _resolved(stage), patience, "the page resolved", every_seconds=TELL_EVERY_SECONDS, tell=tell
    )
    mended = known(figures.mended_unix_nano)
    figures.resolved_unix_nano = alert.resolved_unix_nano
    figures.seconds_to_resolve = seconds(alert.resolved_unix_nano - mended)
    _tell_resolved(stage, figures.seconds_to_resolve, mended)
    return f"{figures.seconds_to_resolve:.1f} s after the fault was removed"


def account(stage: Stage, figures: Figures) -> str:
    """Send the customers home and compare the processor's numbers with their record, to the unit."""
    stage.crew.stop(LOAD, patience_seconds=LAST_ANSWERS_SECONDS)
    answered = [request for request in stage.requests() if request.status != NO_ANSWER]
    try:
        stage.wait_for(lambda: _agreed(stage, answered, figures), PATIENCE_SECONDS, "the books agree")
    except StoryFailed:
        raise StoryFailed(f"the processor counted {_listed(figures)}") from None
    stage.terminal.say("books", f"the processor counted {_listed(figures)}: the customers' record says the same")
    _tell_budget(stage, answered)
    return f"{_listed(figures)}, to the unit"


def _listed(figures: Figures) -> str:
    return ", ".join(str(entry) for entry in figures.books)


def _first_paid(stage: Stage, figures: Figures) -> Request | None:
    since = (request for request in stage.requests() if request.end_unix_nano > known(figures.mended_unix_nano))
    return next((request for request in since if request.route == BROKEN_ROUTE and not request.failed), None)


def _resolved(stage: Stage) -> AlertView | None:
    view = stage.view()
    return view.alert("page") if view is not None and view.alert("page").state == "resolved" else None


def _tell_resolved(stage: Stage, after_seconds: float, mended_unix_nano: int) -> None:
    say = stage.terminal.say
    say("RESOLVED", f"the page is over, {after_seconds:.1f} s after the fault was removed", "green")
    calm = earliest_calm(stage.requests(), page_rule(stage.slo), mended_unix_nano)
    if calm is not None:
        least = seconds(calm.at_unix_nano - mended_unix_nano)
        say("RESOLVED", wording.short_window(calm.window, least, stage.scale), "green")
    view = stage.view()
    if view is not None and view.alert("ticket").state == "firing":
        say("RESOLVED", wording.open_ticket(stage.slo, stage.scale), "green")


def _agreed(stage: Stage, answered: list[Request], figures: Figures) -> bool | None:
    slos = stage.processor.slos()
    if not slos:
        return None
    promise, latency, receipts = slos[stage.slo.name], slos["checkout-latency"], slos["receipts"]
    failed = sum(request.failed for request in answered)
    paid = sum(request.route == BROKEN_ROUTE and not request.failed for request in answered)
    figures.budget_remaining = promise.budget_remaining
    figures.books = [
        Entry(name="requests", true=len(answered), counted=promise.total),
        Entry(name="bad", true=failed, counted=promise.bad),
        Entry(name="durations", true=len(answered), counted=latency.total),
        Entry(name="receipts", true=paid, counted=receipts.total),
    ]
    return all(entry.true == entry.counted for entry in figures.books) or None


def _tell_budget(stage: Stage, answered: list[Request]) -> None:
    total, bad = len(answered), sum(request.failed for request in answered)
    rate = Fraction(total, answered[-1].end_unix_nano - answered[0].end_unix_nano)
    spent = bad / (error_budget(stage.slo.objective) * rate * stage.slo.period.length_ns)
    stage.terminal.say("budget", wording.budget_so_far(stage.slo, total, bad))
    stage.terminal.say("budget", wording.budget_of_a_period(stage.slo, spent))
