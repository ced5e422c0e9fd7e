"""The demo's command line, and the promise that nothing is left behind however it ends."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from examples.shop.demo import story
from examples.shop.demo.figures import Figures
from examples.shop.demo.interrupt import Interrupt, Interrupted
from examples.shop.demo.ports import choose_ports
from examples.shop.demo.processes import Child, ChildDied, Crew
from examples.shop.demo.stage import ROOT, SLOS, Stage, StoryFailed, inherited
from examples.shop.demo.terminal import Terminal, wants_color
from sloburn.spec.files import load_slos

PROMISE = "checkout-availability"
FASTEST = 240  # beyond, a short window is hardly longer than the second that telemetry needs to arrive
DONE, FAILED, INTERRUPTED = 0, 1, 130


def main(interrupt: Interrupt, argv: Sequence[str] | None = None) -> int:
    """Tell the story and return the exit status."""
    options = parse(argv)
    os.chdir(ROOT)
    folder = Path(tempfile.mkdtemp(prefix="sloburn-demo-"))
    stage = set_stage(options, interrupt, folder)
    status = FAILED
    try:
        status = perform(stage, options)
    finally:
        stage.close()
        if status != FAILED and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        if status == INTERRUPTED:
            take_leave(stage.terminal)
    return status


def set_stage(options: argparse.Namespace, interrupt: Interrupt, folder: Path) -> Stage:
    """Put together what the story needs; nothing runs yet."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    color = not options.no_color and wants_color(sys.stdout, os.environ)
    promise = next(slo for slo in load_slos([SLOS]) if slo.name == PROMISE)
    return Stage(
        terminal=Terminal(sys.stdout, color=color),
        interrupt=interrupt,
        crew=Crew(folder, inherited(os.environ) | {"TMPDIR": str(folder)}),
        ports=choose_ports(),
        folder=folder,
        slo=promise.scaled(options.scale),
        scale=options.scale,
    )


def perform(stage: Stage, options: argparse.Namespace) -> int:
    """Tell the story, sum it up, and return the exit status."""
    figures = Figures(scale=stage.scale, page_url=stage.page_url)
    try:
        story.introduce(stage)
        story.tell(stage, figures)
    except Interrupted:
        return INTERRUPTED
    except (StoryFailed, ChildDied) as error:
        if stage.interrupt.caught:  # a child that was only just starting got the signal too
            return INTERRUPTED
        lament(stage, figures, error)
        return FAILED
    finally:
        if options.json:
            figures.write(options.json)
    stage.terminal.summary(story.steps(figures))
    if options.keep:
        linger(stage)
    return DONE


def lament(stage: Stage, figures: Figures, error: Exception) -> None:
    """Say what was not observed, and what each process said last."""
    stage.terminal.summary(story.steps(figures))
    for child in stage.crew.children:
        _show_tail(stage.terminal, child)
    stage.terminal.plain(f"\nThe story stopped: {error}. Everything that was logged is in {stage.folder}")


def linger(stage: Stage) -> None:
    """Keep everything running, customers included, until the user has seen enough."""
    stage.start_load(stage.folder / "more-requests.jsonl")
    stage.terminal.plain(f"Everything keeps running: {stage.page_url} and {stage.shop_url}/docs. Ctrl-C ends it.")
    with suppress(Interrupted):
        stage.interrupt.pause(float("inf"))


def take_leave(terminal: Terminal) -> None:
    """Say that nothing is left, if there is still somebody to say it to."""
    try:
        terminal.plain("\nStopped early. No process was left behind.")
    except Interrupted:
        # What could not be written must not be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="Watch a real service burn its error budget, get paged, and recover."
    )
    parser.add_argument("--keep", action="store_true", help="keep everything running afterwards, until Ctrl-C")
    parser.add_argument("--scale", type=_scale, default=60, help="run the windows so many times faster (%(default)s)")
    parser.add_argument("--json", type=_file, metavar="FILE", help="write what was measured to a file")
    parser.add_argument("--no-color", action="store_true", help="print no colours (also: NO_COLOR=1)")
    return parser.parse_args(argv)


def _file(text: str) -> Path:
    return Path(text).absolute()  # the demo changes to the root of the repository


def _scale(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= FASTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {FASTEST}")
    return int(text)


def _show_tail(terminal: Terminal, child: Child) -> None:
    terminal.plain(f"\n--- {child.name}: the end of {child.log}")
    for line in child.log_tail():
        terminal.plain(f"    {line}")
