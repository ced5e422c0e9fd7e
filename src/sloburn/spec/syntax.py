"""From text to one YAML node tree, or to the problems that keep it from being one.

Documents are read as nodes, not as Python objects: nodes keep their lines, and a scalar keeps its exact text, so that
`99.9` never passes through a float. Only the plain part of YAML is taken: no aliases, no tags, one document.
"""

from __future__ import annotations

import yaml

from sloburn.errors import Problem

MAX_DEPTH = 32

_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose(text: str, file: str) -> tuple[yaml.Node | None, tuple[Problem, ...]]:
    """Read a document into nodes.

    Returns:
        The root, and no problem; or no root, and what is wrong.
    """
    try:
        problems = _refused_events(text, file)
        root = None if problems else yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        return None, (_syntax_problem(error, text, file),)
    if root is None and not problems:
        problems = (_problem(file, 1, "the document is empty; expected a mapping"),)
    return root, problems


def _refused_events(text: str, file: str) -> tuple[Problem, ...]:
    problems, depth, documents = [], 0, 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            return (_problem(file, line, f"nested more than {MAX_DEPTH} levels deep"),)
        if documents > 1:
            return (_problem(file, line, "a second document begins here; expected one document in a file"),)
        problems += [_problem(file, line, message) for message in _refusals(event)]
    return tuple(problems)


def _refusals(event: yaml.Event) -> list[str]:
    if isinstance(event, yaml.AliasEvent):
        return [f"found the alias *{event.anchor}; aliases are not used here, write the value out"]
    tag = getattr(event, "tag", None)
    return [f"found the tag {tag}; tags are not used here, write the plain value"] if tag else []


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # a character that YAML does not allow: yaml.reader.ReaderError
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        return _problem(file, line, f"this is no valid YAML: {getattr(error, 'reason', error)}")
    return _problem(file, mark.line + 1, f"this is no valid YAML: {getattr(error, 'problem', error)}")


def _problem(file: str, line: int, message: str) -> Problem:
    return Problem(file=file, line=line, path="", message=message)
