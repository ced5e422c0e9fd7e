"""The variables that OpenTelemetry reads by itself, some of them while it is imported.

Where one is misspelt it raises, or prints a traceback at every use. So all of them are read here first; one that makes
no sense is named in one line, and hidden from OpenTelemetry, which then does what it does without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager

from sloburn.sdk import values
from sloburn.sdk.limits import Pick

Reader = Callable[[object], object]

_SWITCH = {"true": True, "false": False}
# Who goes on to complain after the start: at every fork, for every tracer.
_COMPLAINTS = {
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "opentelemetry.sdk.resources",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "opentelemetry.sdk.environment_variables._internal",
}


def _registered(group: str, *known: str, is_list: bool = False) -> Reader:
    """Return a reader of names that installed packages have registered, or one of a list of them."""

    def read(raw: object) -> tuple[str, ...]:
        from importlib.metadata import entry_points  # most processes set none of these variables

        asked = [str(name).strip() for name in (str(raw).split(",") if is_list else [raw])]
        unknown = [name for name in asked if name.lower() not in known and not entry_points(group=group, name=name)]
        if unknown:
            names = sorted({*known, *entry_points(group=group).names} - {""})
            raise ValueError(f"{unknown[0][:60]!r} is not one of {', '.join(names)}")
        return tuple(asked)

    return read


def _only(wanted: str) -> Reader:
    """Return a reader of a choice of which only one is had here."""

    def read(raw: object) -> str:
        if str(raw).strip().lower() != wanted:
            raise ValueError(f"{str(raw)[:60]!r} has no effect: only {wanted} is sent")
        return wanted

    return read


# Beside these, `sloburn.sdk.environment` reads what OpenTelemetry's exporters and batch processors would read.
READERS: Mapping[str, Reader] = {
    "OTEL_PROPAGATORS": _registered("opentelemetry_propagator", "none", is_list=True),
    "OTEL_PYTHON_CONTEXT": _registered("opentelemetry_context"),
    "OTEL_PYTHON_TRACER_PROVIDER": _registered("opentelemetry_tracer_provider"),
    "OTEL_PYTHON_METER_PROVIDER": _registered("opentelemetry_meter_provider"),
    "OTEL_PYTHON_LOGGER_PROVIDER": _registered("opentelemetry_logger_provider"),
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": _registered("opentelemetry_resource_detector", "*", "", is_list=True),
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": values.one_of(_SWITCH),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": _only("cumulative"),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": _only("explicit_bucket_histogram"),
    # Without effect here: requests have OTEL_EXPORTER_OTLP_TIMEOUT, and spans and log records share one pace.
    "OTEL_BSP_EXPORT_TIMEOUT": values.milliseconds,
    "OTEL_METRIC_EXPORT_TIMEOUT": values.milliseconds,
    "OTEL_BLRP_EXPORT_TIMEOUT": values.milliseconds,
    "OTEL_BLRP_SCHEDULE_DELAY": values.milliseconds,
    "OTEL_BLRP_MAX_QUEUE_SIZE": values.count,
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": values.count,
}


def check(pick: Pick) -> None:
    """Read every variable that only OpenTelemetry uses, so that the ones that make no sense are known."""
    for name, read in READERS.items():
        pick(("", None), (name,), read, None)


@contextmanager
def hidden(environ: MutableMapping[str, str], names: Iterable[str]) -> Iterator[None]:
    """Hide variables for as long as OpenTelemetry is loaded and started; the host finds them again.

    Args:
        environ: The process's environment.
        names: What OpenTelemetry must not see.
    """
    taken = {name: environ.pop(name) for name in names if name in environ}
    try:
        yield
    finally:
        environ.update(taken)


def hush(environ: Mapping[str, str], names: Iterable[str]) -> None:
    """Drop what OpenTelemetry would say over and over again about variables that we have named once."""
    for name in names:
        if name in _COMPLAINTS and name in environ:
            logging.getLogger(_COMPLAINTS[name]).addFilter(_Unquoting(environ[name]))


class _Unquoting(logging.Filter):
    """Drops records that quote a misspelt value, or one of a list of them.

    Args:
        value: The value.
    """

    def __init__(self, value: str) -> None:
        super().__init__()
        self._quoted = tuple(repr(part) for part in {value, *map(str.strip, value.split(","))})

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is about something else."""
        return not any(quoted in record.getMessage() for quoted in self._quoted)
