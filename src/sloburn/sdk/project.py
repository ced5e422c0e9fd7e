"""What the files around the caller say about it: name, version and commit of its project."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import FrameType

# How far above the caller's file a project's root is looked for.
_MOST_FOLDERS_UP = 6
_LARGEST_FILE_BYTES = 1_000_000
_SHA_LENGTHS = (40, 64)
# Where builds say which commit they are of, where there is no .git.
COMMIT_VARIABLES = (
    "GIT_COMMIT",
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "SOURCE_VERSION",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
    "VERCEL_GIT_COMMIT_SHA",
    "BITBUCKET_COMMIT",
    "CIRCLE_SHA1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What is known about the program that runs; empty where nothing is.

    Args:
        name: From ``[project]`` of its pyproject.toml, or its installed distribution.
        version: Likewise.
        commit: The hash that its working tree is at.
    """

    name: str = ""
    version: str = ""
    commit: str = ""


def find_project(frame: FrameType | None, working_folder: Path) -> Project:
    """Describe the project of a caller; never raises.

    Args:
        frame: The caller's; None when it is unknown.
        working_folder: Where to look when the caller has no file, as in a notebook.
    """
    try:
        return _find(frame, working_folder)
    except Exception:
        # Whatever is wrong with files that are not ours, telemetry starts without what they would have said.
        return Project()


def _find(frame: FrameType | None, working_folder: Path) -> Project:
    path = frame.f_globals.get("__file__") if frame else None
    start = Path(path).resolve().parent if isinstance(path, str) else working_folder
    if {"site-packages", "dist-packages"} & set(start.parts):
        return _installed(str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame else "")
    commit = next(filter(None, map(_commit, _upward(start))), "")
    for folder in _upward(start):
        table = _project_table(folder / "pyproject.toml")
        if table is not None:
            name = str(table.get("name", ""))
            return Project(name=name, version=str(table.get("version", "")) or _version(name), commit=commit)
    return Project(commit=commit)


def _upward(start: Path) -> Iterator[Path]:
    yield start
    yield from list(start.parents)[:_MOST_FOLDERS_UP]


def _project_table(path: Path) -> Mapping[str, object] | None:
    """Return ``[project]``; None when there is no such file or it describes tools only."""
    if not path.is_file() or path.stat().st_size > _LARGEST_FILE_BYTES:
        return None
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("project")
    return table if isinstance(table, dict) and table.get("name") else None


def _installed(name: str) -> Project:
    version = _version(name)
    return Project(name=name if version else "", version=version)


def _version(name: str) -> str:
    try:
        return metadata.version(name) if name else ""
    except metadata.PackageNotFoundError:
        return ""


def _commit(folder: Path) -> str:
    """Read which commit a working tree is at, without running git.

    https://git-scm.com/docs/gitrepository-layout
    """
    git = folder / ".git"
    if git.is_file():
        # A worktree or submodule: the file says where its part of the repository is.
        git = (folder / git.read_text().removeprefix("gitdir:").strip()).resolve()
    head = git / "HEAD"
    if not head.is_file():
        return ""
    said = head.read_text().strip()
    return _resolve(git, said.removeprefix("ref:").strip()) if said.startswith("ref:") else _sha(said)


def _resolve(git: Path, reference: str) -> str:
    shared = git / "commondir"
    places = [git, (git / shared.read_text().strip()).resolve()] if shared.is_file() else [git]
    for place in places:
        if (place / reference).is_file():
            return _sha((place / reference).read_text().strip())
        packed = place / "packed-refs"
        if packed.is_file():
            lines = (line.split() for line in packed.read_text().splitlines())
            found = [line[0] for line in lines if len(line) == 2 and line[1] == reference]
            if found:
                return _sha(found[0])
    return ""


def _sha(text: str) -> str:
    return text if len(text) in _SHA_LENGTHS and all(letter in "0123456789abcdef" for letter in text) else ""
