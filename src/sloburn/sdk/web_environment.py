"""Settle the settings of requests, of their histograms and of client libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from sloburn.errors import ConfigError
from sloburn.sdk import values
from sloburn.sdk.config import LIBRARIES, Arguments, WebSettings
from sloburn.sdk.slo_boundaries import slo_boundaries

Value = TypeVar("Value")


class Pick(Protocol):
    """Returns the first of argument and variables that is set and can be read, else the default."""

    def __call__(
        self, given: tuple[str, object], names: tuple[str, ...], read: Callable[[object], Value], default: Value
    ) -> Value:
        """Pick a value."""
        ...


def web_settings(pick: Pick, arguments: Arguments) -> WebSettings:
    """Settle how requests are observed."""
    nothing: tuple[float, ...] = ()
    boundaries = pick(
        ("histogram_boundaries", arguments.histogram_boundaries),
        ("SLOBURN_HISTOGRAM_BOUNDARIES",),
        values.boundaries,
        nothing,
    )
    of_slos = pick(("slo_files", arguments.slo_files), ("SLOBURN_SLOS",), _boundaries_of_files, nothing)
    return WebSettings(
        request_id_header=pick(
            ("request_id_header", arguments.request_id_header),
            ("SLOBURN_REQUEST_ID_HEADER",),
            values.header_name,
            "x-request-id",
        ),
        boundaries_seconds=tuple(sorted({*boundaries, *of_slos})),
        tightest_seconds=min(of_slos, default=None),
    )


def libraries(pick: Pick, arguments: Arguments) -> frozenset[str]:
    """Settle which client libraries are instrumented: all that are known, less what OpenTelemetry's variable names."""
    wanted = pick(("libraries", arguments.libraries), ("SLOBURN_LIBRARIES",), _libraries, default=LIBRARIES)
    unwanted: frozenset[str] = pick(
        ("", None), ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",), values.names, default=frozenset()
    )
    return wanted - unwanted


def _libraries(raw: object) -> frozenset[str]:
    if isinstance(raw, bool):
        return LIBRARIES if raw else frozenset()
    read = values.names(raw)
    if read in ({"none"}, {"off"}):
        return frozenset()
    if not read <= LIBRARIES:
        raise ValueError(f"{', '.join(sorted(read - LIBRARIES))} is not one of {', '.join(sorted(LIBRARIES))}")
    return read


def _boundaries_of_files(raw: object) -> tuple[float, ...]:
    paths = raw.replace(",", ":").split(":") if isinstance(raw, str) else raw
    if not isinstance(paths, Iterable):
        raise ValueError("is not a list of files")
    try:
        return slo_boundaries([str(path).strip() for path in paths if str(path).strip()])
    except ConfigError as error:
        raise ValueError(str(error)) from error
