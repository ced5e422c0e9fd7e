"""Where trace and span ids come from: random ones, unless a test asks for others."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

Ids = Callable[[], int]


class IdSource(RandomIdGenerator):
    """Makes random ids until it is told to make others.

    What makes them is put over the methods of one object, so that a span costs no further call for it.
    """

    def use(self, trace_ids: Ids, span_ids: Ids) -> None:
        """Take ids from these functions from now on."""
        vars(self).update(generate_trace_id=trace_ids, generate_span_id=span_ids)

    def use_random(self) -> None:
        """Make random ids again."""
        vars(self).clear()


IDS = IdSource()
