"""Where request bodies come from: a bounded queue of finished items, or a reader asked for the current values."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from opentelemetry.sdk.metrics.export import MetricsData

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request body that is ready to be sent.

    Args:
        body: The encoded message.
        items: How many spans, log records or metrics it holds.
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

    def requests(self) -> Iterator[Request]:
        """Yield what has been waiting when the call was made, encoded."""
        ...

    def waiting(self) -> int:
        """Return how many items wait."""
        ...

    def after_fork(self) -> None:
        """Empty it: what waits belongs to the parent process, which will send it."""
        ...


class QueueSource(Generic[Item]):
    """Holds finished items until they are sent; a full queue drops the newest and counts it.

    Adding takes no lock: it runs inside the host's requests, in signal handlers and between fork and exec.

    Args:
        encode: Makes a request body of items.
        max_queue_size: The most items that wait.
        max_batch_size: The most items in one request.
    """

    def __init__(self, *, encode: Callable[[Sequence[Item]], bytes], max_queue_size: int, max_batch_size: int) -> None:
        self._encode = encode
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._items: deque[Item] = deque()
        self._dropped: Counter[str] = Counter()
        self.wake: Callable[[], None] = threading.Event().set

    @property
    def dropped(self) -> Counter[str]:
        """Items lost before they became part of a request, by reason."""
        return self._dropped

    def add(self, item: Item) -> None:
        """Keep an item for the next request, or drop it when the queue is full."""
        length = len(self._items)
        if length >= self._max_queue_size:
            self._dropped["queue_full"] += 1
            return
        self._items.append(item)
        # Only the item that fills a batch wakes the worker: with a dead Collector each one would.
        if length + 1 == self._max_batch_size:
            self.wake()

    def requests(self) -> Iterator[Request]:
        """Yield what has been waiting when the call was made, encoded."""
        left = len(self._items)
        while left > 0:
            batch = self._take(min(left, self._max_batch_size))
            left -= self._max_batch_size
            try:
                body = self._encode(batch)
            except Exception:
                # One attribute that cannot be encoded costs its batch, never the thread.
                self._dropped["not_encodable"] += len(batch)
                continue
            yield Request(body=body, items=len(batch))

    def waiting(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def after_fork(self) -> None:
        """Empty it: what waits belongs to the parent process, which will send it."""
        self._items = deque()
        self._dropped = Counter()

    def _take(self, count: int) -> list[Item]:
        items = self._items
        return [items.popleft() for _ in range(min(count, len(items)))]


class MetricSource:
    """Asks a metric reader for the current values, once per cycle.

    Args:
        read: Collects the metrics; None while there are none.
        encode: Makes a request body of them.
    """

    def __init__(self, *, read: Callable[[], MetricsData | None], encode: Callable[[MetricsData], bytes]) -> None:
        self._read = read
        self._encode = encode
        self._dropped: Counter[str] = Counter()

    @property
    def dropped(self) -> Counter[str]:
        """Items lost before they became part of a request, by reason."""
        return self._dropped

    def requests(self) -> Iterator[Request]:
        """Yield the current values as one request."""
        try:
            metrics = self._read()
            if metrics is None or not metrics.resource_metrics:
                return
            body = self._encode(metrics)
        except Exception:
            self._dropped["not_encodable"] += 1
            return
        items = sum(len(scope.metrics) for part in metrics.resource_metrics for scope in part.scope_metrics)
        yield Request(body=body, items=items, is_replaceable=True)

    def waiting(self) -> int:
        """Return 0: values stay in their instruments."""
        return 0

    def after_fork(self) -> None:
        """Count anew."""
        self._dropped = Counter()
