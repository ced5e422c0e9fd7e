"""Keep secrets out of what leaves the process: logs, span attributes, baggage, health output, audit records.

One pass does two things, because both walk the same values: it turns them into what JSON and OTLP can carry, and it
replaces secrets. A typical event costs 1-2 us (`bench/log_line.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from operator import is_
from typing import TypeVar, cast

from sloburn.sdk.redaction_rules import Sensitivity, is_card_number, may_hold_secret, replace_secrets, sensitivity

REDACTED = "[redacted]"
# What one value may cost: longer text is cut, as what was not searched must not leave; deeper values become text.
_LONGEST_TEXT = 65_536
_DEEPEST = 5
_MOST_ITEMS = 1000
_MOST_KNOWN = 4096
_LEAST_INT, _MOST_INT = -(2**63), 2**63
# Whole numbers below have fewer digits than any payment card.
_LARGE = 10**12

Attribute = TypeVar("Attribute")
Path = tuple[str | int, ...]
Container = Mapping[object, object] | list[object] | tuple[object, ...] | set[object] | frozenset[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionMatch:
    """Something that is about to be redacted.

    Args:
        path: Where it stands, for instance ``("user", "password")``.
        value: The field's value, or the part of a text that was found.
        rule: What found it: ``key``, ``pattern``, ``card``, ``jwt``, ``aws key``, ``private key``, ``token``, ``url``,
            ``header``, ``authorization``, ``field``.
    """

    path: Path
    value: object
    rule: str


# Returns what is written instead; None redacts.
RedactionCallback = Callable[[RedactionMatch], object | None]


class Redactor:
    """Replaces secrets and everything that JSON and OTLP cannot carry.

    Args:
        is_enabled: False only turns values into what can be carried.
        keys: Further names of fields that hold secrets; every name that contains one is meant.
        patterns: Further regular expressions; what they find is redacted.
        callback: Has the last word about everything that is about to be redacted.
    """

    def __init__(
        self,
        *,
        is_enabled: bool = True,
        keys: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        callback: RedactionCallback | None = None,
    ) -> None:
        self._is_enabled = is_enabled
        self._extra = tuple("".join(filter(str.isalnum, key)).lower() for key in keys)
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        self._callback = callback
        self._keys: dict[str, Sensitivity] = {}

    def clean(self, event: MutableMapping[str, object]) -> None:
        """Replace, in place, what must not leave and what cannot be carried. Never raises."""
        for key, replaced in self._changes(event, _Budget(converts=True)):
            event[key] = replaced

    def redact(self, event: MutableMapping[str, object]) -> None:
        """Replace, in place, only what must not leave: other values stay what they are. Never raises."""
        event.update(self.attributes(event))

    def attributes(self, mapping: Mapping[str, object]) -> Mapping[str, object]:
        """Return a mapping without secrets; the very same one when nothing had to be replaced. Never raises."""
        found = dict(self._changes(mapping, _Budget())) if self._is_enabled else None
        return {**mapping, **found} if found else mapping

    def _changes(self, mapping: Mapping[str, object], budget: _Budget) -> Iterator[tuple[str, object]]:
        """Yield the fields that must not leave as they are, with what leaves instead."""
        keys = self._keys
        for key, value in mapping.items():
            # What most fields are is decided here: a call for each would double the cost.
            if keys.get(key) == "no":
                kind = type(value)
                if kind is str and len(value) <= _LONGEST_TEXT and not self._is_suspicious(value):  # type: ignore[arg-type]
                    continue
                if kind is bool or value is None or (kind is int and -_LARGE < value < _LARGE):  # type: ignore[operator]
                    continue
                if kind is float and math.isfinite(value):  # type: ignore[arg-type]
                    continue
            try:
                replaced = self._field(key, value, (), budget)
            except Exception:
                # What fails when it is looked at can be neither searched nor shown.
                replaced = _unshown(value)
            if replaced is not value:
                yield key, replaced

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return self._text(text, ())

    def _field(self, key: object, value: object, path: Path, budget: _Budget) -> object:
        name = key if isinstance(key, str) else str(key)
        known = self._judge(name)
        is_count = known == "unless_number" and isinstance(value, (int, float))
        if known == "no" or value is None or isinstance(value, bool) or is_count:
            return self._value(value, path, name, budget)
        return self._instead(value, (*path, name), "key", budget)

    def _judge(self, name: str) -> Sensitivity:
        judged = self._keys.get(name)
        if judged is not None:
            return judged
        judged = sensitivity(name, self._extra) if self._is_enabled else "no"
        if len(self._keys) < _MOST_KNOWN:
            self._keys[name] = judged
        return judged

    def _value(self, value: object, path: Path, name: str | int, budget: _Budget) -> object:
        """Return a value that can be carried and holds no secret; the very same object when it is one already."""
        if isinstance(value, str):
            return self._text(value, (*path, name))
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self._whole_number(value, (*path, name), budget)
        if isinstance(value, float):
            return value if math.isfinite(value) or not budget.converts else str(value)
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._container(value, (*path, name), budget)
        return self._shown(value, (*path, name), budget)

    def _shown(self, value: object, path: Path, budget: _Budget) -> object:
        """Return a value's text, or, where values keep their types, the value itself when its text holds no secret."""
        text = printed(value)
        cleaned = self._text(text, path)
        return cleaned if budget.converts or cleaned is not text else value

    def _whole_number(self, value: int, path: Path, budget: _Budget) -> object:
        if self._is_enabled and is_card_number(value):
            return self._instead(value, path, "card", budget)
        return value if _LEAST_INT <= value < _MOST_INT or not budget.converts else printed(value)

    def _container(self, value: Container, path: Path, budget: _Budget) -> object:
        """Return a container without secrets; a converted one is always a copy, as it is encoded later elsewhere."""
        if len(path) > _DEEPEST or not budget.grants(len(value)):
            return self._shown(value, path, budget)
        if isinstance(value, Mapping):
            fields = {key: self._field(key, item, path, budget) for key, item in value.items()}
            if budget.converts:
                return {str(key): item for key, item in fields.items()}
            return value if all(fields[key] is item for key, item in value.items()) else fields
        # Only among others: two names of fields alone are no pair.
        if len(value) == 2 and isinstance(value, (list, tuple)) and isinstance(path[-1], int):
            return self._pair(value, path, budget)
        items = [self._value(item, path, place, budget) for place, item in enumerate(value)]
        return value if not budget.converts and all(map(is_, items, value)) else items

    def _pair(self, pair: list[object] | tuple[object, ...], path: Path, budget: _Budget) -> object:
        """Return a pair whose first item may name the second, as lists of headers hold them."""
        name, value = pair
        is_named = isinstance(name, (str, bytes))
        cleaned = self._field(printed(name), value, path, budget) if is_named else self._value(value, path, 1, budget)
        items = [self._value(name, path, 0, budget), cleaned]
        return pair if not budget.converts and all(map(is_, items, pair)) else items

    def _text(self, text: str, path: Path) -> str:
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]}... ({len(text) - _LONGEST_TEXT} more characters were cut)"
        if not self._is_suspicious(text):
            return text
        cleaned = self._replace(text, path)
        return text if cleaned == text else cleaned

    def _replace(self, text: str, path: Path) -> str:

        def replace(found: str, rule: str) -> str:
            return printed(self._decide(found, path, rule))

        for pattern in self._patterns:
            text = pattern.sub(lambda found: replace(found[0], "pattern"), text)
        return replace_secrets(text, self._judge, replace)

    def _is_suspicious(self, text: str) -> bool:
        return self._is_enabled and (bool(self._patterns) or may_hold_secret(text))

    def _instead(self, value: object, path: Path, rule: str, budget: _Budget) -> object:
        """Return what is written instead of a value, as plain as other values are."""
        answer = self._decide(value, path, rule)
        return answer if answer is REDACTED else _PLAIN._value(answer, path[:-1], path[-1], budget)

    def _decide(self, value: object, path: Path, rule: str) -> object:
        if self._callback is None:
            return REDACTED
        try:
            answer = self._callback(RedactionMatch(path=path, value=value, rule=rule))
        except Exception:
            return REDACTED
        return REDACTED if answer is None else answer


# Makes the answers of callbacks plain: they have had the last word.
_PLAIN = Redactor(is_enabled=False)


@dataclass(slots=True)
class _Budget:
    """How many more items the containers of one event may hold, and whether what JSON cannot carry becomes text."""

    converts: bool = False
    left: int = field(default=_MOST_ITEMS)

    def grants(self, items: int) -> bool:
        """Take so many items, if they are left."""
        self.left -= items
        return self.left >= 0


class _Current:
    """The redactor of this process."""

    redactor = Redactor()


def use_redactor(redactor: Redactor) -> None:
    """Let `redact_attributes` and `redact_text` use this redactor from now on."""
    _Current.redactor = redactor


def redact_attributes(mapping: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
    """Return attributes without secrets, by this process's settings.

    The very same mapping comes back when it holds none, so that nothing is copied in vain. For whoever lets attributes
    leave the process: exporters, health endpoints, baggage. Never raises.
    """
    return cast("Mapping[str, Attribute]", _Current.redactor.attributes(mapping))


def redact_text(text: str) -> str:
    """Return a text without secrets, by this process's settings: error messages, URLs, status descriptions."""
    return _Current.redactor.text(text)


def printed(value: object) -> str:
    """Return a value as text; its own ``__str__`` may fail in any way."""
    try:
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception:
        return _unshown(value)


def _unshown(value: object) -> str:
    return f"<{type(value).__name__} that cannot be shown>"
