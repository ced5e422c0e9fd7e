"""First acts: everything starts, customers are happy."""

from __future__ import annotations

from examples.shop.demo import wording
from examples.shop.demo.figures import Figures
from examples.shop.demo.oracle import page_rule
from examples.shop.demo.processor import SloView, get
from examples.shop.demo.stage import PATIENCE_SECONDS, WORKER, Stage, StoryFailed
from sloburn.clock import monotonic

READY_SECONDS = 60.0
HEALTHY_SECONDS = 15.0
TELL_EVERY_SECONDS = 5.0


def rise(stage: Stage, figures: Figures) -> str:
    """Start everything and wait until every piece answers."""
    stage.terminal.say("start", "the processor, the shop (uvicorn), its worker (Celery, prefork) and its customers")
    stage.start_services()
    stage.wait_for(lambda: stage.processor.is_ready() or None, READY_SECONDS, "the processor was ready")
    stage.wait_for(lambda: get(f"{stage.shop_url}/health"), READY_SECONDS, "the shop answered")
    stage.wait_for(lambda: _worker_is_ready(stage), READY_SECONDS, "the worker was ready")
    stage.start_load()
    stage.wait_for(lambda: stage.requests() or None, READY_SECONDS, "a customer got an answer")
    figures.seconds_to_ready = stage.terminal.elapsed_seconds
    stage.terminal.say("start", "all are up and customers come in: now is the time to open the status page")
    return f"after {figures.seconds_to_ready:.1f} s"


def flourish(stage: Stage, _figures: Figures) -> str:
    """Let customers be happy for a while, and see that the processor counts them."""
    until = monotonic() + HEALTHY_SECONDS
    slowest = max(window.long_ns for window in page_rule(stage.slo).windows)

    def look() -> SloView | None:
        view = stage.view()
        return view if monotonic() >= until and view is not None and view.total else None

    def tell() -> None:
        stage.terminal.say("healthy", wording.progress(stage.requests(), stage.view(), slowest), "green")

    patience = HEALTHY_SECONDS + PATIENCE_SECONDS
    view = stage.wait_for(look, patience, "requests were counted", every_seconds=TELL_EVERY_SECONDS, tell=tell)
    if view.bad or view.alert("page").fired_unix_nano:
        raise StoryFailed(f"of {view.total} healthy requests {view.bad} were counted as bad")
    return f"{view.total} requests counted, none bad, no alert"


def _worker_is_ready(stage: Stage) -> bool | None:
    log = (stage.folder / f"{WORKER}.log").read_text(encoding="utf-8", errors="replace")
    return "ready." in log or None
