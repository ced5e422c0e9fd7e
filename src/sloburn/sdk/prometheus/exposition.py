"""Write series as text for Prometheus: the format of old, and OpenMetrics 1.0, which carries exemplars and units.

https://prometheus.io/docs/instrumenting/exposition_formats/
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

from sloburn.sdk.prometheus.merge import merge
from sloburn.sdk.prometheus.naming import family_name, labels, unit_name
from sloburn.sdk.prometheus.series import Exemplar, Instrument, Kind, Series, Value

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_TYPES: dict[Kind, str] = {"counter": "counter", "histogram": "histogram", "gauge": "gauge", "updown": "gauge"}
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How text is written.

    Args:
        is_openmetrics: OpenMetrics instead of the format of old.
        has_scope: Whether every series names the instrumentation scope that it comes from.
    """

    is_openmetrics: bool = False
    has_scope: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """All series of one name."""

    name: str
    kind: str
    unit: str
    description: str
    series: tuple[Series, ...]


def expose(series: Iterable[Series], resource: Mapping[str, Value], style: Style) -> str:
    """Write series and the resource that they belong to.

    Args:
        series: Merged, in any order.
        resource: What describes the service; becomes ``target_info``.
        style: How.

    Returns:
        The whole answer.
    """
    lines = [*_target(resource, style)]
    for family in families(series, style):
        lines += _header(family, style)
        for part in family.series:
            lines += _samples(family, part, style)
    return "\n".join([*lines, *(["# EOF"] if style.is_openmetrics else [])]) + "\n"


def families(series: Iterable[Series], style: Style) -> list[Family]:
    """Group series by name, in the order of names.

    Of instruments with the same name and different types the first one is shown: one name has one type.
    """
    groups: dict[str, list[Series]] = {}
    for part in series if style.has_scope else merge(_without_scope(part) for part in series):
        group = groups.setdefault(family_name(part.instrument), [])
        if not group or _TYPES[group[0].instrument.kind] == _TYPES[part.instrument.kind]:
            group.append(part)
    return [_family(name, tuple(group)) for name, group in sorted(groups.items())]


def _without_scope(part: Series) -> Series:
    return replace(part, instrument=replace(part.instrument, scope="", scope_version=""))


def _family(name: str, series: tuple[Series, ...]) -> Family:
    first = series[0].instrument
    unit = unit_name(first)
    return Family(
        name=name,
        kind=_TYPES[first.kind],
        unit=unit if name.endswith(f"_{unit}") else "",
        description=first.description,
        series=series,
    )


def _header(family: Family, style: Style) -> Iterator[str]:
    is_plain_counter = family.kind == "counter" and not style.is_openmetrics
    name = f"{family.name}_total" if is_plain_counter else family.name
    if family.description:
        escapes = _ESCAPES if style.is_openmetrics else _HELP_ESCAPES
        yield f"# HELP {name} {family.description.translate(escapes)}"
    yield f"# TYPE {name} {family.kind}"
    if family.unit and style.is_openmetrics:
        yield f"# UNIT {name} {family.unit}"


def _samples(family: Family, part: Series, style: Style) -> Iterator[str]:
    pairs = labels(part.attributes) | (_scope(part.instrument) if style.has_scope else {})
    if family.kind == "counter":
        exemplar = _exemplar(part.exemplars.get(0), style)
        yield f"{family.name}_total{_braces(pairs)} {_number(part.value)}{exemplar}"
    elif family.kind == "gauge":
        yield f"{family.name}{_braces(pairs)} {_number(part.value)}"
    else:
        yield from _buckets(family.name, part, pairs, style)


def _buckets(name: str, part: Series, pairs: Mapping[str, str], style: Style) -> Iterator[str]:
    bounds = [*(_bound(bound, style) for bound in part.instrument.boundaries), "+Inf"]
    totals = list(accumulate(part.counts))
    for number, (bound, total) in enumerate(zip(bounds, totals, strict=True)):
        exemplar = _exemplar(part.exemplars.get(number), style)
        yield f"{name}_bucket{_braces({**pairs, 'le': bound})} {total}{exemplar}"
    yield f"{name}_count{_braces(pairs)} {totals[-1]}"
    yield f"{name}_sum{_braces(pairs)} {_number(part.value)}"


def _target(resource: Mapping[str, Value], style: Style) -> Iterator[str]:
    if not resource:
        return
    yield f"# HELP {'target' if style.is_openmetrics else 'target_info'} What is measured here."
    yield "# TYPE target info" if style.is_openmetrics else "# TYPE target_info gauge"
    yield f"target_info{_braces(labels(sorted(resource.items())))} 1"


def _scope(instrument: Instrument) -> dict[str, str]:
    found = {"otel_scope_name": instrument.scope, "otel_scope_version": instrument.scope_version}
    return {name: value for name, value in found.items() if value}


def _exemplar(exemplar: Exemplar | None, style: Style) -> str:
    if exemplar is None or not style.is_openmetrics:
        return ""
    ids = f'trace_id="{exemplar.trace_id}",span_id="{exemplar.span_id}"'
    return f" # {{{ids}}} {_number(exemplar.value)} {exemplar.unix_nano / 1e9:.3f}"


def _braces(pairs: Mapping[str, str]) -> str:
    if not pairs:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs.items()) + "}"


def _bound(bound: float, style: Style) -> str:
    """Write a bucket's bound; OpenMetrics wants 1.0 where people write 1."""
    return repr(bound) if style.is_openmetrics else f"{bound:g}" if float(f"{bound:g}") == bound else repr(bound)


def _number(value: Fraction | float) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
