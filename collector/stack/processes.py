"""Processes by identity: an id alone may be somebody else's by now, an id and its start time are not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.05
_KILL_SECONDS = 60.0  # what it has on its way to a disk is finished first
_ZOMBIE = "Z"
_BEGIN = "=== started: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process that was started here.

    Args:
        pid: Its id, and that of its session and process group.
        started: When it was started, as the system tells it; with the id, no other process has it.
    """

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return _started(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_group(self) -> None:
        """Kill it and what it started, and wait until it is gone."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        wait_for_end([self], _KILL_SECONDS)


def start(
    command: Sequence[str],
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
    user: str | None = None,
) -> Identity:
    """Start a process that outlives us, in a session of its own.

    Args:
        command: Program and arguments.
        log: Gets all that it prints, after a line that begins this run.
        folder: Its working directory.
        environment: All of its environment.
        user: Whom it runs as, where that is not us.
    """
    with log.open("ab") as output:
        output.write(f"{_BEGIN}{command[0]}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    process.returncode = 0  # it is not ours to wait for: the record has its id
    return Identity(pid=process.pid, started=_started(process.pid) or "")


def last_run(log: Path) -> list[str]:
    """Return the lines that the process that was started last has written; none where there is no log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(_BEGIN)[2].splitlines()[1:] if _BEGIN in text else text.splitlines()


def identify(pid: int) -> Identity | None:
    """Return the identity of a process; None where none has that id."""
    started = _started(pid)
    return Identity(pid=pid, started=started) if started else None


def parent(pid: int) -> int:
    """Return the id of a process's parent, 0 where it has ended; from /proc, see proc(5)."""
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def stop(identities: Sequence[Identity], seconds: float) -> list[Identity]:
    """Ask processes to end, wait, and kill those that have not.

    Args:
        identities: Whom to stop.
        seconds: How long they may take together.

    Returns:
        Those that had to be killed.
    """
    for one in identities:
        one.send(signal.SIGTERM)
    left = wait_for_end(identities, seconds)
    for one in left:
        one.kill_group()
    return left


def wait_for_end(identities: Sequence[Identity], seconds: float) -> list[Identity]:
    """Wait until processes have ended, and return those that have not in time."""
    until = time.monotonic() + seconds
    while any(one.is_alive() for one in identities) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    for one in identities:
        _reap(one.pid)
    return [one for one in identities if one.is_alive()]


def _reap(pid: int) -> None:
    """Collect the exit status of a child, so that nothing of it is left."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _started(pid: int) -> str | None:
    """Return when a process was started, None when there is none of that id."""
    stat = Path("/proc") / str(pid) / "stat"
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        # The name, in parentheses, may hold anything: what follows it is counted. See proc(5).
        state, *rest = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == _ZOMBIE else f"{_boot()} {rest[18]}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started_by_ps(pid: int) -> str | None:
    call = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    state, _, started = subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    return started.strip() or None if state and not state.startswith(_ZOMBIE) else None
