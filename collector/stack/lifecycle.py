"""Start, look at, and stop the stack, or single servers of it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from collector.stack import state as states
from collector.stack.database import database_user
from collector.stack.marks import mark
from collector.stack.places import StackError
from collector.stack.ports import USUAL, Ports, taken
from collector.stack.prepare import prepare, working_folder
from collector.stack.processes import last_run, start, stop
from collector.stack.services import Service, sampling_file, services, url
from collector.stack.state import State, process_environment

READY_SECONDS = 240.0
STOP_SECONDS = 60.0  # Jaeger writes what it has taken, each span by itself
TAIL_LINES = 20
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_READING_SECONDS = 60.0  # thousands of rules on a busy machine

# Without the environment's proxies: everything is on this machine.
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a server stands.

    Args:
        service: Which.
        pid: Its process; None where none runs.
        is_ready: Whether it answers.
    """

    service: Service
    pid: int | None
    is_ready: bool

    @property
    def word(self) -> str:
        """Say it in a word or two."""
        if not self.service.command:
            return "left out"
        if self.pid is None:
            return "down"
        return "ready" if self.is_ready else "not ready"


class Stack:
    """The stack in one data folder.

    Args:
        data: Folder of data, logs and the record of what runs.
        say: Is told what happens, a line at a time.
    """

    def __init__(self, data: Path, say: Callable[[str], None]) -> None:
        self.data = data
        self._say = say

    @property
    def state(self) -> State | None:
        """What was started last and not stopped."""
        return states.load(self.data)

    def up(self, ports: Ports, slos: Sequence[str], options: Sequence[str] = ()) -> list[str]:
        """Start what does not run, and wait until everything is ready.

        Args:
            ports: Where servers listen; those of a running stack win.
            slos: SLO documents for sloburn.
            options: Files that the Collector merges into its configuration.

        Returns:
            What a person should know.

        Raises:
            StackError: A port is taken, or a server does not become ready; the message has the end of its log.
        """
        before = self.state
        running = before if before and before.alive() else State(ports=ports)
        now = replace(running, slos=tuple(slos), options=tuple(options))
        planned = [service for service in self._services(now) if service.command]
        missing = [service for service in planned if service.name not in now.alive()]
        needed = [port for service in missing for port in service.ports]
        if clashes := taken(now.ports, needed, states.ports_of_others(self.data)):
            raise StackError("\n".join(clashes))
        (self.data / "logs").mkdir(parents=True, exist_ok=True)
        sampled = self._sampled()
        notes = prepare(self.data, now.ports, planned, slos)
        states.save(self.data, now)
        self._stop_outdated(running, now, sampled)
        self.start(*(service.name for service in planned))
        if "prometheus" in running.alive():
            notes += read_anew(url(now.ports, "prometheus", "/-/reload"))
        return notes

    def start(self, *names: str) -> None:
        """Start those servers that do not run, and wait until they are ready."""
        alive = self._known().alive()
        chosen = [self.service(name) for name in names if name not in alive]
        for service in chosen:
            self._launch(service)
        for service in chosen:
            self._wait(service)
            self._say(f"  {service.name} is ready")

    def stop(self, *names: str) -> None:
        """Ask servers to end, wait for it, and kill those that do not."""
        now = self._known()
        leaving = {name: identity for name, identity in now.alive().items() if name in names}
        killed = stop(tuple(leaving.values()), STOP_SECONDS)
        for name, identity in leaving.items():
            now = now.with_process(name, None)
            if identity in killed:
                self._say(f"  {name} had to be killed: it did not end within {STOP_SECONDS:.0f} s")
        states.save(self.data, now)

    def kill(self, *names: str) -> None:
        """Kill servers as a crash would: no last words, nothing flushed."""
        now = self._known()
        for name, identity in now.alive().items():
            if name in names:
                identity.kill_group()
                now = now.with_process(name, None)
        states.save(self.data, now)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a server a signal."""
        identity = self._known().alive().get(name)
        if identity:
            identity.send(number)

    def down(self) -> list[str]:
        """Stop everything: the Collector first, so that it can hand over what it holds; databases last.

        Returns:
            Names of what was stopped.
        """
        stopped = self._stop_known()
        left = states.running_in(self.data)  # of more than one start
        stop(tuple(left.values()), STOP_SECONDS)
        states.remove(self.data)
        return [*stopped, *left]

    def _stop_known(self) -> list[str]:
        try:
            now = self.state
        except StackError as error:
            self._say(str(error))
            now = State(ports=USUAL, running=states.running_in(self.data))  # ports do not matter to who is stopped
            states.save(self.data, now)
        if now is None:
            return []
        alive = now.alive()
        running = [service for service in self._services(now) if service.name in alive]
        order = [service.name for service in running]
        first = [name for name in order if name == "otelcol"]
        last = [service.name for service in running if service.database]
        unknown = [name for name in alive if name not in order]
        for group in (first, [name for name in order if name not in (*first, *last)] + unknown, last):
            self.stop(*group)
        return [*order, *unknown]

    def standings(self) -> list[Standing]:
        """Return how every server stands."""
        now = self._known()
        alive = now.alive()
        return [
            Standing(
                service=service,
                pid=alive[service.name].pid if service.name in alive else None,
                is_ready=service.name in alive and is_ready(service),
            )
            for service in self._services(now)
        ]

    def service(self, name: str) -> Service:
        """Return the server of that name.

        Raises:
            StackError: There is none, or its program is missing.
        """
        known = {service.name: service for service in self._services(self._known())}
        if name not in known or not known[name].command:
            raise StackError(f"{name}: no such server, or not installed; there are {', '.join(known)}")
        return known[name]

    def log(self, name: str) -> Path:
        """Return where a server's log is."""
        return self.data / "logs" / f"{name}.log"

    def log_tail(self, name: str, lines: int = TAIL_LINES) -> str:
        """Return the end of a server's log, of what it wrote since it was started last."""
        return "\n".join(last_run(self.log(name))[-lines:])

    def _launch(self, service: Service) -> None:
        working_folder(self.data, service).mkdir(parents=True, exist_ok=True)
        identity = start(
            service.command,
            log=self.log(service.name),
            folder=working_folder(self.data, service),
            environment={**process_environment(service.asks), **service.environment, **mark(service.name, self.data)},
            user=database_user() if service.database else None,
        )
        states.save(self.data, self._known().with_process(service.name, identity))

    def _wait(self, service: Service) -> None:
        identity = self._known().running[service.name]
        if _until(lambda: is_ready(service) or not identity.is_alive(), READY_SECONDS) and identity.is_alive():
            return
        what = f"is not ready after {READY_SECONDS:.0f} s" if identity.is_alive() else "ended by itself"
        raise StackError(f"{service.name} {what}; {self.log(service.name)} ends with:\n{self.log_tail(service.name)}")

    def _stop_outdated(self, before: State, now: State, sampled: str) -> None:
        """Stop what has to be started anew: its settings changed. Prometheus reads its own while it runs."""
        changed = {
            "sloburn": before.slos != now.slos,
            "otelcol": before.options != now.options or sampled != self._sampled(),
        }
        outdated = [name for name, differs in changed.items() if differs and name in before.alive()]
        for name in outdated:
            self._say(f"  {name} is started anew: its settings changed")
        self.stop(*outdated)

    def _sampled(self) -> str:
        file = sampling_file(self.data)
        return file.read_text() if file.exists() else ""

    def _services(self, now: State) -> Iterable[Service]:
        return services(self.data, now.ports, now.slos, now.options)

    def _known(self) -> State:
        now = self.state
        if now is None:
            raise StackError("nothing runs: start it with `make stack-up`")
        return now


def read_anew(address: str) -> list[str]:
    """Tell a server to read its files anew, and return what it has against them."""
    try:
        with _opener.open(Request(address, method="POST"), timeout=_READING_SECONDS):
            return []
    except HTTPError as error:
        return [f"Prometheus goes on with what it had: {error.read().decode(errors='replace').strip()}"]
    except OSError as error:
        return [f"Prometheus could not be told to read its rules anew: {error}"]


def is_ready(service: Service) -> bool:
    """Ask a server whether it is ready; who does not listen is, as long as it runs."""
    if not service.ready:
        return True
    address = urlsplit(service.ready)
    try:
        if address.scheme == "tcp":
            with socket.create_connection((address.hostname, address.port), _ANSWER_SECONDS):
                return True
        with _opener.open(service.ready, timeout=_ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPError, URLError, ValueError):
        return False


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    return True
