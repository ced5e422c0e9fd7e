"""A meter provider whose instruments feed OTLP and `/metrics` alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from opentelemetry import metrics
from opentelemetry.metrics import CallbackT
from opentelemetry.util.types import Attributes

from sloburn.sdk.meters import ForkSafeMeterProvider
from sloburn.sdk.prometheus.mirror import (
    Mirror,
    MirroredCounter,
    MirroredGauge,
    MirroredHistogram,
    MirroredUpDownCounter,
    Observer,
)
from sloburn.sdk.prometheus.series import DEFAULT_BOUNDARIES, Instrument, Kind

Shown = TypeVar("Shown", bound=metrics.Instrument)


class MirroredMeter(metrics.Meter):
    """Hands out the instruments of a meter together with their images.

    Args:
        real: The meter that feeds OTLP.
        name: Instrumentation scope.
        version: Its version.
        schema_url: The schema that its names follow.
        mirror: Who has the store.
    """

    def __init__(
        self, real: metrics.Meter, name: str, version: str | None, schema_url: str | None, mirror: Mirror
    ) -> None:
        super().__init__(name, version, schema_url)
        self._real = real
        self._mirror = mirror
        self._known: dict[tuple[bool, Instrument], metrics.Instrument] = {}
        # A signal handler may make an instrument while it interrupts the making of one.
        self._making = threading.RLock()

    def after_fork(self) -> None:
        """Forget a lock that a thread of the parent may have held."""
        self._making = threading.RLock()

    def create_counter(self, name: str, unit: str = "", description: str = "") -> metrics.Counter:
        """Create a counter, or return the one that exists."""
        about = self._about("counter", name, unit, description)
        make = self._real.create_counter
        return self._keep(about, lambda: MirroredCounter(make(name, unit, description), about, self._mirror))

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> metrics.UpDownCounter:
        """Create an up-down counter, or return the one that exists."""
        about = self._about("updown", name, unit, description)
        make = self._real.create_up_down_counter
        return self._keep(
            about,
            lambda: MirroredUpDownCounter(make(name, unit, description), about, self._mirror),
        )

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> metrics.Histogram:
        """Create a histogram, or return the one that exists."""
        advice = explicit_bucket_boundaries_advisory
        boundaries = tuple(float(bound) for bound in advice) if advice is not None else DEFAULT_BOUNDARIES
        about = self._about("histogram", name, unit, description, boundaries)

        def make() -> MirroredHistogram:
            real = self._real.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=advice)
            return MirroredHistogram(real, about, self._mirror)

        return self._keep(about, make)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> metrics._Gauge:
        """Create a gauge, or return the one that exists."""
        about = self._about("gauge", name, unit, description)
        make = self._real.create_gauge
        return self._keep(about, lambda: MirroredGauge(make(name, unit, description), about, self._mirror))

    def create_observable_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableCounter:
        """Create a counter that asks its callbacks, or return the one that exists."""
        about = self._about("counter", name, unit, description)
        make = self._real.create_observable_counter
        return self._keep(
            about, lambda: make(name, self._observe(callbacks, about), unit, description), is_observed=True
        )

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableGauge:
        """Create a gauge that asks its callbacks, or return the one that exists."""
        about = self._about("gauge", name, unit, description)
        make = self._real.create_observable_gauge
        return self._keep(
            about, lambda: make(name, self._observe(callbacks, about), unit, description), is_observed=True
        )

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableUpDownCounter:
        """Create an up-down counter that asks its callbacks, or return the one that exists."""
        about = self._about("updown", name, unit, description)
        make = self._real.create_observable_up_down_counter
        return self._keep(
            about, lambda: make(name, self._observe(callbacks, about), unit, description), is_observed=True
        )

    def _about(
        self, kind: Kind, name: str, unit: str, description: str, boundaries: tuple[float, ...] = ()
    ) -> Instrument:
        return Instrument(
            name=name,
            kind=kind,
            unit=unit or "",
            description=description or "",
            scope=self.name,
            scope_version=self.version or "",
            boundaries=boundaries,
        )

    def _keep(self, about: Instrument, make: Callable[[], Shown], *, is_observed: bool = False) -> Shown:
        """Return the instrument that exists; which class it is of follows from its kind and its way to be made."""
        key = (is_observed, about)
        with self._making:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = make()
            return cast("Shown", known)

    def _observe(self, callbacks: Sequence[CallbackT] | None, about: Instrument) -> list[CallbackT]:
        observers = [Observer(callback, about, self._mirror) for callback in callbacks or ()]
        self._mirror.observers += observers
        return list(observers)


class MirroredMeterProvider(metrics.MeterProvider):
    """Hands out the meters of a provider together with their images.

    Args:
        real: The provider that feeds OTLP.
        mirror: Who has the store.
    """

    def __init__(self, real: metrics.MeterProvider, mirror: Mirror) -> None:
        self.real = real
        self.mirror = mirror
        self._lock = threading.Lock()
        self._meters: dict[tuple[str, str | None, str | None, str], MirroredMeter] = {}

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> metrics.Meter:
        """Return the meter of an instrumentation scope."""
        key = (name, version, schema_url, repr(sorted(attributes.items())) if attributes else "")
        with self._lock:
            meter = self._meters.get(key)
            if meter is None:
                real = self.real.get_meter(name, version, schema_url, attributes)
                meter = self._meters[key] = MirroredMeter(real, name, version, schema_url, self.mirror)
            return meter

    def after_fork(self) -> None:
        """Start the instruments anew in a forked child."""
        self._lock = threading.Lock()
        for meter in list(self._meters.values()):
            meter.after_fork()
        if isinstance(self.real, ForkSafeMeterProvider):
            self.real.after_fork()
