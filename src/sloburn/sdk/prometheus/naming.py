"""Names and units by the rules from OpenTelemetry to Prometheus.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable

from sloburn.sdk.prometheus.series import Instrument, Value

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "%": "percent",
}  # fmt: skip
_PER_UNITS = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month"}


def family_name(instrument: Instrument) -> str:
    """Return the name of a metric family, with its unit, without ``_total``."""
    name = _clean(instrument.name, allowed="a-zA-Z0-9_:").removesuffix("_total")
    unit = unit_name(instrument)
    if not unit or unit in name.split("_") or name.endswith(f"_{unit}"):
        return name
    return f"{name}_{unit}"


@functools.lru_cache(maxsize=4096)
def unit_name(instrument: Instrument) -> str:
    """Return a unit in words, empty when a name has none: annotations are dropped, 1 is a ratio for gauges only."""
    unit = re.sub(r"\{[^}]*\}", "", instrument.unit).strip()
    if unit == "1":
        return "ratio" if instrument.kind == "gauge" else ""
    above, slash, below = unit.partition("/")
    words = _UNITS.get(above, _clean(above)) if above else ""
    if slash and below:
        words = f"{words}_per_{_PER_UNITS.get(below, _clean(below))}".lstrip("_")
    return words.strip("_")


def labels(pairs: Iterable[tuple[str, Value]]) -> dict[str, str]:
    """Return attributes as labels; the values of names that become the same are joined by a semicolon."""
    found: dict[str, str] = {}
    for name, value in pairs:
        clean = label_name(name)
        found[clean] = f"{found[clean]};{_text(value)}" if clean in found else _text(value)
    return found


@functools.lru_cache(maxsize=4096)
def label_name(name: str) -> str:
    """Return an attribute's name as a label."""
    return _clean(name)


def _clean(name: str, allowed: str = "a-zA-Z0-9_") -> str:
    clean = re.sub(r"_{2,}", "_", re.sub(f"[^{allowed}]", "_", name))
    return f"_{clean}" if clean[:1].isdigit() else clean


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
