"""The port of every listener: a usual one, another by the environment, or a free one."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from collector.stack.places import DATA_VARIABLE, StackError

HOST = "127.0.0.1"
PREFIX = "SLOBURN_STACK_PORT_"
_HIGHEST = 65535
_BELOW_EPHEMERAL = range(18_000, 32_000)

USUAL: Mapping[str, int] = {
    "otlp_grpc": 4317,
    "otlp_http": 4318,
    "telemetry": 8889,
    "otelcol": 8888,
    "otelcol_health": 13133,
    "sloburn": 4321,
    "sloburn_http": 4328,
    "sloburn_grpc": 4327,
    "prometheus": 9090,
    "alertmanager": 9093,
    "jaeger": 16686,
    "jaeger_grpc": 16685,
    "jaeger_otlp": 14317,
    "jaeger_self": 14888,
    "loki": 3100,
    "loki_grpc": 13095,
    "postgresql": 15432,
    "redis": 16379,
    "node": 9100,
    "postgresql_exporter": 9187,
    "redis_exporter": 9121,
}

Ports = Mapping[str, int]


def choose_ports(environ: Mapping[str, str]) -> Ports:
    """Return the usual ports, with those in their place that ``SLOBURN_STACK_PORT_<NAME>`` names.

    Raises:
        StackError: A variable names no port of ours, or is no number of a port.
    """
    given = {key.removeprefix(PREFIX).lower(): key for key in environ if key.startswith(PREFIX)}
    unknown = sorted(key for name, key in given.items() if name not in USUAL)
    if unknown:
        known = ", ".join(f"{PREFIX}{name.upper()}" for name in USUAL)
        raise StackError(f"{', '.join(unknown)}: no such port; there are {known}")
    return {**USUAL, **{name: _number(key, environ[key]) for name, key in given.items()}}


def free_ports() -> Ports:
    """Return a free port for every listener: for tests, and for a second stack beside the first."""
    with ExitStack() as held:  # held until all are chosen: no port is given out twice
        return {name: _reserve(held) for name in USUAL}


def taken(ports: Ports, names: Iterable[str], others: Mapping[int, Path]) -> list[str]:
    """Return a sentence for each port that something else listens on.

    Args:
        ports: Where we would listen.
        names: Of those that are needed.
        others: Ports of other stacks, each with the folder of its data.
    """
    return [_sentence(name, ports[name], others.get(ports[name])) for name in names if not _is_free(ports[name])]


def _sentence(name: str, port: int, other: Path | None) -> str:
    if other:
        whose = f"the stack whose data is in {other}: {DATA_VARIABLE}={other} make stack-down"
        return f"port {port} ({name}) is taken by {whose}, or start this one with --free-ports"
    return f"port {port} ({name}) is taken by another program: stop it, set {PREFIX}{name.upper()}, or use --free-ports"


def _number(key: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _HIGHEST:
        raise StackError(f"{key}={text}: expected a port, 1 to {_HIGHEST}")
    return int(text)


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is not taken
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def _reserve(held: ExitStack) -> int:
    """Take a port below those that the system gives to clients: one of them may be in use by the time we start."""
    for port in random.sample(_BELOW_EPHEMERAL, 200):
        listener = held.enter_context(socket.socket())
        try:
            listener.bind((HOST, port))
        except OSError:
            continue
        return port
    raise StackError(f"no free port on {HOST}")
