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
        max_pending_bytes: Of all requests that are being read, inflated or committed; more are told to retry, and a
            sender that fills it alone before the others are.
        read_seconds: How long one request body may take to arrive over HTTP.
    """

    max_body_bytes: int = 64 * MIB
    max_pending_bytes: int = 256 * MIB
    read_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_body_bytes", "max_pending_bytes", "read_seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: expected a number above 0, found {getattr(self, name)}")


_SHARE = 3  # of one sender, as a multiple of what stays free: alone it gets three quarters, of two each gets 3/7


class Pending:
    """Counts the bytes that a receiver holds, so that load is refused instead of growing memory.

    A sender with several requests may hold at most three times what is free then (dynamic thresholds: Choudhury and
    Hahne, IEEE/ACM Transactions on Networking 6, 1998): however much it sends, there is room for the others.

    Args:
        max_bytes: The most that may be held at once.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._by_sender: dict[str, int] = {}
        self._lock = threading.Lock()  # inflation counts from a worker thread

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    def hold(self, sender: str = "") -> Hold:
        """Return an empty account for one request of a sender: a context manager that gives everything back."""
        return Hold(self, sender)

    def take(self, count: int, own: int, sender: str = "") -> None:
        """Hold so many bytes more for a request that holds `own`; one that is alone is always served.

        Raises:
            Overloaded: It would be more than may be held, at all or by this sender.
        """
        with self._lock:
            self.check(count, own, sender)
            self._held_bytes += count
            self._by_sender[sender] = self._by_sender.get(sender, 0) + count

    def check(self, count: int, own: int, sender: str) -> None:
        """Raise what `take` would raise now; nothing is held.

        Raises:
            Overloaded: It would be more than may be held, at all or by this sender.
        """
        held, by_sender = self._held_bytes, self._by_sender.get(sender, 0)
        if held > own and held + count > self._max_bytes:
            raise Overloaded(f"the receiver holds {held} bytes of unfinished requests: try again later")
        if by_sender > own and by_sender + count > _SHARE * (self._max_bytes - held):
            raise Overloaded(
                f"{by_sender} of the {held} bytes of unfinished requests are this sender's: try again later"
            )

    def give_back(self, count: int, sender: str = "") -> None:
        """Hold so many bytes less."""
        with self._lock:
            self._held_bytes -= count
            left = self._by_sender.get(sender, 0) - count
            if left > 0:
                self._by_sender[sender] = left
            else:
                self._by_sender.pop(sender, None)


class Hold:
    """What one request holds of a `Pending`.

    Args:
        pending: Of what.
        sender: Whose request it is: its address.
    """

    def __init__(self, pending: Pending, sender: str = "") -> None:
        self._pending = pending
        self.sender = sender
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
            self._pending.take(count, self._bytes, self.sender)
            self._bytes += count

    def expect(self, count: int) -> None:
        """Refuse a request of so many bytes before they are read, if there is no room for them now.

        Room is not kept: who announces much and sends nothing must not take it from others.

        Raises:
            Overloaded: The receiver is full.
        """
        self._pending.check(count, self._bytes, self.sender)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            self._pending.give_back(self._bytes, self.sender)
