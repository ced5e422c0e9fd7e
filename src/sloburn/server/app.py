"""The composition root of the processor: every part is made here, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sloburn.clock import Clock
from sloburn.errors import ConfigError
from sloburn.otlp.anyvalue import any_value
from sloburn.outputs.board import Board
from sloburn.outputs.exposition import TallyKind, TallySample
from sloburn.outputs.web import page_app
from sloburn.receiver.grpc import start_grpc
from sloburn.receiver.http import otlp_http_app
from sloburn.receiver.limits import Limits
from sloburn.receiver.tally import Tally
from sloburn.server.config import Address, ProcessorConfig
from sloburn.server.listeners import HttpServer, bind, bound_to
from sloburn.server.pipeline import Pipeline
from sloburn.server.recovery import restore
from sloburn.server.storage import Store
from sloburn.sli.engine import Engine
from sloburn.sli.status import Snapshot
from sloburn.slo import naming
from sloburn.slo.clamp import clamp_notes
from sloburn.spec import load_slos

log = logging.getLogger("sloburn.server")

GRPC_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a running processor listens."""

    listen: Address
    otlp_http: Address
    otlp_grpc: Address


async def serve(config: ProcessorConfig, clock: Clock, announce: Callable[[Addresses], None]) -> None:
    """Run a processor until SIGTERM or SIGINT.

    Args:
        config: What to run.
        clock: Tells the time.
        announce: Called once everything listens.

    Raises:
        ConfigError: No SLO documents are named, or an address is taken.
        SpecError: An SLO document is wrong.
        StorageError: The store cannot be used.
    """
    engine, store = open_engine(config, clock)
    try:
        await _serve(config, clock, engine, store, announce)
    finally:
        store.close()


def open_engine(config: ProcessorConfig, clock: Clock) -> tuple[Engine, Store]:
    """Read the SLOs and bring an engine to where the store is.

    Raises:
        ConfigError: No SLO documents are named.
        SpecError: An SLO document is wrong.
        StorageError: The store cannot be used.
    """
    if not config.slos:
        raise ConfigError("no SLO documents are named; expected for instance --slos slos.yaml")
    slos = load_slos([Path(path) for path in config.slos])
    for slo in slos:
        for note in clamp_notes(slo):
            log.warning("%s: %s", slo.name, note)
    store = Store(config.data, clock.now_unix_nano())
    engine = Engine(slos, any_value, epoch=store.epoch, time_scale=config.time_scale)
    applied = restore(engine, store.load())
    log.info("%d SLOs; %s holds %d commits since its last checkpoint", len(slos), config.data, applied)
    return engine, store


async def _serve(
    config: ProcessorConfig, clock: Clock, engine: Engine, store: Store, announce: Callable[[Addresses], None]
) -> None:
    loop = asyncio.get_running_loop()
    board, tally = Board(), Tally()
    limits = Limits(max_body_bytes=config.max_body_bytes)

    def publish(snapshot: Snapshot) -> None:
        loop.call_soon_threadsafe(board.publish, snapshot)

    pipeline = Pipeline(engine, store, clock, publish)
    otlp_socket = bind(config.otlp_http, "otlp_http")
    page_socket = bind(config.listen, "listen")
    grpc_server = await start_grpc(
        pipeline, host=config.otlp_grpc.host, port=config.otlp_grpc.port, limits=limits, tally=tally
    )
    servers = {
        HttpServer(otlp_http_app(pipeline, limits=limits, tally=tally)): otlp_socket,
        HttpServer(page_app(board, tallies=lambda: _samples(tally))): page_socket,
    }
    pipeline.start()
    running = {server: asyncio.create_task(server.serve(sockets=[sock])) for server, sock in servers.items()}
    announce(
        Addresses(
            listen=bound_to(page_socket),
            otlp_http=bound_to(otlp_socket),
            otlp_grpc=Address(config.otlp_grpc.host, grpc_server.port),
        )
    )
    await _until_stopped(loop)
    board.close()
    await asyncio.gather(grpc_server.stop(GRPC_GRACE_SECONDS), *(server.stop(task) for server, task in running.items()))
    await asyncio.to_thread(pipeline.stop)
    log.info("stopped; everything that was acknowledged is stored")


async def _until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def _samples(tally: Tally) -> list[TallySample]:
    return [
        TallySample(
            name=naming.REQUESTS_TOTAL,
            kind=TallyKind.COUNTER,
            help="OTLP requests answered, by signal, protocol and answer.",
            labels=(("signal", key.signal or ""), ("protocol", key.wire), ("code", key.code)),
            value=count,
        )
        for key, count in sorted(tally.requests().items(), key=lambda item: tuple(map(str, item[0])))
    ]
