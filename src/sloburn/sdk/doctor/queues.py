"""What a Collector holds back, as its own metrics tell: the hop that fails is the one it holds telemetry for."""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUEUE = re.compile(r'^otelcol_exporter_queue_size(?:_total)?\{[^}]*exporter="([^"]+)"[^}]*\} ([0-9.e+]+)$')


def waiting(metrics: str, behind: str) -> Iterator[tuple[str, int]]:
    """Yield the exporters whose queue is not empty, each with what it holds: bytes, or what the queue is sized in.

    Args:
        metrics: The Collector's own metrics, in Prometheus' text format.
        behind: Part of the names of the exporters asked for, for instance ``jaeger``.
    """
    for line in metrics.splitlines():
        found = _QUEUE.match(line)
        if found and behind in found[1] and float(found[2]) > 0:
            yield found[1], int(float(found[2]))
