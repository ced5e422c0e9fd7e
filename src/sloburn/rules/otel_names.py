"""Names of OpenTelemetry metrics and attributes as Prometheus has them.

Source: "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification, as the Collector's prometheus
exporter does it with ``UnderscoreEscapingWithSuffixes``: unit and kind become suffixes, what is no letter, digit or
underscore becomes an underscore.
"""

from __future__ import annotations

import re
from fractions import Fraction

from sloburn.rules.promql import How, Matcher

_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_]")
_UNDERSCORES = re.compile(r"_+")

# UCUM units as they stand in names.
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "By": "bytes"}
_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}


def label_name(attribute: str) -> str:
    """Return the label of an attribute: ``http.route`` is ``http_route``."""
    name = _NOT_IN_LABELS.sub("_", attribute)
    return f"key_{name}" if name[:1].isdigit() else name


def metric_name(instrument: str, unit: str = "") -> str:
    """Return the name of a metric without the suffix of its kind.

    Args:
        instrument: Its OpenTelemetry name.
        unit: Its UCUM unit; units that nobody knows here, such as ``{request}``, leave no trace.
    """
    name = _UNDERSCORES.sub("_", _NOT_IN_LABELS.sub("_", instrument)).strip("_")
    suffix = _UNITS.get(unit, "")
    return f"{name}_{suffix}" if suffix and not name.endswith(suffix) else name


def per_second(metric: str) -> int:
    """Return how many of a metric's units make a second, by the end of its name; 1 where it names no unit of time."""
    return next((count for unit, count in _PER_SECOND.items() if metric.endswith(f"_{unit}")), 1)


def le_matcher(bound: Fraction) -> Matcher:
    r"""Return the matcher of a bucket's bound.

    A whole bound is ``1`` in the text format and ``1.0`` in OpenMetrics and in Prometheus 3; both are meant.
    """
    if bound.denominator == 1:
        return Matcher("le", How.MATCHES, rf"{bound.numerator}(\.0)?")
    return Matcher("le", How.EQUAL, repr(float(bound)))
