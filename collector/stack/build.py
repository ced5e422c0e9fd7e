"""Build programs from pinned Go modules: once for each content of what pins them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from collector.stack.places import StackError, cache_folder
from collector.stack.programs import BUILDER, GO_PROGRAMS, GoProgram

Say = Callable[[str], None]

_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
_HEARTBEAT_SECONDS = 30.0
_TAIL_LINES = 15
_FORGET_SECONDS = 30 * 86_400
_PINS = ("go.mod", "go.sum", "manifest.yaml")
_OLDEST_GO = "1.21, the first that fetches the newer one which the modules ask for"


def binary(program: GoProgram) -> Path:
    """Return where a program is, or will be, once it is built."""
    return cache_folder() / program.name / content_key(program) / program.name


def program_named(name: str) -> GoProgram:
    """Return the program of that name."""
    return next(program for program in GO_PROGRAMS if program.name == name)


def content_key(program: GoProgram) -> str:
    """Return a digest of all that decides what a build gives: pins, package, tags, flags, machine."""
    digest = hashlib.sha256(" ".join((program.package, program.tags, *_FLAGS, _machine())).encode())
    folders = (program.folder, BUILDER.folder) if _is_generated(program) else (program.folder,)
    for folder in folders:
        for pin in _PINS:
            if (folder / pin).is_file():
                digest.update(pin.encode() + (folder / pin).read_bytes())
    return digest.hexdigest()[:16]


def build_missing(say: Say) -> list[str]:
    """Build what is not in the cache, one after the other: each build uses every core by itself.

    Args:
        say: Is told how it goes, a line at a time.

    Returns:
        Names of what was built.

    Raises:
        StackError: There is no Go, or a build fails.
    """
    if not any(_missing()):
        return []
    with _locked(say):
        missing = list(_missing())
        for count, program in enumerate(missing, 1):
            _build(program, say, f"{count}/{len(missing)} {program.name}")
    return [program.name for program in missing]


def _missing() -> Iterator[GoProgram]:
    return (program for program in GO_PROGRAMS if not binary(program).is_file())


def _build(program: GoProgram, say: Say, title: str) -> None:
    target = binary(program)
    target.parent.mkdir(parents=True, exist_ok=True)
    began = monotonic()
    say(f"{title}: building ...")
    with tempfile.TemporaryDirectory(prefix="sloburn-build-") as scratch:
        folder = _generate(Path(scratch)) if _is_generated(program) else program.folder
        part = target.with_name(f"{target.name}.part{os.getpid()}")
        tags = [f"-tags={program.tags}"] if program.tags else []
        command = [_go(), "build", "-v", *_FLAGS, *tags, "-o", str(part), program.package]
        try:
            _run(command, folder, Progress(say, title))
            part.rename(target)  # a build that was interrupted is none
        finally:
            part.unlink(missing_ok=True)
    _forget_older(target.parent)
    say(f"{title}: built in {monotonic() - began:.0f} s, {target.stat().st_size / 2**20:.0f} MiB")


def _generate(scratch: Path) -> Path:
    """Write the Collector's code; its modules are pinned beside the manifest, so the builder need not ask for any."""
    pins = program_named("otelcol").folder
    folder = scratch / "otelcol"
    manifest = scratch / "manifest.yaml"
    manifest.write_text(
        (pins / "manifest.yaml").read_text().replace("\ndist:\n", f"\ndist:\n  output_path: {folder}\n")
    )
    command = [str(binary(BUILDER)), f"--config={manifest}", "--skip-compilation", "--skip-get-modules"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"the Collector's code cannot be generated:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    for pin in ("go.mod", "go.sum"):
        shutil.copy(pins / pin, folder / pin)
    return folder


class Progress:
    """Says now and then how far a build is."""

    def __init__(self, say: Say, title: str) -> None:
        self._say = say
        self._title = title
        self._began = self._said = monotonic()
        self._downloads = self._packages = 0

    def note(self, line: str) -> None:
        """Take a line that Go printed."""
        if line.startswith("go: downloading"):
            self._downloads += 1
        elif not line.startswith("go:"):
            self._packages += 1

    def beat(self) -> None:
        """Speak, if it is time."""
        if monotonic() - self._said >= _HEARTBEAT_SECONDS:
            self._said = monotonic()
            text = f"{self._downloads} modules fetched, {self._packages} packages compiled"
            self._say(f"{self._title}: {text}, {self._said - self._began:.0f} s")


def _run(command: list[str], folder: Path, progress: Progress) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    environment.setdefault("GOTOOLCHAIN", "auto")
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    tail: list[str] = []

    def read() -> None:
        for line in process.stderr or ():
            tail[: max(0, len(tail) + 1 - _TAIL_LINES)] = []
            tail.append(line.rstrip())
            progress.note(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(1.0)
            progress.beat()
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    if process.returncode:
        raise StackError(f"{' '.join(command[:2])} in {folder} failed:\n" + "\n".join(tail))


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise StackError(f"building needs Go on the PATH (https://go.dev/doc/install), at least {_OLDEST_GO}")
    return found


def _is_generated(program: GoProgram) -> bool:
    return program.package == "."


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}"


def _forget_older(current: Path) -> None:
    """Remove builds of other pins that are a month old; younger ones may be another checkout's."""
    for folder in current.parent.iterdir():
        if folder != current and folder.stat().st_mtime < current.stat().st_mtime - _FORGET_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(say: Say) -> Iterator[None]:
    """Let one build run at a time; whoever waited finds its work done."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running: waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
