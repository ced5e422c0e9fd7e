"""What happened beside the telemetry, in bounded memory, and which versions of each service were seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sloburn.duration import HOUR, MINUTE
from sloburn.slo.annotation import MAX_TEXT, Annotation, Kind

MAX_ANNOTATIONS = 500
MAX_VERSIONS = 200
"""Versions of one service that are remembered; the oldest are forgotten, and would be new again."""

MAX_CHANGES = 12
"""Version changes of one service within `CHANGES_NS` that are believed: what changes more often is no version."""

DROP_REASONS = ("oldest", "too many versions")

CHANGES_NS = HOUR
SAME_NS = MINUTE
"""Who says the same within so long says it again, not anew: a pipeline that retries annotates once."""


class Timeline:
    """The newest annotations; used from the engine's thread.

    Args:
        annotations: Those that were stored.
    """

    def __init__(self, annotations: Iterable[Annotation] = ()) -> None:
        self._kept: tuple[Annotation, ...] = ()
        self._versions: dict[str, dict[str, int]] = {}  # when each was first seen
        self.is_changed = False
        self.dropped: Counter[str] = Counter()
        for one in sorted(annotations, key=lambda one: one.at_unix_nano):
            self._add(one)
            if one.kind in (Kind.FIRST, Kind.VERSION):
                self._remember(one.service, one.text, one.at_unix_nano)

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """What is kept, oldest first; a new tuple after every change."""
        return self._kept

    def add(self, annotation: Annotation) -> Annotation:
        """Keep an annotation; return it, or the one that said the same a moment before."""
        for one in self._kept:
            same = (one.kind, one.text, one.service) == (annotation.kind, annotation.text, annotation.service)
            if same and abs(one.at_unix_nano - annotation.at_unix_nano) <= SAME_NS:
                return one
        self._add(annotation)
        self.is_changed = True
        return annotation

    def _add(self, annotation: Annotation) -> None:
        kept = sorted((*self._kept, annotation), key=lambda one: one.at_unix_nano)
        if len(kept) > MAX_ANNOTATIONS:
            self.dropped["oldest"] += len(kept) - MAX_ANNOTATIONS
        self._kept = tuple(kept[-MAX_ANNOTATIONS:])

    def see(self, service: str, version: str, at_unix_nano: int) -> None:
        """Note that a service reports a version: one that is new is a deploy, the first one ever is not.

        Args:
            service: Its name.
            version: What its telemetry says.
            at_unix_nano: When it was heard.
        """
        service, version = service[:MAX_TEXT], version[:MAX_TEXT]
        known = self._versions.get(service)
        if known is not None and version in known:
            return
        if known is None:
            kind = Kind.FIRST
        elif sum(at_unix_nano - at <= CHANGES_NS for at in known.values()) > MAX_CHANGES:
            self.dropped["too many versions"] += 1
            return
        else:
            kind = Kind.VERSION
        self._remember(service, version, at_unix_nano)
        self._add(Annotation(at_unix_nano=at_unix_nano, kind=kind, text=version, service=service))
        self.is_changed = True

    def _remember(self, service: str, version: str, at_unix_nano: int) -> None:
        known = self._versions.setdefault(service, {})
        known[version] = at_unix_nano
        if len(known) > MAX_VERSIONS:
            del known[next(iter(known))]
