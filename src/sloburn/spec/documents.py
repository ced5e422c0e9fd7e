"""Readers of whole documents: ``version`` and ``slos``."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sloburn.duration import DAY
from sloburn.slo.model import Period, Slo
from sloburn.spec.alerting import default_alerting, read_alerting
from sloburn.spec.cursor import Cursor
from sloburn.spec.exclusions import read_exclusions
from sloburn.spec.indicators import STAND_IN, read_indicator
from sloburn.spec.periods import read_period
from sloburn.spec.values import read_name, read_objective, read_text

VERSION = "sloburn/v1"

_SLO_KEYS = (
    "name",
    "service",
    "description",
    "runbook",
    "objective",
    "period",
    "group_by",
    "indicator",
    "alerting",
    "exclude",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An SLO and where its name is written.

    Args:
        slo: The SLO.
        at: The place.
    """

    slo: Slo
    at: Cursor


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
    return tuple(_read_slo(item) for item in at.items())


def _read_slo(at: Cursor) -> Placed:
    record = at.record(*_SLO_KEYS)
    objective = record.need("objective", read_objective, Fraction(1, 2), "99.9")
    period = record.need("period", read_period, Period(length_ns=30 * DAY), "30d")
    slo = Slo(
        name=record.need("name", read_name, "", "checkout-availability"),
        service=record.need("service", read_text, "", "checkout"),
        objective=objective,
        period=period,
        indicator=record.need("indicator", read_indicator, STAND_IN, "{spans: {kind: server}, bad: {status: error}}"),
        alerting=record.may(
            "alerting",
            lambda place: read_alerting(place, period, objective),
            default_alerting(period, objective),
        ),
        group_by=record.may("group_by", _read_group_by, ()),
        description=record.may("description", read_text, ""),
        runbook=record.may("runbook", read_text, ""),
        exclusions=record.may("exclude", read_exclusions, ()),
    )
    return Placed(slo=slo, at=record.fields.get("name", at))


def _read_group_by(at: Cursor) -> tuple[str, ...]:
    keys: list[str] = []
    for item in at.items():
        key = read_text(item)
        if key and key in keys:
            item.refuse(f"found {key} twice; expected each attribute once", None)
        keys.append(key)
    return tuple(keys)
