"""Real receivers on free ports, each in a thread with its own event loop; ready when the block is entered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn

from sloburn.receiver.auth import Auth
from sloburn.receiver.grpc import start_grpc
from sloburn.receiver.http import otlp_http_app
from sloburn.receiver.intake import Intake
from sloburn.receiver.limits import Limits
from sloburn.receiver.tally import RequestKey, Tally

HOST = "127.0.0.1"
KIB = 1024
PATIENCE_SECONDS = 60
SMALL = Limits(max_body_bytes=64 * KIB, max_pending_bytes=256 * KIB, read_seconds=PATIENCE_SECONDS)


@dataclass(kw_only=True)
class Receiver:
    """Where a receiver listens, and what it counted."""

    port: int
    tally: Tally = field(default_factory=Tally)

    @property
    def url(self) -> str:
        """Its base address over HTTP."""
        return f"http://{HOST}:{self.port}"

    @property
    def target(self) -> str:
        """Its address over gRPC."""
        return f"{HOST}:{self.port}"

    def counted(self) -> dict[RequestKey, int]:
        """Return what was counted so far."""
        return dict(self.tally.requests())


class _ReadyServer(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self.ready.set()

    @property
    def port(self) -> int:
        """The port that was found."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


@contextmanager
def http_receiver(intake: Intake, *, limits: Limits = SMALL, auth: Auth | None = None) -> Iterator[Receiver]:
    """Serve OTLP/HTTP."""
    tally = Tally()
    app = otlp_http_app(intake, limits=limits, tally=tally, auth=auth)
    # A sender of these tests may be kept from its next request for long, and expects its connection to be there.
    config = uvicorn.Config(
        app, host=HOST, port=0, log_config=None, ws="none", lifespan="off", timeout_keep_alive=PATIENCE_SECONDS
    )
    server = _ReadyServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.ready.wait(PATIENCE_SECONDS)
    try:
        yield Receiver(port=server.port, tally=tally)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@contextmanager
def http_client(receiver: Receiver) -> Iterator[httpx.Client]:
    """Open a client for a receiver."""
    with httpx.Client(base_url=receiver.url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        yield client


@contextmanager
def grpc_receiver(intake: Intake, *, limits: Limits = SMALL, auth: Auth | None = None) -> Iterator[Receiver]:
    """Serve OTLP/gRPC."""
    tally, started, stop = Tally(), threading.Event(), asyncio.Event()
    found: list[tuple[int, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        server = await start_grpc(intake, host=HOST, port=0, limits=limits, tally=tally, auth=auth)
        found.append((server.port, asyncio.get_running_loop()))
        started.set()
        await stop.wait()
        await server.stop(1)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(PATIENCE_SECONDS)
    port, loop = found[0]
    try:
        yield Receiver(port=port, tally=tally)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
