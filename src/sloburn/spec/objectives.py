"""Readers of several objectives over one indicator: each becomes an SLO of its own, with all that they share.

A document with ``objectives`` says once what is counted. Events are judged once, however many objectives read them;
each objective has its own budget and alerts under the name ``<name of the SLO>-<name of the objective>``, which stays
the same when the number changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import yaml

from sloburn.spec.cursor import Cursor, Record
from sloburn.spec.values import LONGEST_NAME, read_name

_KEYS = ("name", "objective", "description", "runbook", "period", "alerting", "good", "bad")
_VERDICTS = ("good", "bad")


def split_objectives(record: Record) -> Iterator[tuple[Record, str]]:
    """Yield for each objective the SLO's fields with its own in their place, and the suffix of its name.

    Args:
        record: The fields of an SLO that has ``objectives``.
    """
    at = record.fields["objectives"]
    if "objective" in record:
        record.fields["objective"].refuse("found beside objectives; expected only one of the two", None)
    if at.is_list and at.is_empty:
        at.refuse("found an empty list; expected at least one objective, such as {name: strict, objective: 99.9}", None)
    names: set[str] = set()
    for item in at.items():
        own = item.record(*_KEYS)
        suffix = own.need("name", read_name, "", "strict")
        if suffix and suffix in names:
            own.fields["name"].refuse(f"found {suffix} twice; expected each name once", None)
        names.add(suffix)
        yield Record(at=item, fields=_merged(record, own)), suffix


def full_name(record: Record, name: str, suffix: str) -> str:
    """Return the name of the SLO that an objective becomes."""
    found = f"{name}-{suffix}" if suffix else name
    if len(found) > LONGEST_NAME:
        message = f"the name {found} has {len(found)} characters; expected at most {LONGEST_NAME} with its objective's"
        record.at.refuse(message, None)
    return found


def _merged(record: Record, own: Record) -> dict[str, Cursor]:
    shared = {key: value for key, value in record.fields.items() if key not in ("objectives", "objective")}
    mine = {key: value for key, value in own.fields.items() if key not in ("name", *_VERDICTS)}
    verdicts = {key: own.fields[key] for key in _VERDICTS if key in own}
    indicator = shared.get("indicator")
    if verdicts and indicator is not None:
        shared["indicator"] = _with_verdict(indicator, verdicts)
    return {**shared, **mine}


def _with_verdict(at: Cursor, verdicts: dict[str, Cursor]) -> Cursor:
    """Return the indicator with what this objective calls good or bad."""
    if not isinstance(at.node, yaml.MappingNode):
        return at
    keys = [
        yaml.ScalarNode("tag:yaml.org,2002:str", key, verdict.node.start_mark, verdict.node.end_mark)
        for key, verdict in verdicts.items()
    ]
    pairs = list(zip(keys, (verdict.node for verdict in verdicts.values()), strict=True))
    node = yaml.MappingNode(at.node.tag, [*at.node.value, *pairs], at.node.start_mark, at.node.end_mark)
    return replace(at, node=node)
