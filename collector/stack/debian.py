"""Programs of Debian: found where they are, unpacked from their package, or installed.

Exporters are single files: their packages are fetched and unpacked into the cache, which needs no rights and starts
no daemon. Database servers need users and libraries, so they are installed, and only by root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from collector.stack.golang import Say
from collector.stack.places import cache_folder
from collector.stack.programs import DEBIAN_PROGRAMS, DebianProgram

# Another program may hold apt's locks, and a mirror may be away: what failed is tried again.
PAUSES_SECONDS = (5.0, 20.0, 60.0, 120.0)
_PATIENCE_SECONDS = 300
_TOGETHER_SECONDS = 900  # after that nothing is tried again: the stack works without these programs
_TAIL_LINES = 4  # the last one alone seldom says why
# Debian starts a server of its own after its installation unless the runlevel is 1.
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "RUNLEVEL": "1"}
_APT = ("-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30")


def find(program: DebianProgram) -> Path | None:
    """Return where a program is; None when it is not here."""
    for name in (program.name, *program.also):
        path = _newest(name) if name.startswith("/") else shutil.which(name)
        if path:
            return Path(path)
    unpacked = _unpacked(program)
    return unpacked if unpacked.is_file() else None


def find_named(name: str) -> Path | None:
    """Return where the program of that name is; None when it is not here."""
    return find(next(program for program in DEBIAN_PROGRAMS if program.name == name))


def fetch_missing(say: Say) -> list[str]:
    """Fetch or install what is not here.

    Returns:
        What a person has to do for the rest; the stack works without it.
    """
    missing = _missing()
    if not missing:
        return []
    if shutil.which("apt-get") is None:
        return [f"{program.name} is not on the PATH, and this is no Debian to fetch it from" for program in missing]
    until = monotonic() + _TOGETHER_SECONDS
    reason = _fetch(missing, say)
    for pause in PAUSES_SECONDS:
        # Only root can do more than was done.
        if not (missing := _missing()) or os.geteuid() != 0 or monotonic() > until:
            break
        say(f"fetching from Debian failed, trying again in {pause:.0f} s: {reason}")
        time.sleep(pause)
        reason = _fetch(missing, say)
    return [f"{_advice(program)}: {reason}" for program in _missing()]


def _missing() -> list[DebianProgram]:
    return [program for program in DEBIAN_PROGRAMS if find(program) is None]


def _fetch(programs: Sequence[DebianProgram], say: Say) -> str:
    """Fetch or install programs, and return the last complaint."""
    reason = _call(["apt-get", "update", *_APT]) if os.geteuid() == 0 else ""
    for program in programs:
        say(f"{program.package}: fetching from Debian ...")
        reason = (_install(program) if program.service else _unpack(program)) or reason
    return reason or "apt-get had nothing to complain about"


def _install(program: DebianProgram) -> str:
    if os.geteuid() != 0:
        return "only root may install"
    call = ["apt-get", "install", "-y", *_APT, "--no-install-recommends", program.package]
    reason = _call(call)
    if "dpkg --configure -a" in reason:  # an installation before this one was killed half way, and apt asks for that
        reason = _call(["dpkg", "--configure", "-a"]) or _call(call)
    return reason


def _unpack(program: DebianProgram) -> str:
    with tempfile.TemporaryDirectory(prefix="sloburn-debian-") as scratch:
        Path(scratch).chmod(0o755)  # apt reads as its own user
        reason = _call(["apt-get", "download", *_APT, program.package], Path(scratch))
        for package in Path(scratch).glob("*.deb"):
            _folder(program).mkdir(parents=True, exist_ok=True)
            reason = _call(["dpkg-deb", "-x", str(package), str(_folder(program))])
        return reason


def _advice(program: DebianProgram) -> str:
    how = (
        f"apt-get install {program.package}"
        if program.service
        else f"apt-get update, apt-get install {program.package}"
    )
    return f"{program.name} is missing and cannot be fetched: {how} (as root)"


def _newest(pattern: str) -> Path | None:
    return max(Path("/").glob(pattern.removeprefix("/")), default=None)


def _unpacked(program: DebianProgram) -> Path:
    return _folder(program) / "usr" / "bin" / program.name


def _folder(program: DebianProgram) -> Path:
    return cache_folder() / "debian" / program.package


def _call(command: list[str], folder: Path | None = None) -> str:
    """Run it and return the end of its complaints; whether it helped shows in what is there afterwards."""
    environment = {**os.environ, **_ENVIRONMENT}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not done.returncode:
        return ""
    return " / ".join(done.stderr.strip().splitlines()[-_TAIL_LINES:]) or f"exit status {done.returncode}"
