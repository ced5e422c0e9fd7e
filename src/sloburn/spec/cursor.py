"""A YAML node that knows where it is, and the list that takes what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

import yaml

from sloburn.errors import Problem

T = TypeVar("T")

NULL_TAG = "tag:yaml.org,2002:null"
LONGEST_QUOTE = 60

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in a document.

    Args:
        node: What is there.
        file: The document, as the user named it.
        line: Line of the key, or of the node itself where it has none; counted from 1.
        path: YAML path, for instance ``slos[0].objective``; empty for the root.
        problems: Takes what is wrong; shared by all places of a document.
    """

    node: yaml.Node
    file: str
    line: int
    path: str
    problems: list[Problem]

    def refuse(self, message: str, stand_in: T) -> T:
        """Note what is wrong here and return `stand_in`, so that reading can go on."""
        self.problems.append(Problem(file=self.file, line=self.line, path=self.path, message=message))
        return stand_in

    def expected(self, what: str, stand_in: T) -> T:
        """Note that something else was expected here than what was found."""
        return self.refuse(f"found {self.found}; expected {what}", stand_in)

    @property
    def found(self) -> str:
        """What is here, for people."""
        if isinstance(self.node, yaml.ScalarNode):
            text = self.node.value
            short = text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
            return "nothing" if self.is_null else repr(short) if self.is_quoted else short
        return "a mapping" if isinstance(self.node, yaml.MappingNode) else "a list"

    @property
    def is_scalar(self) -> bool:
        """It is one value, or nothing."""
        return isinstance(self.node, yaml.ScalarNode)

    @property
    def is_list(self) -> bool:
        """It is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_mapping(self) -> bool:
        """It is a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_empty(self) -> bool:
        """It is a list or a mapping, and nothing is in it."""
        return not self.is_scalar and not self.node.value

    @property
    def is_quoted(self) -> bool:
        """It is a scalar in quotes, or a block of text: never a number or a boolean."""
        return isinstance(self.node, yaml.ScalarNode) and bool(self.node.style)

    @property
    def is_null(self) -> bool:
        """It is a scalar, and empty: ``key:``, ``key: null``, ``key: ~``."""
        return self.is_scalar and self.node.tag == NULL_TAG

    def items(self) -> tuple[Cursor, ...]:
        """Return the places of a list's items; anything but a list is refused."""
        if not isinstance(self.node, yaml.SequenceNode):
            return self.expected("a list", ())
        return tuple(
            self._child(node, node.start_mark.line + 1, f"{self.path}[{index}]")
            for index, node in enumerate(self.node.value)
        )

    def fields(self) -> dict[str, Cursor]:
        """Return the places of a mapping's values by key; anything but a mapping, and a key given twice, is refused."""
        if not isinstance(self.node, yaml.MappingNode):
            return self.expected("a mapping", {})
        fields: dict[str, Cursor] = {}
        for key, value in self.node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._child(key, line, self.path).expected("a key", None)
                continue
            child = self._child(value, line, _step(self.path, key.value))
            if key.value in fields:
                child.refuse(f"the key is given twice; the first one is in line {fields[key.value].line}", None)
            else:
                fields[key.value] = child
        return fields

    def record(self, *known: str, later: Mapping[str, str] | None = None) -> Record:
        """Return a mapping whose keys are known; unknown ones are refused.

        Args:
            known: The keys.
            later: Keys that this version refuses with a sentence of their own.
        """
        fields = self.fields()
        for name in [name for name in fields if name not in known]:
            unknown = fields.pop(name)
            sentence = (later or {}).get(name)
            unknown.refuse(sentence or f"unknown key{did_you_mean(name, known)}; expected {listed(known)}", None)
        return Record(at=self, fields=fields)

    def _child(self, node: yaml.Node, line: int, path: str) -> Cursor:
        return Cursor(node=node, file=self.file, line=line, path=path, problems=self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mapping with known keys.

    Args:
        at: Where it is.
        fields: The places of its values, by key.
    """

    at: Cursor
    fields: dict[str, Cursor]

    def __contains__(self, key: str) -> bool:
        return key in self.fields

    def need(self, key: str, read: Callable[[Cursor], T], stand_in: T, example: str) -> T:
        """Read a key that must be there; `example` shows how it is written."""
        if key in self.fields:
            return read(self.fields[key])
        if not self.at.is_mapping:  # already refused as a whole
            return stand_in
        return self.at.refuse(f"missing key {key}; expected for instance `{key}: {example}`", stand_in)

    def may(self, key: str, read: Callable[[Cursor], T], default: T) -> T:
        """Read a key that need not be there."""
        return read(self.fields[key]) if key in self.fields else default


def listed(words: Iterable[str]) -> str:
    """Write words as a list for people: ``a, b or c``."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that names the closest known word, or nothing where none is close."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _step(path: str, key: str) -> str:
    if not _PLAIN_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key
