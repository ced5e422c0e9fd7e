"""What an SLO counts, as a digest: old counts are read on exactly as long as it stays the same, over new versions too.

The digest is made of a text of the indicator. A field that a later version of sloburn adds to an indicator or a
condition is written only where it is not the default, so a new version begins no history anew that means what it meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass

from sloburn.slo.model import JourneyIndicator, Slo

# Fields with a default that the first stores wrote always; none may ever be added here.
_ALWAYS = {
    "Match": ("key",),
    "AllOf": ("parts",),
    "AnyOf": ("parts",),
    "MetricIndicator": ("bad", "threshold", "is_duration"),
}


def generation(slo: Slo, time_scale: int) -> str:
    """Return a digest of everything that an SLO says of what it counts, and in which slices."""
    return _digest((slo.service, slo.indicator, slo.group_by, time_scale))


def generations(slos: Mapping[str, Slo], time_scale: int) -> dict[str, str]:
    """Return a digest of everything that decides what each SLO counts, by name.

    A journey's slices are judged by what its members are, so another member's definition is another journey: what each
    member counts is a part of its digest, and the objective where that is the member's target. A weighted SLO counts
    nothing of its own: it reads its members' histories, whatever these are.
    """
    return {name: _whole(slo, slos, time_scale) for name, slo in slos.items()}


def earlier(slos: Mapping[str, Slo], time_scale: int) -> dict[tuple[str, str], str]:
    """Return today's digests by name and by the digest that the first stores wrote for the same, where that differs.

    Those told a journey by the names of its members alone.
    """
    today = generations(slos, time_scale)
    first = {name: generation(slo, time_scale) for name, slo in slos.items()}
    return {(name, digest): today[name] for name, digest in first.items() if digest != today[name]}


def _whole(slo: Slo, slos: Mapping[str, Slo], time_scale: int) -> str:
    own = (slo.service, slo.indicator, slo.group_by, time_scale)
    if not isinstance(slo.indicator, JourneyIndicator):
        return _digest(own)
    members = [slos[name] for name in slo.indicator.members]
    targets = tuple(slo.indicator.target or member.objective for member in members)
    return _digest((*own, tuple(_whole(member, slos, time_scale) for member in members), targets))


def _digest(value: object) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        parts = ", ".join(map(_text, value))
        return f"({parts},)" if len(value) == 1 else f"({parts})"
    if not is_dataclass(value):
        return repr(value)
    kind = type(value).__name__
    shown = (field for field in fields(value) if _is_shown(kind, field, getattr(value, field.name)))
    return f"{kind}({', '.join(f'{field.name}={_text(getattr(value, field.name))}' for field in shown)})"


def _is_shown(kind: str, field: Field[object], value: object) -> bool:
    if field.default is MISSING and field.default_factory is MISSING:
        return True
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return field.name in _ALWAYS.get(kind, ()) or value != default
