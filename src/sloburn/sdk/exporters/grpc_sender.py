"""OTLP over gRPC: the same bodies as over HTTP, on a channel that is opened when it is first used.

A generic call with bytes in and bytes out needs no generated stubs, and a channel that is opened late is not inherited
by forked children.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from sloburn.errors import ConfigError
from sloburn.sdk.config import Signal, Target
from sloburn.sdk.exporters.answers import judge_answer
from sloburn.sdk.exporters.sender import Outcome, in_words

try:
    import grpc
except ImportError as error:
    raise ConfigError("OTLP over gRPC needs grpcio: pip install 'sloburn[grpc]'") from error

if TYPE_CHECKING:
    from collections.abc import Callable

_METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
# https://opentelemetry.io/docs/specs/otlp/#failures: RESOURCE_EXHAUSTED is retryable when the server says how long to
# wait; we retry it anyway, because the alternative is to lose the batch.
_RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


class GrpcSender:
    """Keeps one channel to one address and sends one request at a time.

    Args:
        signal: What the bodies hold.
        target: Where they go.
    """

    def __init__(self, *, signal: Signal, target: Target) -> None:
        self._signal = signal
        self._target = target
        self._channel: grpc.Channel | None = None
        self._call: Callable[..., bytes] | None = None

    def send(self, body: bytes, timeout_seconds: float) -> Outcome:
        """Send one request body; never raises."""
        try:
            call = self._call or self._open()
            answer = call(body, timeout=timeout_seconds, metadata=self._target.headers)
        except grpc.RpcError as error:
            return _judge(error)
        except Exception as error:
            return Outcome(verdict="retry", reason=in_words(str(error), type(error).__name__))
        return judge_answer(answer)

    def forget_connection(self) -> None:
        """Drop the channel without touching its socket: it belongs to the parent process."""
        self._channel = self._call = None

    def close(self) -> None:
        """Close the channel."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            channel.close()

    def _open(self) -> Callable[..., bytes]:
        parts = urlsplit(self._target.url)
        address = f"{parts.hostname}:{parts.port or 4317}"
        compression = grpc.Compression.Gzip if self._target.compression != "none" else grpc.Compression.NoCompression
        if parts.scheme == "https":
            self._channel = grpc.secure_channel(address, self._credentials(), compression=compression)
        else:
            self._channel = grpc.insecure_channel(address, compression=compression)
        self._call = self._channel.unary_unary(_METHODS[self._signal])
        return self._call

    def _credentials(self) -> grpc.ChannelCredentials:
        target = self._target
        return grpc.ssl_channel_credentials(
            root_certificates=_read(target.ca_file),
            private_key=_read(target.client_key_file),
            certificate_chain=_read(target.client_certificate_file),
        )


def _judge(error: grpc.RpcError) -> Outcome:
    # What is raised is an RpcError and a Call in one; the stubs know only the first, and only the second has a code.
    call = cast("grpc.Call", error)
    code, details = call.code(), call.details() or ""
    reason = in_words(f"gRPC {code.name}: {details}").rstrip(": ")
    return Outcome(verdict="retry" if code in _RETRYABLE else "refused", reason=reason)


def _read(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None
