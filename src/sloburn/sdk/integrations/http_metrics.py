"""The HTTP server metrics, with OpenTelemetry's stable names.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation

# The specification's boundaries and 0.3, where latency objectives like to stand: an objective must sit on a boundary.
DURATION_BOUNDARIES_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip


class HttpServerMetrics:
    """Durations of finished requests and the number of those in flight.

    Requests in flight are counted here and read by a callback: two calls into an instrument per request cost 17 us.

    Args:
        meter: Where the instruments are created.
        boundaries_seconds: Further bucket boundaries, where objectives stand.
    """

    def __init__(self, meter: Meter, boundaries_seconds: tuple[float, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._active: Counter[tuple[str, str]] = Counter()
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=sorted({*DURATION_BOUNDARIES_SECONDS, *boundaries_seconds}),
        )
        meter.create_observable_up_down_counter(
            "http.server.active_requests",
            [self._observe_active],
            unit="{request}",
            description="Number of active HTTP server requests.",
        )

    def begin(self, method: str, scheme: str) -> None:
        """Count a request as being in flight."""
        with self._lock:
            self._active[method, scheme] += 1

    def end(self, method: str, scheme: str) -> None:
        """Count a request as no longer in flight."""
        with self._lock:
            self._active[method, scheme] -= 1

    def record(self, seconds: float, attributes: Mapping[str, str | int], context: Context | None = None) -> None:
        """Record the duration of a finished request, in whose context its span is."""
        self._duration.record(seconds, attributes, context)

    def after_fork(self) -> None:
        """Forget the parent's requests in a forked child."""
        self._lock = threading.Lock()
        self._active.clear()

    def _observe_active(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002 - the API's signature
        with self._lock:
            counts = dict(self._active)
        for (method, scheme), count in counts.items():
            yield Observation(count, {"http.request.method": method, "url.scheme": scheme})
