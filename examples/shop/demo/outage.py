"""Middle acts: something breaks, the page fires, and the reason is found."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from examples.shop.demo import wording
from examples.shop.demo.figures import Figures, known, seconds
from examples.shop.demo.oracle import Moment, earliest_fire, page_rule, textbook
from examples.shop.demo.processor import AlertView, SloView, post
from examples.shop.demo.stage import PATIENCE_SECONDS, PROCESSOR, SHOP, Stage, StoryFailed
from examples.shop.demo.waits import Waits, waited_ns
from examples.shop.requests_log import Request
from sloburn.clock import SystemClock

BROKEN_ROUTE = "/pay"
ALLOWED_SECONDS = 2.0
NUMBER_COLUMNS = 10
BUSY_SECONDS = 0.1  # below, a machine is quiet
REACTION_SECONDS = 5.0  # somebody has to read the page before the fault is removed


def switch_fault(stage: Stage, mode: str) -> int:
    """Throw the shop's fault switch and return when, nanoseconds since the epoch."""
    wanted = {"route": BROKEN_ROUTE, "mode": mode}
    stage.wait_for(
        lambda: post(f"{stage.shop_url}/chaos", wanted) or None, PATIENCE_SECONDS, "the shop took the fault switch"
    )
    return SystemClock().now_unix_nano()


def break_down(stage: Stage, figures: Figures) -> str:
    """Throw the fault switch and see the first customer who notices."""
    figures.fault_unix_nano = switch_fault(stage, "exception")
    stage.terminal.say("fault", f"the payment provider is gone: from now on every POST {BROKEN_ROUTE} fails", "red")
    stage.terminal.say("fault", f"it will page at a burn rate above {wording.thresholds(stage.slo, stage.scale)}")
    failed = stage.wait_for(lambda: _first_failure(stage.requests()), PATIENCE_SECONDS, "a request failed")
    figures.first_failure_unix_nano = failed.end_unix_nano
    return f"{BROKEN_ROUTE} answers {failed.status}"


def page(stage: Stage, figures: Figures) -> str:
    """Wait for the page and compare it with the mathematical minimum."""
    rule = page_rule(stage.slo)
    slowest = max(window.long_ns for window in rule.windows)
    patience = PATIENCE_SECONDS + seconds(slowest)

    def tell() -> None:
        stage.terminal.say("burning", wording.progress(stage.requests(), stage.view(), slowest), "yellow")

    with Waits(_waiting(stage), SystemClock().now_unix_nano) as waits:
        tell()
        alert = stage.wait_for(lambda: _fired(stage), patience, "the page fired", every_seconds=1, tell=tell)
    figures.seen_unix_nano, figures.fired_unix_nano = SystemClock().now_unix_nano(), alert.fired_unix_nano
    least = stage.wait_for(lambda: earliest_fire(stage.requests(), rule), PATIENCE_SECONDS, "the page was due")
    _measure(figures, least)
    figures.seconds_withheld = seconds(waits.between(least.at_unix_nano, alert.fired_unix_nano))
    _tell_page(stage, figures, least)
    added = known(figures.seconds_added)
    if added > ALLOWED_SECONDS + figures.seconds_withheld:
        raise StoryFailed(f"the page fired {added:.2f} s after the minimum; {ALLOWED_SECONDS:g} s are allowed")
    return f"{added:.2f} s after the mathematical minimum; {ALLOWED_SECONDS:g} s are allowed"


def explain(stage: Stage, figures: Figures) -> str:
    """Show what burns the budget: the route, the exception, one trace."""
    view = stage.wait_for(lambda: _explained(stage), PATIENCE_SECONDS, f"{BROKEN_ROUTE} was named as the reason")
    failing = view.failing[0]
    figures.exception, figures.trace_id = failing.exception, failing.trace_id
    for line in (
        wording.suspect(next(suspect for suspect in view.suspects if suspect.value == BROKEN_ROUTE)),
        f"{failing.name} raised {failing.exception}: {failing.message}",
        f"one such trace: {failing.trace_id}",
        f"more of them: {stage.page_url}slos/{stage.slo.name}",
        wording.others(stage.processor.slos(), stage.slo.name),
    ):
        stage.terminal.say("why", line)
    stage.linger(REACTION_SECONDS)
    return f"{failing.name} · {failing.exception.rpartition('.')[2]} · trace {failing.trace_id}"


def _waiting(stage: Stage) -> Callable[[], int]:
    """Return what tells how long those have waited for a core on whom the page depends."""
    pids = [child.process.pid for child in stage.crew.children if child.name in (PROCESSOR, SHOP)]
    return lambda: waited_ns(pids)


def _first_failure(requests: list[Request]) -> Request | None:
    return next((request for request in requests if request.failed), None)


def _fired(stage: Stage) -> AlertView | None:
    view = stage.view()
    return view.alert("page") if view is not None and view.alert("page").state == "firing" else None


def _explained(stage: Stage) -> SloView | None:
    view = stage.view()
    if view is None or not view.failing or not view.failing[0].exception:
        return None
    return view if BROKEN_ROUTE in {suspect.value for suspect in view.suspects} else None


def _measure(figures: Figures, least: Moment) -> None:
    first, fired = known(figures.first_failure_unix_nano), known(figures.fired_unix_nano)
    figures.minimum_unix_nano = least.at_unix_nano
    figures.seconds_to_page = seconds(fired - first)
    figures.seconds_minimum = seconds(least.at_unix_nano - first)
    figures.seconds_added = seconds(fired - least.at_unix_nano)


def _tell_page(stage: Stage, figures: Figures, least: Moment) -> None:
    say = stage.terminal.say
    say("PAGE", f"{stage.slo.name} pages", "red")
    pair, factor = wording.pair(least.window, stage.scale), float(least.window.factor)
    for amount, meaning in (
        (known(figures.seconds_to_page), "from the first failed request to the page"),
        (
            known(figures.seconds_minimum),
            f"were the mathematical minimum: by the customers' own record, {pair} burned above {factor:g} from then on",
        ),
        (known(figures.seconds_added), f"added by telemetry and processor; {ALLOWED_SECONDS:g} s are allowed"),
    ):
        say("PAGE", f"{amount:6.2f} s  {meaning}", "red", hang=NUMBER_COLUMNS)
    if (withheld := known(figures.seconds_withheld)) > BUSY_SECONDS:
        text = "shop and processor had to wait meanwhile, and that is not theirs: this machine is busy"
        say("PAGE", f"{withheld:6.2f} s  {text}", "red", hang=NUMBER_COLUMNS)
    say("PAGE", _textbook(stage, known(figures.first_failure_unix_nano)), "red", hang=NUMBER_COLUMNS)


def _textbook(stage: Stage, first_failure_unix_nano: int) -> str:
    since = [request for request in stage.requests() if request.end_unix_nano >= first_failure_unix_nano]
    ratio = Fraction(sum(request.failed for request in since), len(since))
    moment = textbook(page_rule(stage.slo), ratio)
    amount = f"{seconds(moment.at_unix_nano):6.2f} s" if moment else "   never"
    return f"{amount}  {wording.textbook(moment.at_unix_nano if moment else None, ratio, stage.scale)}"
