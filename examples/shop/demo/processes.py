"""The demo's child processes: each in a session of its own, each with a log file, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sloburn.clock import monotonic

PATIENCE_SECONDS = 2.5  # an idle Celery worker needs 4 s and more to end; nobody waits for its last words here
TAIL_LINES = 15


class ChildDied(Exception):
    """A process of the demo ended although nobody asked it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running process and what belongs to it.

    Args:
        name: For people.
        process: The leader of its session and process group.
        log: Everything it prints.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the leader alone: it knows best how to end its own children."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    def kill_group(self) -> None:
        """Send SIGKILL to all that is left of the group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log_tail(self) -> list[str]:
        """Return the last lines that it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]


class Crew:
    """All child processes of the demo.

    Args:
        folder: Where their logs go.
        environment: What each inherits.
        patience_seconds: How long they may take to end.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._folder = folder
        self._patience_seconds = patience_seconds
        self._environment = dict(environment)
        self._children: list[Child] = []

    @property
    def children(self) -> tuple[Child, ...]:
        """Those that were started and not stopped, oldest first."""
        return tuple(self._children)

    def start(self, name: str, argv: list[str], extra: Mapping[str, str] | None = None) -> Child:
        """Start a process in a session of its own: a Ctrl-C at the terminal reaches only the demo, which decides."""
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                env=self._environment | dict(extra or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name=name, process=process, log=log)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Make sure that all are alive.

        Raises:
            ChildDied: One is not.
        """
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise ChildDied(f"the {child.name} ended by itself with exit status {code}")

    def stop(self, *names: str, patience_seconds: float | None = None) -> None:
        """Stop those named, or all: SIGTERM, then SIGKILL for whatever is left when patience is at its end."""
        leaving = [child for child in self._children if not names or child.name in names]
        for child in leaving:
            child.ask_to_stop()
        _wait(leaving, self._patience_seconds if patience_seconds is None else patience_seconds)
        for child in leaving:
            child.kill_group()
            self._children.remove(child)


def _wait(children: Iterable[Child], seconds: float) -> None:
    until = monotonic() + seconds
    while monotonic() < until and any(child.process.poll() is None for child in children):
        time.sleep(0.05)
