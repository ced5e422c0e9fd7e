"""OTLP over gRPC (opentelemetry-proto, docs/specification.md, "OTLP/gRPC")."""

from __future__ import annotations

import asyncio
from typing import NoReturn, TypeAlias

import grpc
from grpc import aio

from sloburn.errors import ConfigError, MalformedBody
from sloburn.otlp import answer as wire_answer
from sloburn.otlp.signal import Compression, Encoding, Signal
from sloburn.receiver.admission import Admission
from sloburn.receiver.answers import NO_TOKEN, Code, Refused, explanation
from sloburn.receiver.auth import Auth
from sloburn.receiver.intake import Intake
from sloburn.receiver.limits import Limits
from sloburn.receiver.tally import Tally, Wire
from sloburn.receiver.tls import Tls

Context: TypeAlias = "aio.ServicerContext[bytes, bytes]"

_PACKAGE = "opentelemetry.proto.collector"
SERVICES = {
    Signal.TRACES: f"{_PACKAGE}.trace.v1.TraceService",
    Signal.METRICS: f"{_PACKAGE}.metrics.v1.MetricsService",
    Signal.LOGS: f"{_PACKAGE}.logs.v1.LogsService",
}

_STATUSES: dict[int, grpc.StatusCode] = {status.value[0]: status for status in grpc.StatusCode}
_GZIP_MAGIC = b"\x1f\x8b"
_IDENTITY_AND_GZIP = 1 << 0 | 1 << 2


class GrpcServer:
    """A running receiver.

    Args:
        server: The gRPC server, started.
        port: Where it listens; the one that was found if 0 was asked for.
    """

    def __init__(self, server: aio.Server, port: int) -> None:
        self._server = server
        self.port = port

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests, and give those under way so long to end."""
        await self._server.stop(grace_seconds)


async def start_grpc(
    intake: Intake,
    *,
    host: str,
    port: int,
    limits: Limits,
    tally: Tally,
    auth: Auth | None = None,
    tls: Tls | None = None,
) -> GrpcServer:
    """Listen for OTLP/gRPC on the running event loop.

    Args:
        intake: Takes the requests.
        host: Address or name to bind.
        port: Port to bind; 0 for any that is free.
        limits: Bounds.
        tally: Counts what was answered.
        auth: Whom to let in; None for everybody.
        tls: Certificate to show; None for plain text.

    Raises:
        ConfigError: The address cannot be bound, or TLS cannot be set up.
    """
    receiver = _GrpcReceiver(Admission(intake, wire=Wire.GRPC, limits=limits, tally=tally), auth)
    server = aio.server(options=_options(limits))
    server.add_generic_rpc_handlers(tuple(_service(receiver, signal, name) for signal, name in SERVICES.items()))
    bound = _bind(server, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", tls)
    await server.start()
    return GrpcServer(server, bound)


def _options(limits: Limits) -> list[tuple[str, int]]:
    """Return the server's settings (grpc_types.h)."""
    return [
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        ("grpc.so_reuseport", 0),  # a second processor on the port must fail, not share its requests
        # gRPC inflates without any bound, so it must not: it hands over gzip, and we know it by its first bytes.
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
    ]


def _bind(server: aio.Server, address: str, tls: Tls | None) -> int:
    """Bind an address and return its port."""
    try:
        if tls is not None:
            return server.add_secure_port(address, tls.credentials())
        return server.add_insecure_port(address)
    except RuntimeError:
        raise ConfigError(
            f"OTLP/gRPC cannot listen on {address}: the port is taken, or the address is not one of this machine"
        ) from None


def _service(receiver: _GrpcReceiver, signal: Signal, name: str) -> grpc.GenericRpcHandler:
    """Return the service of one signal; bodies pass through as bytes."""

    async def export(request: bytes, context: Context) -> bytes:
        return await receiver.export(signal, request, context)

    return grpc.method_handlers_generic_handler(name, {"Export": grpc.unary_unary_rpc_method_handler(export)})


class _GrpcReceiver:
    """Reads requests and writes answers."""

    def __init__(self, admission: Admission, auth: Auth | None) -> None:
        self._admission = admission
        self._auth = auth

    async def export(self, signal: Signal, request: bytes, context: Context) -> bytes:
        """Answer one export request; ends in an answer, or in an abort with a status."""
        try:
            response = await self._take(signal, request, context)
        except asyncio.CancelledError:
            self._admission.count(signal, "CANCELLED")
            raise
        except Exception as error:
            await self._abort(signal, context, error)
        self._admission.count(signal, Code.OK.name)
        return response

    async def _take(self, signal: Signal, request: bytes, context: Context) -> bytes:
        """Check the token, hand the body over, and return the answer."""
        if self._auth and not self._auth.allows(_authorization(context)):
            raise Refused(NO_TOKEN, "expected the metadata authorization: Bearer with this receiver's token")
        # No protobuf begins so: 0x1f would be wire type 7, which does not exist.
        compression = Compression.GZIP if request.startswith(_GZIP_MAGIC) else Compression.NONE
        with self._admission.pending.hold(_sender(context)) as hold:
            hold.grow(len(request))
            receipt = await self._admission.take(signal, Encoding.PROTOBUF, request, compression=compression, hold=hold)
        return wire_answer.accepted(signal, Encoding.PROTOBUF, receipt.rejected, receipt.message)

    async def _abort(self, signal: Signal, context: Context, error: Exception) -> NoReturn:
        """End a request with the status of an error."""
        answer, message = self._admission.answer(error), explanation(error)
        self._admission.count(signal, answer.code.name)
        retry = answer.retry_after_seconds
        is_bad_data = isinstance(error, MalformedBody)
        details = wire_answer.status(Encoding.PROTOBUF, answer.code, message, retry, is_bad_data=is_bad_data)
        trailing: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", details)]
        if retry is not None:  # where OpenTelemetry's Python exporter looks for it
            trailing.append(("google.rpc.retryinfo-bin", wire_answer.retry_info(retry)))
        await context.abort(_STATUSES[answer.code], message, tuple(trailing))
        raise AssertionError("abort raises")


def _sender(context: Context) -> str:
    """Return the address of the peer without its port: ``ipv4:10.0.0.7``."""
    return context.peer().rpartition(":")[0]


def _authorization(context: Context) -> str | None:
    """Return the metadata of that name."""
    found = dict(context.invocation_metadata() or ()).get("authorization")
    return found if isinstance(found, str) else None
