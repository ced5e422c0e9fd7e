"""What runs, on disk: written at each start and stop, so that any later call can tell and stop it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from collector.stack.marks import find_marked
from collector.stack.places import StackError
from collector.stack.ports import Ports
from collector.stack.processes import Identity

_FILE = "state.json"
_NAMED = re.compile(r"\$\{(?:env:)?(\w+)")  # as the Collector's configurations name variables


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A stack as it was started.

    Args:
        ports: Where its servers listen.
        slos: SLO documents that it was started with.
        options: Files that the Collector merges into its configuration.
        running: Processes by service.
    """

    ports: Ports
    slos: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    running: Mapping[str, Identity] = field(default_factory=dict)

    def alive(self) -> dict[str, Identity]:
        """Return the processes that still run."""
        return {name: identity for name, identity in self.running.items() if identity.is_alive()}

    def with_process(self, name: str, identity: Identity | None) -> State:
        """Return this with another process for a service, or none."""
        rest = {key: value for key, value in self.running.items() if key != name}
        return replace(self, running=rest | ({name: identity} if identity else {}))


def with_options(state: State, options: Sequence[str]) -> State:
    """Return this with other parts for the Collector, for when it is started next."""
    return replace(state, options=tuple(options))


def load(folder: Path) -> State | None:
    """Read what was written, with servers that run unwritten: whoever started them was killed before it could.

    Returns:
        None when nothing was written and nothing runs.

    Raises:
        StackError: It cannot be understood, or is missing while servers run.
    """
    found = running_in(folder)
    try:
        written = recorded(folder)
    except FileNotFoundError:
        if not found:
            return None
        raise StackError(f"{folder / _FILE}: is missing{_advice(found)}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StackError(f"{folder / _FILE}: cannot be understood ({error}){_advice(found)}") from error
    return replace(written, running={**written.running, **found, **written.alive()})


def running_in(folder: Path) -> dict[str, Identity]:
    """Return the servers of a stack that run, whatever is written."""
    return {one.name: one.identity for one in find_marked() if one.data == folder}


def ports_of_others(folder: Path) -> dict[int, Path]:
    """Return the ports of other stacks that run here, each with the folder of its data."""
    others = {one.data for one in find_marked() if one.data != folder}
    ports: dict[int, Path] = {}
    for other in others:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # its owner has to mend that one
            ports |= dict.fromkeys(recorded(other).ports.values(), other)
    return ports


def recorded(folder: Path) -> State:
    """Read what was written, and nothing else; it raises whatever is wrong with it."""
    document = json.loads((folder / _FILE).read_text())
    running = {name: Identity(**entry) for name, entry in document["running"].items()}
    lists = {name: tuple(document[name]) for name in ("slos", "options")}
    return State(ports=document["ports"], running=running, **lists)


def _advice(found: Mapping[str, Identity]) -> str:
    runs = ", ".join(f"{name} (pid {identity.pid})" for name, identity in found.items())
    return f"; {runs or 'no server'} runs: `make stack-down` stops what runs and removes the record"


def save(folder: Path, state: State) -> None:
    """Write it, whole or not at all."""
    part = folder / f"{_FILE}.part"
    part.write_text(json.dumps(asdict(state), indent=2) + "\n")
    part.rename(folder / _FILE)


def remove(folder: Path) -> None:
    """Forget it."""
    (folder / _FILE).unlink(missing_ok=True)


def process_environment(asked: Iterable[Path] = ()) -> dict[str, str]:
    """Return this process's environment without what is meant for services: the stack's servers have settings.

    Args:
        asked: Configurations; variables that they name are passed on: where a token is, for instance.
    """
    named = {name for file in asked if file.is_file() for name in _NAMED.findall(file.read_text())}
    kept = (key for key in os.environ if key in named or not key.startswith(("OTEL_", "SLOBURN_")))
    return {key: os.environ[key] for key in kept}
