"""Choose the transport that a target asks for; only that one is imported."""

from __future__ import annotations

from sloburn.sdk.config import Signal, Target
from sloburn.sdk.exporters.sender import Sender


def make_sender(signal: Signal, target: Target) -> Sender:
    """Return the sender for a target; nothing is connected yet.

    Raises:
        ConfigError: The protocol needs a package that is not installed.
    """
    if target.protocol == "grpc":
        from sloburn.sdk.exporters.grpc_sender import GrpcSender

        return GrpcSender(signal=signal, target=target)
    if target.protocol == "memory":
        from sloburn.sdk.exporters.memory_sender import MemorySender

        return MemorySender()
    from sloburn.sdk.exporters.http_sender import HttpSender

    return HttpSender(target=target)
