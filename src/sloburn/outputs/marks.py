"""What is drawn on the budget's chart beside the budget: deploys and notes as lines, what does not count as gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sloburn.outputs.wording import clip, clock_text, count_text, iso_text, window_text
from sloburn.slo.annotation import Annotation, Kind
from sloburn.slo.exclusions import Exclusion, Interval, excluded

Place = Callable[[int], float]
"""From nanoseconds since the epoch to percent of the chart's width."""

MOST_LINES = 40
MOST_OCCURRENCES = 500
_LABEL_LIMIT = 22
_TEXT_LIMIT = 120
_LABEL_ROOM = 16.0  # percent of the width that a label needs, so that two never lie on each other
_TURN = 80.0  # further right a label stands to the left of its line

_VERBS = {Kind.DEPLOY: "deployed", Kind.VERSION: "first seen", Kind.NOTE: "noted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that happened at a moment.

    Args:
        place: Percent of the width, as text.
        label: What is written beside it; empty where there is no room.
        is_left: The label stands to the left of the line.
        kind: What happened.
        at_unix_nano: When.
        text: What happened, in words.
        verb: Whether it was deployed, seen or noted.
    """

    place: str
    label: str
    is_left: bool
    kind: Kind
    at_unix_nano: int
    text: str
    verb: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time that does not count.

    Args:
        place: Left edge, percent of the width, as text.
        width: Percent of the width, as text.
        text: What it is and when, for hovering.
    """

    place: str
    width: str
    text: str


def draw_lines(place: Place, annotations: Iterable[Annotation], start: int, end: int) -> tuple[Line, ...]:
    """Draw what happened in a span of time, oldest first; the newest get their labels first.

    Args:
        place: Where a moment lies.
        annotations: What happened, oldest first.
        start: Nanoseconds since the epoch.
        end: The same.
    """
    inside = [one for one in annotations if start <= one.at_unix_nano <= end][-MOST_LINES:]
    lines: list[Line] = []
    free = 200.0
    for one in reversed(inside):
        at = place(one.at_unix_nano)
        is_left = at > _TURN
        begin = at - _LABEL_ROOM if is_left else at
        fits = begin + _LABEL_ROOM <= free and begin >= 0
        if fits:
            free = begin
        lines.append(_line(one, at, label=clip(one.text, _LABEL_LIMIT) if fits else "", is_left=is_left))
    return tuple(reversed(lines))


def _line(annotation: Annotation, at: float, *, label: str, is_left: bool) -> Line:
    return Line(
        place=_percent(at),
        label=_visible(label),
        is_left=is_left,
        kind=annotation.kind,
        at_unix_nano=annotation.at_unix_nano,
        text=_visible(clip(annotation.text, _TEXT_LIMIT)),
        verb=_VERBS.get(annotation.kind, ""),
    )


def _visible(text: str) -> str:
    """Put a mark in the place of what cannot be seen: SVG has no <bdi>, and a version comes from telemetry."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def draw_gaps(place: Place, exclusions: Sequence[Exclusion], start: int, end: int) -> tuple[Gap, ...]:
    """Draw the time of a span that does not count, under the names of its exclusions."""
    return tuple(
        _gap(place, exclusion.name, one, end) for exclusion in exclusions for one in _occurrences(exclusion, start, end)
    )


def _occurrences(exclusion: Exclusion, start: int, end: int) -> list[Interval]:
    found = islice(exclusion.between(start, end), MOST_OCCURRENCES)
    return [Interval(max(one.begin_unix_nano, start), min(one.end_unix_nano, end)) for one in found]


def _gap(place: Place, name: str, span: Interval, now: int) -> Gap:
    left, right = place(span.begin_unix_nano), place(span.end_unix_nano)
    begin, end = (clock_text(at, now) for at in (span.begin_unix_nano, span.end_unix_nano))
    text = f"not counted: {clip(name, _TEXT_LIMIT)}, {begin} to {end} UTC"
    return Gap(place=_percent(left), width=_percent(max(0.2, right - left)), text=text)


def exclusion_texts(exclusions: Sequence[Exclusion], start: int, now: int, ahead_ns: int) -> tuple[str, ...]:
    """Say of every exclusion how often it was in a span of time, whether it lasts, and when it comes next.

    Args:
        exclusions: Of one SLO.
        start: Where the span begins, nanoseconds since the epoch.
        now: Where it ends.
        ahead_ns: How far the next one may be away.
    """
    return tuple(_exclusion_text(exclusion, start, now, ahead_ns) for exclusion in exclusions)


def _exclusion_text(exclusion: Exclusion, start: int, now: int, ahead_ns: int) -> str:
    past = excluded([exclusion], start, now)
    length = sum(one.end_unix_nano - one.begin_unix_nano for one in past)
    often = f"{count_text(len(past), 'time', 'times')}, {window_text(length)} together" if past else "not in this time"
    parts = [f"{clip(exclusion.name, _TEXT_LIMIT)}: {often}"]
    coming = list(islice(exclusion.between(now, now + ahead_ns), 2))
    lasting = [one for one in coming if one.begin_unix_nano <= now < one.end_unix_nano]
    later = [one for one in coming if one.begin_unix_nano > now]
    if lasting:
        parts.append(f"now, until {iso_text(lasting[0].end_unix_nano)[:16]}Z: what fails until then alerts nobody")
    if later:
        parts.append(f"next {iso_text(later[0].begin_unix_nano)[:16]}Z for {window_text(_length(later[0]))}")
    return "; ".join(parts)


def _length(span: Interval) -> int:
    return span.end_unix_nano - span.begin_unix_nano


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
