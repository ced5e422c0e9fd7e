"""Programs of Debian: found where they are, unpacked from their package, or installed.

Exporters are single files: their packages are fetched and unpacked into the cache, which needs no rights and starts
no daemon. Database servers need users and libraries, so they are installed, and only by root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from collector.stack.build import Say
from collector.stack.places import cache_folder
from collector.stack.programs import DEBIAN_PROGRAMS, DebianProgram

_PATIENCE_SECONDS = 300
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


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
    missing = [program for program in DEBIAN_PROGRAMS if find(program) is None]
    if not missing:
        return []
    if shutil.which("apt-get") is None:
        return [f"{program.name} is not on the PATH, and this is no Debian to fetch it from" for program in missing]
    if os.geteuid() == 0:
        _call(["apt-get", "update", "-qq"])
    for program in missing:
        say(f"{program.package}: fetching from Debian ...")
        _install(program) if program.service else _unpack(program)
    return [_advice(program) for program in missing if find(program) is None]


def _install(program: DebianProgram) -> None:
    if os.geteuid() == 0:
        _call(["apt-get", "install", "-y", "-qq", "--no-install-recommends", program.package])


def _unpack(program: DebianProgram) -> None:
    with tempfile.TemporaryDirectory(prefix="sloburn-debian-") as scratch:
        Path(scratch).chmod(0o755)  # apt reads as its own user
        _call(["apt-get", "download", "-qq", program.package], Path(scratch))
        for package in Path(scratch).glob("*.deb"):
            _folder(program).mkdir(parents=True, exist_ok=True)
            _call(["dpkg-deb", "-x", str(package), str(_folder(program))])


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


def _call(command: list[str], folder: Path | None = None) -> None:
    """Run it; whether it helped shows in what is there afterwards."""
    environment = {**os.environ, **_ENVIRONMENT}
    try:
        subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return
