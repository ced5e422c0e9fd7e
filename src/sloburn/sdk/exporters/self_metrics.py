"""What the SDK knows about its own losses, as metrics: they arrive as soon as the Collector is back.

Names of the semantic conventions, so that any backend that knows the SDK's own internal metrics knows these.
https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sloburn.sdk.config import Signal
from sloburn.sdk.exporters.worker import SignalStatus

_NOUNS: dict[Signal, str] = {"traces": "span", "logs": "log", "metrics": "metric_data_point"}
_UNITS: dict[Signal, str] = {"traces": "{span}", "logs": "{log_record}", "metrics": "{data_point}"}
_COMPONENT = {"otel.component.type": "sloburn_exporter", "otel.component.name": "sloburn_exporter/0"}
# Why an item never became part of a request; everything else was lost on its way or in the receiver.
_LOST_BEFORE = frozenset({"queue_full", "not_encodable"})

Statuses = Callable[[], dict[Signal, SignalStatus]]


def measure_exports(meter: Meter, statuses: Statuses) -> None:
    """Create the instruments.

    Args:
        meter: Where they are created.
        statuses: Returns what became of each exported signal so far in this process.
    """
    for signal, noun in _NOUNS.items():
        meter.create_observable_counter(
            f"otel.sdk.exporter.{noun}.exported",
            [_exported(signal, statuses)],
            unit=_UNITS[signal],
            description="Items that were exported, or not, by error.",
        )
        if signal == "metrics":
            continue
        meter.create_observable_counter(
            f"otel.sdk.processor.{noun}.processed",
            [_processed(signal, statuses)],
            unit=_UNITS[signal],
            description="Items that were queued, or dropped, by error.",
        )
        meter.create_observable_up_down_counter(
            f"otel.sdk.processor.{noun}.queue.size",
            [_waiting(signal, statuses)],
            unit=_UNITS[signal],
            description="Items that wait to be exported.",
        )


Callback = Callable[[CallbackOptions], Iterable[Observation]]


def _exported(signal: Signal, statuses: Statuses) -> Callback:
    def observe(options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG001 - the API's signature
        status = statuses().get(signal)
        if status is None:
            return
        yield Observation(status.sent, _COMPONENT)
        for reason, count in status.lost.items():
            if reason not in _LOST_BEFORE:
                yield Observation(count, {**_COMPONENT, "error.type": reason})

    return observe


def _processed(signal: Signal, statuses: Statuses) -> Callback:
    def observe(options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG001 - the API's signature
        status = statuses().get(signal)
        if status is None:
            return
        lost_later = sum(count for reason, count in status.lost.items() if reason not in _LOST_BEFORE)
        yield Observation(status.sent + status.waiting + lost_later, _COMPONENT)
        for reason in _LOST_BEFORE & set(status.lost):
            yield Observation(status.lost[reason], {**_COMPONENT, "error.type": reason})

    return observe


def _waiting(signal: Signal, statuses: Statuses) -> Callback:
    def observe(options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG001 - the API's signature
        status = statuses().get(signal)
        if status is not None:
            yield Observation(status.waiting, _COMPONENT)

    return observe
