"""Where the pieces listen: their usual ports, or free ones where something else was first."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One port for each listener of the demo."""

    otlp_grpc: int = 4317
    otlp_http: int = 4318
    page: int = 4321
    shop: int = 8000


USUAL = Ports()
NAMES = {"otlp_grpc": "OTLP/gRPC", "otlp_http": "OTLP/HTTP", "page": "status page", "shop": "shop"}


def choose_ports(usual: Ports = USUAL) -> Ports:
    """Return the usual ports, with a free one in place of each that is taken."""
    with ExitStack() as held:  # held until all are chosen: no port is given out twice
        return Ports(**{name: _reserve(held, getattr(usual, name)) for name in NAMES})


def explain(chosen: Ports, usual: Ports = USUAL) -> list[str]:
    """Say in a sentence for each port what was taken and what is used in its place."""
    pairs = ((title, getattr(usual, name), getattr(chosen, name)) for name, title in NAMES.items())
    return [
        f"Port {wanted} ({title}) is taken by another program: the demo uses {given} in its place."
        for title, wanted, given in pairs
        if wanted != given
    ]


def _reserve(held: ExitStack, wanted: int) -> int:
    for port in (wanted, 0):
        listener = held.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is not taken
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            continue
        return int(listener.getsockname()[1])
    raise OSError(f"no free port on {HOST}")
