"""A destination for tests: takes everything and keeps nothing."""

from __future__ import annotations

from sloburn.sdk.exporters.sender import Outcome


class MemorySender:
    """Takes every request."""

    def send(self, body: bytes, timeout_seconds: float) -> Outcome:  # noqa: ARG002 - a sender's signature
        """Take one request body."""
        return Outcome(verdict="taken")

    def forget_connection(self) -> None:
        """Do nothing: there is none."""

    def close(self) -> None:
        """Do nothing: there is no connection."""
