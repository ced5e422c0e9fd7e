"""A meter provider that survives a fork: instruments handed out before it keep working after it, from zero.

The SDK's own provider keeps the parent's totals in the child, so two processes that counted 5 and 1 report 11. Here
every instrument is a thin shell around the SDK's, and a forked child gets a new SDK provider under the same shells.
Only public API on both sides. https://github.com/apache/airflow/issues/73147
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackT
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import Attributes

from sloburn.sdk.histograms import Histograms

logger = logging.getLogger("sloburn")

Real = TypeVar("Real", bound=metrics.Instrument)
Front = Callable[[metrics.Histogram, tuple[str, str, str], Sequence[float] | None], metrics.Histogram]


class _Shell(Generic[Real]):
    """Holds the SDK's instrument and can get it anew from another meter.

    Args:
        make: Creates the instrument on a meter.
        meter: The meter of the moment.
    """

    def __init__(self, make: Callable[[metrics.Meter], Real], meter: metrics.Meter) -> None:
        self._make = make
        self.real = make(meter)

    def move_to(self, meter: metrics.Meter) -> None:
        """Create the instrument again on another meter and use that one from now on."""
        self.real = self._make(meter)


def _warn(error: Exception) -> None:
    """Say that the SDK cannot take a measurement: one of 10**400, or of text, must not stop the host's request."""
    logger.warning("a measurement was left out: %s", type(error).__name__)


class _Counter(_Shell[metrics.Counter], metrics.Counter):
    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        try:
            self.real.add(amount, attributes, context)
        except Exception as error:
            _warn(error)


class _UpDownCounter(_Shell[metrics.UpDownCounter], metrics.UpDownCounter):
    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        try:
            self.real.add(amount, attributes, context)
        except Exception as error:
            _warn(error)


class _Histogram(_Shell[metrics.Histogram], metrics.Histogram):
    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        self.real.record(amount, attributes, context)


class _Gauge(_Shell[metrics._Gauge], metrics._Gauge):
    # The API exports the synchronous gauge under this name only; it is stable in the specification.
    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        try:
            self.real.set(amount, attributes, context)
        except Exception as error:
            _warn(error)


class _ObservableCounter(_Shell[metrics.ObservableCounter], metrics.ObservableCounter):
    pass


class _ObservableUpDownCounter(_Shell[metrics.ObservableUpDownCounter], metrics.ObservableUpDownCounter):
    pass


class _ObservableGauge(_Shell[metrics.ObservableGauge], metrics.ObservableGauge):
    pass


AnyShell = (
    _Counter | _UpDownCounter | _Histogram | _Gauge | _ObservableCounter | _ObservableUpDownCounter | _ObservableGauge
)
ShellT = TypeVar("ShellT", bound=AnyShell)


class ForkSafeMeter(metrics.Meter):
    """Hands out instruments that can move to another SDK meter.

    Args:
        name: Instrumentation scope.
        version: Its version.
        schema_url: The schema that its names follow.
        get_real: Returns the SDK's meter for this scope.
        front: Puts a lean histogram in front of the SDK's.
    """

    def __init__(
        self,
        name: str,
        version: str | None,
        schema_url: str | None,
        get_real: Callable[[], metrics.Meter],
        front: Front,
    ) -> None:
        super().__init__(name, version, schema_url)
        self._get_real = get_real
        self._front = front
        self._real = get_real()
        self._shells: dict[tuple[str, str, str, str], AnyShell] = {}
        # A signal handler may make an instrument while it interrupts the making of one.
        self._making = threading.RLock()

    def after_fork(self) -> None:
        """Forget a lock that a thread of the parent may have held."""
        self._making = threading.RLock()

    def move(self) -> None:
        """Let every instrument start anew on the provider of the moment."""
        self._real = self._get_real()
        for shell in list(self._shells.values()):
            shell.move_to(self._real)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> metrics.Counter:
        """Create a counter, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics.Counter:
            return meter.create_counter(name, unit, description)

        return self._keep(_Counter, (name, unit, description), lambda: _Counter(make, self._real))

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> metrics.UpDownCounter:
        """Create an up-down counter, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics.UpDownCounter:
            return meter.create_up_down_counter(name, unit, description)

        return self._keep(_UpDownCounter, (name, unit, description), lambda: _UpDownCounter(make, self._real))

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> metrics.Histogram:
        """Create a histogram, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics.Histogram:
            advice = explicit_bucket_boundaries_advisory
            real = meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=advice)
            return self._front(real, (name, unit or "", description or ""), advice)

        return self._keep(_Histogram, (name, unit, description), lambda: _Histogram(make, self._real))

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> metrics._Gauge:
        """Create a gauge, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics._Gauge:
            return meter.create_gauge(name, unit, description)

        return self._keep(_Gauge, (name, unit, description), lambda: _Gauge(make, self._real))

    def create_observable_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableCounter:
        """Create a counter that asks its callbacks, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics.ObservableCounter:
            return meter.create_observable_counter(name, callbacks, unit, description)

        return self._keep(_ObservableCounter, (name, unit, description), lambda: _ObservableCounter(make, self._real))

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableGauge:
        """Create a gauge that asks its callbacks, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics.ObservableGauge:
            return meter.create_observable_gauge(name, callbacks, unit, description)

        return self._keep(_ObservableGauge, (name, unit, description), lambda: _ObservableGauge(make, self._real))

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableUpDownCounter:
        """Create an up-down counter that asks its callbacks, or return the one that exists."""

        def make(meter: metrics.Meter) -> metrics.ObservableUpDownCounter:
            return meter.create_observable_up_down_counter(name, callbacks, unit, description)

        return self._keep(
            _ObservableUpDownCounter, (name, unit, description), lambda: _ObservableUpDownCounter(make, self._real)
        )

    def _keep(self, kind: type[ShellT], names: tuple[str, str, str], build: Callable[[], ShellT]) -> ShellT:
        key = (kind.__name__, *names)
        with self._making:
            known = self._shells.get(key)
            if isinstance(known, kind):
                return known
            shell = build()
            self._shells[key] = shell
            return shell


class ForkSafeMeterProvider(metrics.MeterProvider):
    """Hands out meters of an SDK provider that can be replaced underneath them.

    Args:
        make: Creates the SDK's provider.
        histograms: Takes the histograms out of its hands.
    """

    def __init__(self, make: Callable[[], metrics.MeterProvider], histograms: Histograms) -> None:
        self._make = make
        self._histograms = histograms
        self._real = make()
        self._lock = threading.Lock()
        self._meters: dict[tuple[str, str | None, str | None, str], ForkSafeMeter] = {}

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> metrics.Meter:
        """Return the meter of an instrumentation scope."""
        key = (name, version, schema_url, repr(sorted(attributes.items())) if attributes else "")
        with self._lock:
            meter = self._meters.get(key)
            if meter is None:
                scope = InstrumentationScope(name, version, schema_url, attributes)
                meter = ForkSafeMeter(
                    name,
                    version,
                    schema_url,
                    lambda: self._real.get_meter(name, version, schema_url, attributes),
                    lambda real, about, advice: self._histograms.front(
                        real, scope=scope, about=about, boundaries=advice
                    ),
                )
                self._meters[key] = meter
            return meter

    def after_fork(self) -> None:
        """Replace the SDK's provider in a forked child: its counts and its locks belong to the parent."""
        self._lock = threading.Lock()
        for meter in list(self._meters.values()):
            meter.after_fork()
        self.renew()

    def renew(self) -> None:
        """Replace the SDK's provider: every instrument starts anew."""
        self._real = self._make()
        for meter in list(self._meters.values()):
            meter.move()
