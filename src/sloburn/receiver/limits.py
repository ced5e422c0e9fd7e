"""How much a receiver takes: per request, and at one moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sloburn.errors import ConfigError, Overloaded

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one receiver.

    Args:
        max_body_bytes: Of one request, both before and after inflation; 64 MiB is what OTLP recommends.
        max_pending_bytes: Of all requests that are being read, inflated or committed; more are told to retry.
        read_seconds: How long one request body may take to arrive over HTTP.
    """

    max_body_bytes: int = 64 * MIB
    max_pending_bytes: int = 256 * MIB
    read_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_body_bytes", "max_pending_bytes", "read_seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: expected a number above 0, found {getattr(self, name)}")


class Pending:
    """Counts the bytes that a receiver holds, so that load is refused instead of growing memory.

    Args:
        max_bytes: The most that may be held at once.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()  # inflation counts from a worker thread

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    def hold(self) -> Hold:
        """Return an empty account for one request: a context manager that gives everything back."""
        return Hold(self)

    def take(self, count: int, own: int) -> None:
        """Hold so many bytes more for a request that holds `own`; one that is alone is always served.

        Raises:
            Overloaded: It would be more than may be held.
        """
        with self._lock:
            if self._held_bytes > own and self._held_bytes + count > self._max_bytes:
                raise Overloaded(f"the receiver holds {self._held_bytes} bytes of unfinished requests: try again later")
            self._held_bytes += count

    def give_back(self, count: int) -> None:
        """Hold so many bytes less."""
        with self._lock:
            self._held_bytes -= count


class Hold:
    """What one request holds of a `Pending`."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._bytes = 0
        self._open = True
        self._lock = threading.Lock()

    def grow(self, count: int) -> None:
        """Hold so many bytes more.

        Raises:
            Overloaded: The receiver is full, or the request was given up meanwhile.
        """
        with self._lock:
            if not self._open:
                raise Overloaded("the request was given up by its sender")
            self._pending.take(count, self._bytes)
            self._bytes += count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            self._pending.give_back(self._bytes)
