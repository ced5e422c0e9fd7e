"""Instruments for what a business counts, made when they are first used.

They can be used before `init_telemetry`, where they do nothing, and live as soon as it has run; a host that set a
meter provider of its own gets them there.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import TypeVar, cast

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sloburn.sdk.cardinality import Label, LabelBounds

logger = logging.getLogger("sloburn")

_SCOPE = "sloburn.business"
_MOST_NAMES = 1000
Made = TypeVar("Made", bound=metrics.Instrument)

# From a cache's answer to a batch job; 0.3 s because latency objectives like to stand there.
DURATION_BOUNDARIES_SECONDS = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip


class Measures:
    """Makes instruments by name and keeps the values of their labels bounded."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[str, metrics.Instrument] = {}
        self._bounds: dict[str, LabelBounds] = {}
        self._meter: Meter | None = None
        self._has_complained = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def use(self, meter: Meter) -> None:
        """Make instruments on this meter from now on."""
        with self._lock:
            self._meter = meter
            self._made.clear()
        meter.create_observable_counter(
            "sloburn.labels.overflows",
            [self._observe_overflows],
            unit="{measurement}",
            description="Measurements whose label had too many values and was counted as __overflow__.",
        )

    def count(self, name: str, amount: float, labels: Mapping[str, Label], unit: str) -> None:
        """Add to a counter. Never raises."""
        try:
            counter = self._get(f"count {name}", lambda meter: meter.create_counter(name, unit, f"Number of {name}."))
            counter.add(amount, self.bounds(name).bound(labels))
        except Exception as error:
            self._complain(name, error)

    def set(self, name: str, value: float, labels: Mapping[str, Label], unit: str) -> None:
        """Set a gauge. Never raises."""
        try:
            gauge = self._get(f"gauge {name}", lambda meter: meter.create_gauge(name, unit, f"Value of {name}."))
            gauge.set(value, self.bounds(name).bound(labels))
        except Exception as error:
            self._complain(name, error)

    def record(self, name: str, seconds: float, labels: Mapping[str, Label]) -> None:
        """Record a run: one in the counter of its name, its duration in a histogram. Never raises."""
        try:
            attributes = self.bounds(name).bound(labels)
            self._get(f"runs {name}", lambda meter: _runs(meter, name)).add(1, attributes)
            self._get(f"duration {name}", lambda meter: _duration(meter, name)).record(seconds, attributes)
        except Exception as error:
            self._complain(name, error)

    def bounds(self, name: str) -> LabelBounds:
        """Return what bounds the labels of a metric."""
        found = self._bounds.get(name)
        if found is None:
            with self._lock:
                _refuse_more(self._bounds)
                found = self._bounds.setdefault(name, LabelBounds())
        return found

    def _get(self, key: str, make: Callable[[Meter], Made]) -> Made:
        found = self._made.get(key)
        if found is not None:
            # The key begins with what kind of instrument it is.
            return cast("Made", found)
        with self._lock:
            _refuse_more(self._made)
            made = make(self._meter or metrics.get_meter(_SCOPE))
            self._made[key] = made
            return made

    def _observe_overflows(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002 - the API's signature
        for name, bounds in list(self._bounds.items()):
            for label, count in list(bounds.overflows.items()):
                yield Observation(count, {"metric": name, "label": label})

    def _complain(self, name: str, error: Exception) -> None:
        """Say it once: what measures is called for every request."""
        if not self._has_complained:
            self._has_complained = True
            logger.warning("%s is not measured: %s: %s", name, type(error).__name__, error)

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        for bounds in self._bounds.values():
            bounds.after_fork()


def _refuse_more(known: Sized) -> None:
    if len(known) >= _MOST_NAMES:
        raise ValueError(f"there are {_MOST_NAMES} metrics already: a name must not hold values")


def _runs(meter: Meter, name: str) -> metrics.Counter:
    return meter.create_counter(name, "{run}", f"Runs of {name}, by outcome.")


def _duration(meter: Meter, name: str) -> metrics.Histogram:
    return meter.create_histogram(
        f"{name}.duration",
        unit="s",
        description=f"Duration of {name}.",
        explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES_SECONDS,
    )


MEASURES = Measures()
