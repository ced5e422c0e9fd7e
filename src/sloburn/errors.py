"""The exceptions that sloburn raises, in one tree.

::

    SloburnError
    ├── ConfigError           settings, flags or a configuration file are wrong
    │   └── CallError         the value of a flag is none: the call of a command is wrong
    ├── SpecError             an SLO document is wrong; carries file, line and YAML path
    ├── TelemetryError        a request cannot be taken
    │   ├── MalformedBody     it is not what its content type says: the sender must not retry
    │   ├── BodyTooLarge      it is over the limit, before or after inflation: must not retry
    │   └── Overloaded        the queue is full: retry later
    └── StorageError          the store cannot be opened, read or written: retry later
        └── StorageCorrupt    what is stored cannot be read back
"""

from __future__ import annotations

from dataclasses import dataclass


class SloburnError(Exception):
    """The root of everything that sloburn raises on purpose."""


class ConfigError(SloburnError):
    """Settings are wrong; the message names key, value and expectation."""


class CallError(ConfigError):
    """A command was called with something that cannot be; the message names flag, value and expectation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a document.

    Args:
        file: The document, as the user named it.
        line: Line, counted from 1.
        path: Where in the YAML, for instance ``slos[0].objective``; empty for the document itself.
        message: What was found and what was expected.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class SpecError(SloburnError):
    """One or more SLO documents are wrong; every problem is listed, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class TelemetryError(SloburnError):
    """A telemetry request cannot be taken."""


class MalformedBody(TelemetryError):
    """The body is not what its content type says; sending it again cannot help."""


class BodyTooLarge(TelemetryError):
    """The body is over the limit, before or after inflation; sending it again cannot help."""


class Overloaded(TelemetryError):
    """The queue in front of the engine is full; send again later."""


class StorageError(SloburnError):
    """The store cannot be opened, read or written."""


class StorageCorrupt(StorageError):
    """What is stored cannot be read back."""
