"""What happened beside the telemetry: deploys, and whatever else a person or a pipeline wants to see on the chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sloburn.duration import SECOND, humanize_duration

MAX_TEXT = 200
"""Characters of an annotation's text, and of the name of its service."""


class Kind(StrEnum):
    """What happened."""

    DEPLOY = "deploy"  # somebody said so
    VERSION = "version"  # the telemetry says so: a service.version that was not there before
    NOTE = "note"  # anything else
    FIRST = "first"  # the version that a service had when we first heard of it: kept for comparing, never shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Something that happened at a moment.

    Args:
        at_unix_nano: When.
        kind: What.
        text: In words: a version, a note.
        service: Whom it concerns; empty for everybody.
    """

    at_unix_nano: int
    kind: Kind
    text: str
    service: str = ""

    @property
    def is_deploy(self) -> bool:
        """Something new began to run."""
        return self.kind in (Kind.DEPLOY, Kind.VERSION)


def concerning(annotations: Iterable[Annotation], service: str) -> tuple[Annotation, ...]:
    """Return what concerns a service and is shown, oldest first."""
    shown = (one for one in annotations if one.kind is not Kind.FIRST and one.service in ("", service))
    return tuple(sorted(shown, key=lambda one: one.at_unix_nano))


def deploy_before(annotations: Iterable[Annotation], service: str, at_unix_nano: int, within_ns: int) -> str:
    """Say which deploy came last before a moment, and how long before; empty if none did lately.

    Args:
        annotations: All there are.
        service: Whose deploys.
        at_unix_nano: The moment, for instance when a burn began.
        within_ns: How long before it a deploy is still worth telling, nanoseconds.
    """
    found = [
        one
        for one in concerning(annotations, service)
        if one.is_deploy and at_unix_nano - within_ns <= one.at_unix_nano <= at_unix_nano
    ]
    if not found:
        return ""
    before = humanize_duration(max(SECOND, at_unix_nano - found[-1].at_unix_nano))
    return f"{found[-1].text} was deployed {before} before the burn began"
