"""Readers of conditions: a mapping of fields to matchers, all of which must hold, with ``any``, ``all`` and ``not``."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum

from sloburn.slo.conditions import AllOf, AnyOf, Condition, Not
from sloburn.spec.cursor import Cursor
from sloburn.spec.matchers import (
    BODY,
    DURATION,
    EVENT,
    KIND,
    NAME,
    NOTHING,
    STATUS,
    Field,
    all_of,
    attribute,
    read_matcher,
)
from sloburn.spec.severity import read_severity

ATTRIBUTE_PREFIX = "attribute."


class Subject(StrEnum):
    """What a condition is about; the value is the word for people."""

    SPAN = "span"
    POINT = "data point"
    LOG = "log record"


def _reader(field: Field) -> Callable[[Cursor], Condition]:
    return lambda at: read_matcher(at, field)


_SPAN_FIELDS = {
    name: _reader(field) for name, field in (("status", STATUS), ("duration", DURATION), ("name", NAME), ("kind", KIND))
}
_LOG_FIELDS = {"severity": read_severity, "body": _reader(BODY), "event": _reader(EVENT)}
_FIELDS: dict[Subject, dict[str, Callable[[Cursor], Condition]]] = {
    Subject.SPAN: _SPAN_FIELDS,
    Subject.POINT: {},
    Subject.LOG: _LOG_FIELDS,
}


def read_condition(at: Cursor, subject: Subject) -> Condition:
    """Read a condition that says something."""
    if at.is_mapping and at.is_empty:
        return at.refuse(f"found an empty condition, which holds for every {subject}; name at least one field", NOTHING)
    return all_of(tuple(_read_entry(name, field, subject) for name, field in at.fields().items()))


def read_filter(at: Cursor, subject: Subject) -> Condition:
    """Read a condition that may be empty, which holds for everything."""
    return NOTHING if at.is_mapping and at.is_empty else read_condition(at, subject)


def _read_entry(name: str, at: Cursor, subject: Subject) -> Condition:
    match name:
        case "not":
            return Not(read_condition(at, subject))
        case "any":
            return AnyOf(_read_parts(at, subject))
        case "all":
            return AllOf(_read_parts(at, subject))
        case _:
            return _read_field(name, at, subject)


def _read_parts(at: Cursor, subject: Subject) -> tuple[Condition, ...]:
    if at.is_list and at.is_empty:
        return at.refuse("found an empty list; expected at least one condition", ())
    return tuple(read_condition(item, subject) for item in at.items())


def _read_field(name: str, at: Cursor, subject: Subject) -> Condition:
    if name.startswith(ATTRIBUTE_PREFIX):
        return read_matcher(at, attribute(name.removeprefix(ATTRIBUTE_PREFIX)))
    if name in _FIELDS[subject]:
        return _FIELDS[subject][name](at)
    if name in _SPAN_FIELDS:
        message = f"a {subject} has no {name}; for an attribute of that name write {ATTRIBUTE_PREFIX}{name}"
        return at.refuse(message, NOTHING)
    return read_matcher(at, attribute(name)) if not _is_misspelt(name, at, subject) else NOTHING


def _is_misspelt(name: str, at: Cursor, subject: Subject) -> bool:
    # Any word can be an attribute, but `stauts: error` would silently never hold.
    words = (*(_FIELDS[subject] or _SPAN_FIELDS), "any", "all", "not")
    close = get_close_matches(name, words, n=1, cutoff=0.8)
    if not close:
        return False
    message = f"did you mean {close[0]}? for an attribute of that name write {ATTRIBUTE_PREFIX}{name}"
    return at.refuse(message, stand_in=True)
