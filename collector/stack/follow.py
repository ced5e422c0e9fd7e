"""Follow the SLO documents: when they change, Prometheus gets rules of what they say now, as sloburn by itself does.

It is a process beside the servers, and looks: what tells of changes is another thing on each system, and misses some
that editors make. Which traces the Collector keeps is left to the next `up`, for it takes a restart of the Collector.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from collector.stack import state as states
from collector.stack.golang import Say
from collector.stack.lifecycle import read_anew
from collector.stack.lock import locked
from collector.stack.places import StackError
from collector.stack.prepare import PromiseError, check_promises, replace_rules, rules_file
from collector.stack.services import url
from collector.stack.state import State

from sloburn.spec.files import content_digest

LOOK_SECONDS = 2.0
_LONGEST_PAUSE = 30  # looks between two attempts at what fails again and again: a minute


class Follower:
    """Compiles the rules of a stack's documents anew.

    Args:
        data: Folder of the stack.
        say: Is told what happens, a line at a time.
    """

    def __init__(self, data: Path, say: Say) -> None:
        self._data = data
        self._out = say
        self._seen = self._compiled = self._refused = b""
        self._failure = self._complaint = ""
        self._pause = self._next_pause = 0  # looks
        self._is_told = True

    def run(self) -> None:
        """Look again and again."""
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Compile what has changed and was left alone for one look, and tell Prometheus, the next time if not now."""
        now = self._recorded()
        if now is None:
            return
        seen, before = content_digest([Path(place) for place in now.slos]), self._seen
        self._seen = seen
        if seen != before:
            self._pause = self._next_pause = 0
        elif self._pause:
            self._pause -= 1
        elif seen not in (self._compiled, self._refused):
            self._attempt(now.slos, seen)
        if not self._is_told:
            self._tell(url(now.ports, "prometheus", "/-/reload"))

    def _recorded(self) -> State | None:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # told by whoever starts something
            return states.recorded(self._data)
        return None

    def _attempt(self, slos: tuple[str, ...], seen: bytes) -> None:
        """Compile; where it cannot be done now, what Prometheus has stays, and a later look tries again."""
        try:
            self._compile(slos, seen)
        except (StackError, OSError, subprocess.SubprocessError) as error:
            self._pause, self._next_pause = self._next_pause, min(2 * self._next_pause + 1, _LONGEST_PAUSE)
            if str(error) != self._failure:
                self._say(f"the rules stay as they were, and are tried again: {error}")
            self._failure = str(error)

    def _compile(self, slos: tuple[str, ...], seen: bytes) -> None:
        with locked(self._data, "another command works on this stack", self._say):
            now = self._recorded()
            if now is None or now.slos != slos:  # by the command that was waited for
                return
            try:
                check_promises(slos)
            except PromiseError as error:  # what was promised before holds
                self._refused = seen
                self._say(str(error))
                return
            file = rules_file(self._data)
            before = file.read_bytes() if file.exists() else b""
            notes = replace_rules(self._data, slos)
            self._is_told = self._is_told and file.read_bytes() == before
        self._compiled, self._refused, self._failure = seen, b"", ""
        for note in notes:
            self._say(note)

    def _tell(self, address: str) -> None:
        complaint = "\n".join(read_anew(address))
        self._is_told = not complaint
        if complaint != self._complaint or not complaint:  # not the same again at every look
            self._say(complaint or "Prometheus has the rules of the documents as they are now")
        self._complaint = complaint

    def _say(self, line: str) -> None:
        with suppress(OSError):  # the log is on a disk that may be full
            self._out(line)
