"""Find a stack's servers without its record: each has a mark in its environment that says whose it is, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.stack.processes import Identity, identify, parent

_MARK = "SLOBURN_STACK_SERVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A server that runs.

    Args:
        name: Of the service.
        data: Folder of the stack that started it.
        identity: Its process.
    """

    name: str
    data: Path
    identity: Identity


def mark(name: str, data: Path) -> Mapping[str, str]:
    """Return what the environment of a server needs, so that it is found."""
    return {_MARK: f"{name}@{data}"}


def find_marked() -> list[Marked]:
    """Return every marked process whose parent is none; none at all where the system does not show environments."""
    texts = {pid: text for pid in _processes() if (text := _mark_of(pid))}
    found = []
    for pid, text in texts.items():
        name, _, data = text.partition("@")
        identity = identify(pid)
        if identity and parent(pid) not in texts:
            found.append(Marked(name=name, data=Path(data), identity=identity))
    return found


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if entry.name.isdecimal()]


def _mark_of(pid: int) -> str:
    try:
        settings = (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is none of our business
        return ""
    begin = f"{_MARK}=".encode()
    return next((one.removeprefix(begin).decode(errors="replace") for one in settings if one.startswith(begin)), "")
