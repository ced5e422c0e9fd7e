"""Instruments that show `/metrics` what they measure.

Every one stands in front of the instrument that feeds OTLP and goes on feeding it; it tells the store as well, when
there is one.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, CallbackT, Observation
from opentelemetry.util.types import Attributes

from sloburn.sdk.prometheus.series import Instrument, Places

if TYPE_CHECKING:
    from sloburn.sdk.prometheus.store import Store

Callback = Callable[[CallbackOptions], Iterable[Observation]]
Real = TypeVar("Real", bound=metrics.Instrument)


class Mirror:
    """Holds the store of the moment, if there is one, and what has to be asked before a scrape."""

    def __init__(self) -> None:
        self.store: Store | None = None
        self.observers: list[Observer] = []
        self.failures = 0

    def keep_in(self, store: Store | None) -> Store | None:
        """Keep what is measured from now on in another store.

        Returns:
            The one before.
        """
        before, self.store = self.store, None
        if before is not None:
            before.release()
        self.store = store
        return before

    def refresh(self) -> None:
        """Ask every callback for its values now; one that raises is counted and keeps its last ones."""
        options = CallbackOptions()
        for observer in list(self.observers):
            try:
                observer(options)
            except Exception:
                self.failures += 1


class _Mirrored(Generic[Real]):
    """An instrument and its image.

    Args:
        real: The instrument that feeds OTLP.
        instrument: What it is.
        mirror: Who has the store.
    """

    def __init__(self, real: Real, instrument: Instrument, mirror: Mirror) -> None:
        self.real = real
        self.instrument = instrument
        self.places: Places = {}
        self._mirror = mirror


class MirroredCounter(_Mirrored[metrics.Counter], metrics.Counter):
    """A counter and its image."""

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Add to it, here and there."""
        self.real.add(amount, attributes, context)
        store = self._mirror.store
        if store is None:
            return
        try:
            if not 0 <= amount < math.inf:
                return
            at = store.add(self, amount, attributes)
            store.keep_exemplar(self, at, 0, amount, context)
        except Exception:
            self._mirror.failures += 1


class MirroredUpDownCounter(_Mirrored[metrics.UpDownCounter], metrics.UpDownCounter):
    """A sum that may fall and its image."""

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Add to it, here and there."""
        self.real.add(amount, attributes, context)
        store = self._mirror.store
        if store is None:
            return
        try:
            if not math.isfinite(amount):
                return
            store.add(self, amount, attributes)
        except Exception:
            self._mirror.failures += 1


class MirroredHistogram(_Mirrored[metrics.Histogram], metrics.Histogram):
    """A histogram and its image."""

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record a value, here and there."""
        self.real.record(amount, attributes, context)
        store = self._mirror.store
        if store is None:
            return
        try:
            if not 0 <= amount < math.inf:
                return
            # A bucket holds values up to and with its bound, in OpenTelemetry and in Prometheus.
            bucket = bisect_left(self.instrument.boundaries, amount)
            at = store.record(self, amount, bucket, attributes)
            store.keep_exemplar(self, at, bucket, amount, context)
        except Exception:
            self._mirror.failures += 1


class MirroredGauge(_Mirrored[metrics._Gauge], metrics._Gauge):
    """A gauge and its image."""

    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Set it, here and there."""
        self.real.set(amount, attributes, context)
        store = self._mirror.store
        if store is None:
            return
        try:
            if not math.isfinite(amount):
                return
            store.set(self, amount, attributes)
        except Exception:
            self._mirror.failures += 1


class Observer:
    """A callback that tells the store what it reports.

    Args:
        callback: The host's.
        instrument: For which instrument.
        mirror: Who has the store.
    """

    def __init__(self, callback: CallbackT, instrument: Instrument, mirror: Mirror) -> None:
        self._callback = _as_function(callback)
        self.instrument = instrument
        self.places: Places = {}
        self._mirror = mirror
        self._reported: set[int] = set()
        self._reported_to: tuple[Store, int] | None = None

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        """Return what the callback reports."""
        observations = list(self._callback(options))
        store = self._mirror.store
        if store is not None:
            self._keep(store, observations)
        return observations

    def _keep(self, store: Store, observations: Sequence[Observation]) -> None:
        reported = {store.set(self, one.value, one.attributes) for one in observations if math.isfinite(one.value)} - {
            0
        }
        now = (store, store.generation)
        if self.instrument.kind != "counter" and self._reported_to == now:
            store.withdraw(self._reported - reported)
        self._reported, self._reported_to = reported, now


def _as_function(callback: CallbackT) -> Callback:
    """Return a callback as a function; the API takes generators too."""
    if not isinstance(callback, Generator):
        return callback
    lock, is_begun = threading.Lock(), False

    def ask(options: CallbackOptions) -> Iterable[Observation]:
        nonlocal is_begun
        with lock:
            answer = callback.send(options) if is_begun else next(callback)
            is_begun = True
            return answer

    return ask
