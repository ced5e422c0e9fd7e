"""Follow the SLO documents: when they change, Prometheus gets rules of what they say now, as sloburn by itself does.

It is a process beside the servers, and looks: what tells of changes is another thing on each system, and misses some
that editors make. Which traces the Collector keeps is left to the next `up`, for it takes a restart of the Collector.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from collector.stack import state as states
from collector.stack.golang import Say
from collector.stack.lifecycle import read_anew
from collector.stack.lock import locked
from collector.stack.places import StackError
from collector.stack.prepare import check_promises, compile_rules, rules_file
from collector.stack.services import url
from collector.stack.state import State

LOOK_SECONDS = 2.0


class Follower:
    """Compiles the rules of a stack's documents anew.

    Args:
        data: Folder of the stack.
        say: Is told what happens, a line at a time.
    """

    def __init__(self, data: Path, say: Say) -> None:
        self._data = data
        self._say = say
        self._seen = self._compiled = self._refused = self._complaint = ""
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
        seen, before = _digest(now.slos), self._seen
        self._seen = seen
        if seen == before and seen not in (self._compiled, self._refused):
            try:
                self._compile(now.slos, seen)
            except subprocess.TimeoutExpired:  # a busy machine: the next look tries again
                self._is_told = False  # of what may have been written by then
        if not self._is_told:
            self._tell(url(now.ports, "prometheus", "/-/reload"))

    def _recorded(self) -> State | None:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # told by whoever starts something
            return states.recorded(self._data)
        return None

    def _compile(self, slos: tuple[str, ...], seen: str) -> None:
        with locked(self._data, "another command works on this stack", self._say):
            now = self._recorded()
            if now is None or now.slos != slos:  # by the command that was waited for
                return
            try:
                check_promises(slos)
            except StackError as error:  # what was promised before holds
                self._refused = seen
                self._say(str(error))
                return
            file = rules_file(self._data)
            before = file.read_bytes() if file.exists() else b""
            for note in compile_rules(self._data, slos):
                self._say(note)
            self._is_told = self._is_told and file.read_bytes() == before
        self._compiled, self._refused = seen, ""

    def _tell(self, address: str) -> None:
        complaint = "\n".join(read_anew(address))
        self._is_told = not complaint
        if complaint != self._complaint or not complaint:  # not the same again at every look
            self._say(complaint or "Prometheus has the rules of the documents as they are now")
        self._complaint = complaint


def _digest(slos: tuple[str, ...]) -> str:
    """Return a digest of what documents hold; of folders, of all that is in them."""
    digest = hashlib.sha256()
    for place in map(Path, slos):
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            digest.update(f"{file}\0".encode() + _content(file) + b"\0")
    return digest.hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # a folder, or gone by now
        return b""
