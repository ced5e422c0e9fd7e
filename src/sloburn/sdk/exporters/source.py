"""Where request bodies come from: a bounded queue of finished items, or a reader asked for the current values."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from opentelemetry.sdk.metrics.export import Metric, MetricsData

from sloburn.sdk.exporters.metric_encoding import Refuse

logger = logging.getLogger("sloburn")

Item = TypeVar("Item")
Group = TypeVar("Group")

_MOST_QUEUE_BYTES = 32 * 2**20
# So many items are encoded as soon as they are there: waiting for more would make them old in the eyes of the garbage
# collector, whose full collections stop a server for 20 to 40 ms. Encoding them holds the interpreter lock for 1 ms.
_SLICE = 64
_MOST_NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request body that is ready to be sent.

    Args:
        body: The encoded message.
        items: How many spans, log records or data points it holds.
        is_replaceable: True when the next one says the same and more, as with cumulative metrics: losing it costs
            nothing.
    """

    body: bytes
    items: int
    is_replaceable: bool = False


class Source(Protocol):
    """What a worker drains."""

    @property
    def dropped(self) -> Counter[str]:
        """Items lost before they became part of a request, by reason."""
        ...

    def prepare(self) -> None:
        """Do what can be done before a request may be sent."""
        ...

    def is_batch_full(self) -> bool:
        """Tell whether a whole request is ready, so that it should not wait for the end of the interval."""
        ...

    def requests(self) -> Iterator[Request]:
        """Yield what has been waiting when the call was made, encoded."""
        ...

    def waiting(self) -> int:
        """Return how many items wait."""
        ...

    def after_fork(self) -> None:
        """Empty it: what waits belongs to the parent process, which will send it."""
        ...


class QueueSource(Generic[Item, Group]):
    """Holds finished items until they are sent; a full queue drops the newest and counts it.

    Adding takes no lock: it runs inside the host's requests, in signal handlers and between fork and exec. Items are
    encoded soon after, whether a request may be sent or not: bytes are small, their sum can be bounded, and the
    garbage collector, which would walk thousands of spans again and again, does not look at them.

    Args:
        encode: Makes bytes of one item.
        group_of: Says where they belong.
        assemble: Makes a request body of what `encode` made.
        max_queue_size: The most items that wait.
        max_batch_size: The most items in one request.
        max_queue_bytes: The most bytes that wait encoded.
    """

    def __init__(
        self,
        *,
        encode: Callable[[Item], bytes],
        group_of: Callable[[Item], Group],
        assemble: Callable[[Iterable[tuple[Group, bytes]]], bytes],
        max_queue_size: int,
        max_batch_size: int,
        max_queue_bytes: int = _MOST_QUEUE_BYTES,
    ) -> None:
        self._encode = encode
        self._group_of = group_of
        self._assemble = assemble
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._max_queue_bytes = max_queue_bytes
        self.wake: Callable[[], None] = threading.Event().set
        self._items: deque[Item]
        # Side by side and not in pairs: a tuple for each item would be something for the garbage collector again.
        self._groups: deque[Group]
        self._encoded: deque[bytes]
        self.after_fork()

    @property
    def dropped(self) -> Counter[str]:
        """Items lost before they became part of a request, by reason."""
        self._count_refused()
        return self._dropped

    def add(self, item: Item) -> None:
        """Keep an item for the next request, or drop it when the queue is full."""
        length = len(self._items)
        if length + len(self._encoded) >= self._max_queue_size:
            # Appending is atomic, adding one to a number is not: several threads of the host would lose counts.
            self._refused.append(None)
            return
        self._items.append(item)
        # Only the item that fills a slice wakes the worker, not each one after it.
        if length == self._first_wake:
            self.wake()

    def is_batch_full(self) -> bool:
        """Tell whether a whole request is ready."""
        return len(self._encoded) >= self._max_batch_size

    def prepare(self) -> None:
        """Encode what waits."""
        self._count_refused()
        for _ in range(len(self._items)):
            self._encode_one(self._items.popleft())

    def requests(self) -> Iterator[Request]:
        """Yield what has been waiting when the call was made, encoded."""
        self.prepare()
        left = len(self._encoded)
        while left > 0:
            count = min(left, self._max_batch_size)
            left -= count
            batch = [(self._groups.popleft(), self._encoded.popleft()) for _ in range(count)]
            self._bytes -= sum(len(encoded) for _, encoded in batch)
            yield Request(body=self._assemble(batch), items=count)

    def waiting(self) -> int:
        """Return how many items wait."""
        return len(self._items) + len(self._encoded)

    def after_fork(self) -> None:
        """Empty it: what waits belongs to the parent process, which will send it."""
        self._items = deque()
        self._groups = deque()
        self._encoded = deque()
        self._bytes = 0
        self._first_wake = min(_SLICE, self._max_batch_size) - 1
        self._dropped: Counter[str] = Counter()
        self._refused: deque[None] = deque()
        # A signal handler may ask how it goes while the thread that it interrupts does.
        self._folding = threading.RLock()

    def _count_refused(self) -> None:
        with self._folding:
            refused = len(self._refused)
            for _ in range(refused):
                self._refused.popleft()
            if refused:
                self._dropped["queue_full"] += refused

    def _drop(self, reason: str) -> None:
        """Count one under the lock of those who ask how it goes, from other threads: both add to the same number."""
        with self._folding:
            self._dropped[reason] += 1

    def _encode_one(self, item: Item) -> None:
        try:
            group, encoded = self._group_of(item), self._encode(item)
        except Exception:
            # What cannot be encoded costs itself, never its batch or the thread.
            self._drop("not_encodable")
            return
        if self._bytes + len(encoded) > self._max_queue_bytes:
            self._drop("queue_full")
            return
        self._bytes += len(encoded)
        self._groups.append(group)
        self._encoded.append(encoded)


class MetricSource:
    """Asks a metric reader for the current values, once per cycle.

    Args:
        read: Collects the metrics; None while there are none.
        encode: Makes a request body of them, without those that it refuses.
    """

    def __init__(
        self, *, read: Callable[[], MetricsData | None], encode: Callable[[MetricsData, Refuse], bytes]
    ) -> None:
        self._read = read
        self._encode = encode
        self._dropped: Counter[str] = Counter()
        self._named: set[str] = set()

    @property
    def dropped(self) -> Counter[str]:
        """Items lost before they became part of a request, by reason."""
        return self._dropped

    def prepare(self) -> None:
        """Do nothing: values are read when they can be sent."""

    def is_batch_full(self) -> bool:
        """Return False: values have time."""
        return False

    def requests(self) -> Iterator[Request]:
        """Yield the current values as one request."""
        try:
            metrics = self._read()
            if metrics is None or not metrics.resource_metrics:
                return
            refused: list[Metric] = []
            body = self._encode(metrics, lambda metric, error: self._refuse(metric, error, refused))
        except Exception as error:
            self._dropped["not_encodable"] += 1
            self._say("metrics", error)
            return
        scopes = [scope for part in metrics.resource_metrics for scope in part.scope_metrics]
        items = _points(metric for scope in scopes for metric in scope.metrics) - _points(refused)
        if items:
            yield Request(body=body, items=items, is_replaceable=True)

    def _refuse(self, metric: Metric, error: Exception, refused: list[Metric]) -> None:
        """Leave out a metric, whose values are lost in every cycle as long as it cannot be encoded."""
        self._dropped["not_encodable"] += len(metric.data.data_points)
        refused.append(metric)
        self._say(f"metric {metric.name}", error)

    def _say(self, what: str, error: Exception) -> None:
        """Say once what cannot be sent, up to a bound: a cycle is short."""
        if what in self._named or len(self._named) >= _MOST_NAMED:
            return
        self._named.add(what)
        logger.warning("%s cannot be encoded and is not sent: %s", what, type(error).__name__)

    def waiting(self) -> int:
        """Return 0: values stay in their instruments."""
        return 0

    def after_fork(self) -> None:
        """Count anew."""
        self._dropped = Counter()


def _points(metrics: Iterable[Metric]) -> int:
    return sum(len(metric.data.data_points) for metric in metrics)
