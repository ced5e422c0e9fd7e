"""Build programs from pinned Go modules: once for each content of what pins them."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from collector.stack import golang
from collector.stack.golang import Say
from collector.stack.lock import locked
from collector.stack.places import StackError, cache_folder
from collector.stack.programs import BUILDER, GO_PROGRAMS, GoProgram

_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
_FORGET_SECONDS = 30 * 86_400
_PINS = ("go.mod", "go.sum", "manifest.yaml")


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
        StackError: There is no Go, too little room on the disk, or a build fails.
    """
    if not any(_missing()):
        return []
    with locked(cache_folder(), "another build is running", say):  # whoever waited finds its work done
        missing = list(_missing())
        golang.check_room(len(missing))
        for count, program in enumerate(missing, 1):
            if program.is_large and count > 1:  # first is only one that goes on where it was interrupted
                golang.forget()  # what it shares with the others is less than the room that they take
            _build(program, say, f"{count}/{len(missing)} {program.name}")
        golang.forget()
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
        arguments = ["build", "-v", *_FLAGS, *tags, "-o", str(part), program.package]
        try:
            golang.build(arguments, folder, say, title)
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


def _is_generated(program: GoProgram) -> bool:
    return program.package == "."


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}"


def _forget_older(current: Path) -> None:
    """Remove builds of other pins that are a month old; younger ones may be another checkout's."""
    for folder in current.parent.iterdir():
        if folder != current and folder.stat().st_mtime < current.stat().st_mtime - _FORGET_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
