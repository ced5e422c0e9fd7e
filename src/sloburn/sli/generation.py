"""What an SLO counts, as a digest: old counts are read on exactly as long as it stays the same, over new versions too.

The digest is made of a text of the indicator. A field that a later version of sloburn adds to an indicator or a
condition is written only where it is not the default, so a new version begins no history anew that means what it meant.
"""

from __future__ import annotations

import hashlib
from dataclasses import MISSING, Field, fields, is_dataclass

from sloburn.slo.model import Slo

# Fields with a default that the first stores wrote always; none may ever be added here.
_ALWAYS = {
    "Match": ("key",),
    "AllOf": ("parts",),
    "AnyOf": ("parts",),
    "MetricIndicator": ("bad", "threshold", "is_duration"),
}


def generation(slo: Slo, time_scale: int) -> str:
    """Return a digest of everything that decides what an SLO counts, and in which slices."""
    text = _text((slo.service, slo.indicator, slo.group_by, time_scale))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
