"""What the Collector's span_metrics connector makes of spans: read from its configuration, or as ours has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from sloburn.duration import SECOND, parse_duration
from sloburn.errors import ConfigError
from sloburn.rules.otel_names import metric_name

CONNECTOR = "span_metrics"
DEFAULT_NAMESPACE = "traces.span.metrics"


_REFERENCE = re.compile(r"\$\{env:\w+:-(.*?)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanMetrics:
    """The metrics of spans.

    Args:
        calls: Name of the counter of spans.
        duration: Name of the histogram of durations, without ``_bucket`` and ``_count``.
        buckets: Its bounds in seconds; None where they are exponential.
        dimensions: The attributes that become labels.
    """

    calls: str
    duration: str
    buckets: frozenset[Fraction] | None
    dimensions: frozenset[str]


def _names(namespace: str, unit: str) -> tuple[str, str]:
    calls = f"{metric_name(f'{namespace}.calls')}_total"
    return calls, metric_name(f"{namespace}.duration", unit)


# As otel-collector.yaml configures it; a test holds the two together.
_CALLS, _DURATION = _names(DEFAULT_NAMESPACE, "s")
OURS = SpanMetrics(
    calls=_CALLS,
    duration=_DURATION,
    buckets=frozenset(
        Fraction(ms, 1000) for ms in (5, 10, 25, 50, 75, 100, 250, 300, 500, 750, 1000, 2500, 5000, 7500, 10000)
    ),
    dimensions=frozenset({"http.route", "http.request.method", "http.response.status_code", "rpc.method"}),
)


def read_span_metrics(file: Path) -> SpanMetrics:
    """Read what a Collector's configuration says of its span_metrics connector.

    Raises:
        ConfigError: The file cannot be read, or has no such connector.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"--collector {file}: cannot be read: {error}") from error
    connectors = (document.get("connectors") if isinstance(document, Mapping) else None) or {}
    names = [name for name in connectors if str(name).split("/")[0] in (CONNECTOR, "spanmetrics")]
    if len(names) != 1:
        raise ConfigError(f"--collector {file}: found {len(names)} {CONNECTOR} connectors; expected one")
    try:
        return _read(connectors[names[0]] or {})
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise ConfigError(f"--collector {file}: connectors.{names[0]} is not understood: {error}") from error


def _read(settings: Mapping[str, Any]) -> SpanMetrics:
    histogram = settings.get("histogram") or {}
    explicit = histogram.get("explicit") or {}
    bounds = explicit.get("buckets")
    calls, duration = _names(_plain(settings.get("namespace", DEFAULT_NAMESPACE)), _plain(histogram.get("unit", "ms")))
    return SpanMetrics(
        calls=calls,
        duration=duration,
        buckets=None if bounds is None else frozenset(Fraction(parse_duration(_plain(it)), SECOND) for it in bounds),
        dimensions=frozenset(_plain(dimension["name"]) for dimension in settings.get("dimensions") or ()),
    )


def _plain(value: object) -> str:
    return _REFERENCE.sub(r"\1", str(value))
