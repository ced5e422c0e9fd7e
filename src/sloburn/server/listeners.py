"""HTTP servers inside the processor's event loop: bound before anything starts, stopped together."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from sloburn.errors import ConfigError
from sloburn.server.bounded_heads import BoundedHeads
from sloburn.server.config import Address

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 3


def bind(address: Address, key: str) -> socket.socket:
    """Bind an address, so that a taken one is known before anything else starts.

    Raises:
        ConfigError: It is taken, or no address of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)  # two sockets may bind one port under SO_REUSEADDR; only one may listen
    except OSError as error:
        sock.close()
        flag = f"--{key.replace('_', '-')}"
        raise ConfigError(f"cannot listen on {address}: {error.strerror}; choose another with {flag}") from error
    return sock


def bound_to(sock: socket.socket) -> Address:
    """Return where a socket listens: the port that was found where 0 was asked for."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def _is_unforeseen(record: logging.LogRecord) -> bool:
    """Tell what to log: not a traceback for every reader who was cut off at the end, one line says how many."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class HttpServer(uvicorn.Server):
    """A server that leaves signals to the processor.

    Args:
        app: What it serves.
        tls: Its side of TLS; None for plain text.
    """

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            http=BoundedHeads,
            ws="none",
            ssl_context_factory=(lambda *_: tls) if tls else None,
            access_log=False,
            log_config=None,  # it speaks through the processor's log, in its form
            log_level="warning",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        logging.getLogger("uvicorn.error").addFilter(_is_unforeseen)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    async def stop(self, running: asyncio.Task[None]) -> None:
        """Finish what is under way and stop."""
        self.should_exit = True
        await running
