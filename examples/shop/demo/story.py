"""The story: its acts in order, and what is printed around them."""

from __future__ import annotations

from collections.abc import Callable

from examples.shop.demo import opening, outage, ports, recovery, wording
from examples.shop.demo.figures import Figures
from examples.shop.demo.stage import Stage
from examples.shop.demo.terminal import Step

Act = Callable[[Stage, Figures], str]

ACTS: tuple[tuple[str, Act], ...] = (
    ("everything is up", opening.rise),
    ("healthy traffic is counted", opening.flourish),
    ("a fault is injected", outage.break_down),
    ("the page fires in time", outage.page),
    ("the reason is named", outage.explain),
    ("the fault is removed", recovery.mend),
    ("the page resolves", recovery.resolve),
    ("the books agree", recovery.account),
)


def introduce(stage: Stage) -> None:
    """Print what a viewer must know before it begins."""
    terminal = stage.terminal
    terminal.title("sloburn · a shop, its promises, and an outage")
    terminal.fact("page", f"{stage.page_url}  (opens in a few seconds, and updates by itself)")
    terminal.fact("shop", f"{stage.shop_url}/docs")
    terminal.fact(
        "promise", f"{stage.slo.name}: {wording.percent(stage.slo.objective)} of requests do not fail, over 30 d"
    )
    terminal.fact("clock", wording.clock(stage.slo, stage.scale))
    terminal.fact("logs", str(stage.folder))
    for line in ports.explain(stage.ports):
        terminal.fact("port", line)
    terminal.plain("")


def tell(stage: Stage, figures: Figures) -> None:
    """Play every act, and note which were observed.

    Raises:
        StoryFailed: An act was not observed.
        ChildDied: A process ended by itself.
        Interrupted: The user wants to end.
    """
    for name, act in ACTS:
        try:
            figures.steps.append(Step(name=name, seen=True, detail=act(stage, figures)))
        except Exception as error:
            figures.steps.append(Step(name=name, seen=False, detail=str(error)))
            raise


def steps(figures: Figures) -> list[Step]:
    """Return every step of the story, those that it never came to among them."""
    return figures.steps + [Step(name=name) for name, _ in ACTS[len(figures.steps) :]]
