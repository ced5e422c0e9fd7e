"""From paths to SLOs: finds documents, reads them, and holds that every name is given once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sloburn.errors import Problem, SpecError
from sloburn.slo.model import Slo
from sloburn.spec.cursor import Cursor
from sloburn.spec.documents import Placed, read_document
from sloburn.spec.members import member_faults
from sloburn.spec.syntax import compose

SUFFIXES = (".yaml", ".yml")

Stamp = tuple[tuple[str, int, int, int], ...]
"""Files, each with its moment of change (nanoseconds), its length (bytes) and its number on the disk."""


def load_slos(paths: Sequence[Path]) -> tuple[Slo, ...]:
    """Read SLO documents.

    Args:
        paths: Files, and folders whose ``*.yaml`` and ``*.yml`` files are read. A file that is met twice counts once.

    Returns:
        Every SLO: paths as given, files of a folder by name, SLOs as written.

    Raises:
        SpecError: Something is wrong; it lists every problem of every document.
    """
    problems: list[Problem] = []
    placed: list[Placed] = []
    for file in _once(_find(paths, problems)):
        placed += _read_file(file, problems)
    return _finish(placed, problems)


def parse_slos(text: str, file: str) -> tuple[Slo, ...]:
    """Read one SLO document.

    Args:
        text: The document.
        file: Its name, for messages.

    Raises:
        SpecError: Something is wrong; it lists every problem.
    """
    problems: list[Problem] = []
    return _finish(_read_text(text, file, problems), problems)


def stamp_of(paths: Sequence[Path]) -> Stamp:
    """Return which files the paths name, and when each was changed: it differs when a document may have changed."""
    try:
        return tuple(_stamp(file) for file in _find(paths, []))
    except OSError as error:  # a folder that cannot be listed
        return ((str(error), 0, 0, 0),)


def content_digest(paths: Sequence[Path]) -> bytes:
    """Return a digest of what all files hold, or of why they cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in _find(paths, []):
            content = file.read_bytes()
            digest.update(f"{file} {len(content)} ".encode() + content)
    except OSError as error:
        digest.update(str(error).encode())
    return digest.digest()


def _stamp(file: Path) -> tuple[str, int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), found.st_mtime_ns, found.st_size, found.st_ino


def _find(paths: Sequence[Path], problems: list[Problem]) -> Iterator[Path]:
    for path in paths:
        yield from _documents(path, problems) if _is_folder(path) else (path,)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # inside of a folder that may not be read: reading it says why
        return False


def _documents(folder: Path, problems: list[Problem]) -> list[Path]:
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))
    except OSError as error:
        problems.append(_about(folder, f"the folder cannot be read: {error.strerror}"))
        return []
    if not files:
        problems.append(_about(folder, "the folder holds no *.yaml or *.yml file"))
    return files


def _once(files: Iterable[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for file in files:
        if (real := file.resolve()) not in seen:
            seen.add(real)
            yield file


def _read_file(file: Path, problems: list[Problem]) -> list[Placed]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        problems.append(_about(file, f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(_about(file, f"byte {error.object[error.start]:#04x} is not UTF-8 text", line))
    else:
        return _read_text(text, str(file), problems)
    return []


def _read_text(text: str, file: str, problems: list[Problem]) -> list[Placed]:
    root, wrong = compose(text, file)
    found = list(wrong)
    placed: list[Placed] = []
    if root is not None:
        placed += read_document(Cursor(node=root, file=file, line=1, path="", problems=found))
    # Fields are read in an order of their own and sometimes twice; people read from top to bottom.
    problems += sorted(dict.fromkeys(found), key=lambda problem: problem.line)
    return placed


def _finish(placed: list[Placed], problems: list[Problem]) -> tuple[Slo, ...]:
    first: dict[str, Placed] = {}
    for one in placed:
        other = first.setdefault(one.slo.name, one)
        if one.slo.name and other is not one:
            problems.append(_name_twice(one, other))
    if not problems:
        problems += [_about_members(first[slo.name], fault) for slo, fault in member_faults(one.slo for one in placed)]
    if problems:
        raise SpecError(tuple(problems))
    return tuple(one.slo for one in placed)


def _name_twice(one: Placed, other: Placed) -> Problem:
    message = (
        f"the name {one.slo.name} is taken by the SLO in {other.at.file}:{other.at.line}; expected a name of its own"
    )
    return Problem(file=one.at.file, line=one.at.line, path=one.at.path, message=message)


def _about_members(one: Placed, fault: str) -> Problem:
    at = one.indicator_at
    return Problem(file=at.file, line=at.line, path=at.path, message=fault)


def _about(path: Path, message: str, line: int = 1) -> Problem:
    return Problem(file=str(path), line=line, path="", message=message)
