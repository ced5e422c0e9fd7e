"""What a Celery message says about its task: who published it, when, for when, and from which trace.

Celery shows a message in three shapes (a task's request, the worker's request, a bare message); here they are one
mapping of headers, because that is what all three hold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opentelemetry import baggage, context, propagate
from opentelemetry.context import Context

from sloburn.sdk.log_context import REQUEST_ID_BAGGAGE

# Message headers of ours. Numbers travel as text: not every broker carries 64 bits.
PUBLISHED = "sloburn_published_unix_nano"
BEAT_ENTRY = "sloburn_beat_entry"
# Where the scheduler says which entry it publishes.
BEAT_ENTRY_KEY = context.create_key("sloburn-beat-entry")

# Celery is not typed: tasks, requests and the arguments of its signals are of any type.
Task = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A task's message.

    Args:
        task_name: The task's name.
        task_id: The task's id.
        queue: The routing key, which is the queue's name with Celery's default exchange.
        retries: How many times it was tried before.
        is_redelivered: Whether the broker has delivered it before.
        is_eager: Whether it never was in a queue.
        beat_entry: Which entry of the schedule published it; empty when none did.
        headers: All that came with it.
    """

    task_name: str
    task_id: str
    queue: str
    retries: int
    is_redelivered: bool
    is_eager: bool
    beat_entry: str
    headers: Mapping[str, Any]

    def parent(self) -> Context:
        """Return the publisher's context; of an eager task the present one."""
        found = {name: self.headers.get(name) for name in propagate.get_global_textmap().fields}
        carrier = {name: value for name, value in found.items() if isinstance(value, str)}
        # What a worker's thread has left over from before is nobody's parent.
        return propagate.extract(carrier, context=context.get_current() if self.is_eager else Context())

    def queue_seconds(self, now_unix_nano: int) -> float | None:
        """Return how long it waited after it could have run; None when nobody can know.

        Waiting for an ETA is on purpose and does not count, and what was delivered before has already run or tried to.
        """
        published = self.headers.get(PUBLISHED)
        if self.is_redelivered or not isinstance(published, str) or not published.isdigit():
            return None
        ready = max(int(published), _eta_unix_nano(self.headers.get("eta")))
        return max(0, now_unix_nano - ready) / 1e9


def message_of(headers: Mapping[str, Any], *, task_name: str = "", task_id: str = "") -> Message:
    """Read a message from its headers.

    Args:
        headers: Celery's and ours, flat or with ours under ``headers``.
        task_name: Wins over what the headers say.
        task_id: Wins over what the headers say.
    """
    nested = headers.get("headers")
    merged = {**headers, **nested} if isinstance(nested, dict) else dict(headers)
    delivery = merged.get("delivery_info") or {}
    return Message(
        task_name=task_name or str(merged.get("task") or "unknown"),
        task_id=task_id or str(merged.get("id") or ""),
        queue=str(delivery.get("routing_key") or ""),
        retries=int(merged.get("retries") or 0),
        is_redelivered=bool(delivery.get("redelivered")),
        is_eager=bool(merged.get("is_eager")),
        beat_entry=str(merged.get(BEAT_ENTRY) or ""),
        headers=merged,
    )


def stamp(headers: MutableMapping[str, Any]) -> None:
    """Write the present trace, baggage and time into a message that is about to be published.

    A retry is published with the headers of the attempt before it: what is stale is overwritten.
    """
    propagate.inject(headers)
    headers[PUBLISHED] = str(time.time_ns())
    entry = context.get_value(BEAT_ENTRY_KEY)
    if isinstance(entry, str):
        headers[BEAT_ENTRY] = entry


def request_id_of(where: Context | None = None) -> dict[str, str]:
    """Return the correlation id of the request that all this began with, as a span attribute."""
    found = baggage.get_baggage(REQUEST_ID_BAGGAGE, where)
    return {REQUEST_ID_BAGGAGE: str(found)} if found else {}


def _eta_unix_nano(eta: object) -> int:
    """Return an ETA in nanoseconds since the epoch, 0 when there is none. Celery writes UTC where it writes no zone."""
    if not isinstance(eta, str):
        return 0
    try:
        when = datetime.fromisoformat(eta)
    except ValueError:
        return 0
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1e9)
