"""The composition root of the processor: every part is made here, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sloburn.alerts.sender import AlertmanagerSender
from sloburn.clock import Clock
from sloburn.errors import ConfigError
from sloburn.otlp.anyvalue import any_value
from sloburn.outputs.board import Board
from sloburn.outputs.pages import PageSettings
from sloburn.outputs.web import page_app
from sloburn.receiver.grpc import GrpcServer, start_grpc
from sloburn.receiver.http import otlp_http_app
from sloburn.receiver.intake import Intake
from sloburn.receiver.tally import Tally
from sloburn.server.config import Address, ProcessorConfig
from sloburn.server.door import Door, make_door
from sloburn.server.listeners import HttpServer, bind, bound_to
from sloburn.server.pipeline import Pipeline
from sloburn.server.records import Scribe
from sloburn.server.recovery import restore
from sloburn.server.samples import alert_samples, request_samples, seen_samples
from sloburn.server.storage import Store
from sloburn.sli.engine import Engine
from sloburn.sli.status import Snapshot
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
    engine, store, scribe = open_engine(config, clock)
    try:
        await _serve(config, clock, engine, store, scribe, announce)
    finally:
        store.close()


def open_engine(config: ProcessorConfig, clock: Clock) -> tuple[Engine, Store, Scribe]:
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
        for note in slo.alerting.notes:
            log.warning("%s: %s", slo.name, note)
    store = Store(config.data, clock.now_unix_nano())
    engine = Engine(slos, any_value, epoch=store.epoch, time_scale=config.time_scale)
    try:
        scribe, applied = restore(engine, store)
    except BaseException:
        store.close()
        raise
    log.info("%d SLOs; %s holds %d commits since its last checkpoint", len(slos), config.data, applied)
    return engine, store, scribe


async def _serve(
    config: ProcessorConfig,
    clock: Clock,
    engine: Engine,
    store: Store,
    scribe: Scribe,
    announce: Callable[[Addresses], None],
) -> None:
    loop = asyncio.get_running_loop()
    board, tally, door = Board(), Tally(), make_door(config)

    def publish(snapshot: Snapshot) -> None:
        loop.call_soon_threadsafe(board.publish, snapshot)

    pipeline = Pipeline(engine, store, scribe, clock, publish)
    otlp_app = otlp_http_app(pipeline, limits=door.limits, tally=tally, auth=door.auth)
    sender = AlertmanagerSender(config.alertmanager, config.page_url)
    otlp_socket, page_socket = bind(config.otlp_http, "otlp_http"), bind(config.listen, "listen")
    bind(config.otlp_grpc, "otlp_grpc").close()  # gRPC binds for itself, and complains in its own way
    bound = f"{'https' if door.tls else 'http'}://{bound_to(otlp_socket)}"
    pages = page_app(
        board,
        tallies=lambda: (
            *request_samples(tally),
            *alert_samples(sender),
            *seen_samples(engine.seen, clock.now_unix_nano()),
        ),
        settings=PageSettings(otlp_endpoint=bound, trace_url=config.trace_url),
    )
    servers = {
        HttpServer(otlp_app, door.tls.context() if door.tls else None): otlp_socket,
        HttpServer(pages): page_socket,
    }
    grpc_server = await _start_grpc(config, pipeline, tally, door)
    pipeline.start()
    telling = asyncio.create_task(_tell(sender, board))
    running = {server: asyncio.create_task(server.serve(sockets=[sock])) for server, sock in servers.items()}
    otlp_grpc = Address(config.otlp_grpc.host, grpc_server.port)
    announce(Addresses(listen=bound_to(page_socket), otlp_http=bound_to(otlp_socket), otlp_grpc=otlp_grpc))
    await _until_stopped(loop)
    board.close()
    await telling
    await asyncio.gather(grpc_server.stop(GRPC_GRACE_SECONDS), *(server.stop(task) for server, task in running.items()))
    await asyncio.to_thread(pipeline.stop)
    log.info("stopped; everything that was acknowledged is stored")


async def _tell(sender: AlertmanagerSender, board: Board) -> None:
    with board.subscribe() as snapshots:
        await sender.run(snapshots.next)


async def _start_grpc(config: ProcessorConfig, intake: Intake, tally: Tally, door: Door) -> GrpcServer:
    return await start_grpc(
        intake,
        host=config.otlp_grpc.host,
        port=config.otlp_grpc.port,
        limits=door.limits,
        tally=tally,
        auth=door.auth,
        tls=door.tls,
    )


async def _until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
