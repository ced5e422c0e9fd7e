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
from sloburn.outputs.board import Board
from sloburn.outputs.desk import Desk
from sloburn.outputs.exposition import TallySample
from sloburn.outputs.pages import PageSettings
from sloburn.outputs.web import page_app
from sloburn.receiver.grpc import GrpcServer, start_grpc
from sloburn.receiver.http import otlp_http_app
from sloburn.receiver.intake import Intake
from sloburn.receiver.tally import Tally
from sloburn.server.config import Address, ProcessorConfig
from sloburn.server.door import Door, make_door
from sloburn.server.keeper import Keeper
from sloburn.server.listeners import HttpServer, bind, bound_to
from sloburn.server.pipeline import Pipeline
from sloburn.server.reload import Reloader, reload_samples
from sloburn.server.samples import (
    alert_samples,
    dropped_samples,
    request_samples,
    seen_samples,
    store_samples,
    stream_samples,
)
from sloburn.sli.status import Snapshot
from sloburn.slo.annotation import Annotation
from sloburn.spec import load_slos
from sloburn.spec.files import content_digest

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
        ConfigError: No SLO documents are named, what senders must show cannot be read, or an address is taken.
        SpecError: An SLO document is wrong.
        StorageError: The store cannot be used.
    """
    door, digest = make_door(config), content_digest(config.slos)
    keeper = open_keeper(config, clock)
    try:
        await _serve(config, clock, keeper, door, digest, announce)
    finally:
        keeper.store.close()


def open_keeper(config: ProcessorConfig, clock: Clock) -> Keeper:
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
    keeper = Keeper(
        config.data,
        slos,
        clock.now_unix_nano(),
        time_scale=config.time_scale,
        our_exporters=config.collector_exporters,
        dedupe_spans=config.dedupe_spans,
    )
    log.info(
        "%s; %s holds %s since its last checkpoint",
        *(_counted(len(slos), "SLO"), config.data, _counted(keeper.applied, "commit")),
    )
    return keeper


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


async def _serve(
    config: ProcessorConfig,
    clock: Clock,
    keeper: Keeper,
    door: Door,
    digest: bytes,
    announce: Callable[[Addresses], None],
) -> None:
    loop = asyncio.get_running_loop()
    board, tally = Board(), Tally()

    def publish(snapshot: Snapshot) -> None:
        loop.call_soon_threadsafe(board.publish, snapshot)

    pipeline = Pipeline(keeper, clock, publish)
    reloader = Reloader(config.slos, keeper.slos, digest, pipeline, clock, watches=config.watch)
    otlp_app = otlp_http_app(pipeline, limits=door.limits, tally=tally, auth=door.auth)
    sender = AlertmanagerSender(config.alertmanager, config.page_url)
    otlp_socket, page_socket = bind(config.otlp_http, "otlp_http"), bind(config.listen, "listen")
    bind(config.otlp_grpc, "otlp_grpc").close()  # gRPC binds for itself, and complains in its own way
    bound = f"{'https' if door.tls else 'http'}://{bound_to(otlp_socket)}"
    pages = page_app(
        board,
        tallies=lambda: (
            *(*request_samples(tally), *alert_samples(sender), *stream_samples(board), *reload_samples(reloader)),
            *_keeper_samples(keeper, pipeline, clock),
        ),
        settings=PageSettings(otlp_endpoint=bound, trace_url=config.trace_url),
        desk=_desk(pipeline, door, clock),
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
    reloading = asyncio.create_task(reloader.run())
    announce(Addresses(listen=bound_to(page_socket), otlp_http=bound_to(otlp_socket), otlp_grpc=otlp_grpc))
    await _until_stopped(loop)
    reloading.cancel()
    board.close()
    await telling
    await asyncio.gather(grpc_server.stop(GRPC_GRACE_SECONDS), *(server.stop(task) for server, task in running.items()))
    await asyncio.to_thread(pipeline.stop)
    log.info("stopped; everything that was acknowledged is stored")


def _desk(pipeline: Pipeline, door: Door, clock: Clock) -> Desk:
    async def annotate(annotation: Annotation) -> Annotation:
        return await pipeline.between(lambda keeper: keeper.annotate(annotation))

    return Desk(
        annotate=annotate,
        allows=door.auth.allows if door.auth else lambda _: True,
        now=clock.now_unix_nano,
    )


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


def _keeper_samples(keeper: Keeper, pipeline: Pipeline, clock: Clock) -> list[TallySample]:
    """Return how engine and store are."""
    engine = keeper.engine
    return [
        *seen_samples(engine.seen, clock.now_unix_nano()),
        *dropped_samples(engine.timeline),
        *store_samples(pipeline, keeper),
    ]


async def _until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
