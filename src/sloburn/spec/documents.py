"""Readers of whole documents: ``version`` and ``slos``."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sloburn.duration import DAY
from sloburn.slo.model import Period, Slo
from sloburn.spec.alerting import default_alerting, read_alerting
from sloburn.spec.cursor import Cursor, Record
from sloburn.spec.exclusions import read_exclusions
from sloburn.spec.fit import fit_slo
from sloburn.spec.kinds import STAND_IN, read_any_indicator, reads_others
from sloburn.spec.objectives import full_name, split_objectives
from sloburn.spec.periods import read_period
from sloburn.spec.values import read_name, read_objective, read_text

VERSION = "sloburn/v1"
MOST_COMPARED = 8
"""Attributes of one's own that the autopsy compares: each one multiplies what an event can look like."""


_INDICATOR = "{spans: {kind: server}, bad: {status: error}}"

_SLO_KEYS = (
    "name",
    "service",
    "description",
    "runbook",
    "objective",
    "objectives",
    "period",
    "group_by",
    "indicator",
    "slices",
    "alerting",
    "exclude",
    "autopsy",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An SLO and where its name is written.

    Args:
        slo: The SLO.
        at: The place.
        indicator_at: Where its indicator is written.
    """

    slo: Slo
    at: Cursor
    indicator_at: Cursor


def read_document(root: Cursor) -> tuple[Placed, ...]:
    """Read a document of the native form."""
    if not root.is_mapping:
        return root.expected(f"a mapping with `version: {VERSION}` and a list `slos`", ())
    if not _has_our_version(root):
        return ()
    record = root.record("version", "slos")
    return record.need("slos", _read_slos, (), "[{name: checkout-availability, ...}]")


def _has_our_version(root: Cursor) -> bool:
    fields = root.fields()
    if "version" in fields:
        found = fields["version"]
        right = found.is_scalar and found.node.value == VERSION
        return right or found.expected(f"{VERSION}{_kin(str(found.node.value))}", stand_in=False)
    other = _kin(str(fields["apiVersion"].node.value)) if "apiVersion" in fields else ""
    return root.refuse(f"missing key version; expected `version: {VERSION}`{other}", stand_in=False)


def _kin(version: str) -> str:
    kin = {"openslo/": "an OpenSLO", "prometheus/": "a Sloth", "sloth.slok.dev/": "a Sloth"}
    found = next((words for prefix, words in kin.items() if version.startswith(prefix)), None)
    return f" (this looks like {found} document, which is not read yet)" if found else ""


def _read_slos(at: Cursor) -> tuple[Placed, ...]:
    if at.is_list and at.is_empty:
        return at.refuse("found an empty list; expected at least one SLO", ())
    return tuple(placed for item in at.items() for placed in _read_entry(item))


def _read_entry(at: Cursor) -> tuple[Placed, ...]:
    """Read an SLO, or the SLOs that its several objectives become."""
    record = at.record(*_SLO_KEYS)
    if "objectives" in record:
        return tuple(_read_slo(own, suffix) for own, suffix in split_objectives(record))
    return (_read_slo(record),)


def _read_slo(record: Record, suffix: str = "") -> Placed:
    objective = record.need("objective", read_objective, Fraction(1, 2), "99.9")
    period = record.need("period", read_period, Period(length_ns=30 * DAY), "30d")
    slo = Slo(
        name=full_name(record, record.need("name", read_name, "", "checkout-availability"), suffix),
        service=_read_service(record),
        objective=objective,
        period=period,
        indicator=record.need("indicator", read_any_indicator, STAND_IN, _INDICATOR),
        alerting=record.may(
            "alerting",
            lambda place: read_alerting(place, period, objective, has_groups="group_by" in record),
            default_alerting(period, objective),
        ),
        group_by=record.may("group_by", _read_group_by, ()),
        description=record.may("description", read_text, ""),
        runbook=record.may("runbook", read_text, ""),
        exclusions=record.may("exclude", read_exclusions, ()),
        autopsy=record.may("autopsy", _read_autopsy, ()),
    )
    at = record.fields.get("name", record.at)
    return Placed(slo=fit_slo(record, slo), at=at, indicator_at=record.fields.get("indicator", at))


def _read_service(record: Record) -> str:
    if "indicator" in record and reads_others(record.fields["indicator"]):
        return record.may("service", read_text, "")
    return record.need("service", read_text, "", "checkout")


def _read_autopsy(at: Cursor) -> tuple[str, ...]:
    keys = _read_group_by(at)
    if len(keys) > MOST_COMPARED:
        return at.refuse(f"found {len(keys)} attributes; expected at most {MOST_COMPARED}", ())
    return keys


def _read_group_by(at: Cursor) -> tuple[str, ...]:
    keys: list[str] = []
    for item in at.items():
        key = read_text(item)
        if key and key in keys:
            item.refuse(f"found {key} twice; expected each attribute once", None)
        keys.append(key)
    return tuple(keys)
