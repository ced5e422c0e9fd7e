"""Annotations through the API: what a body must say, and what the answer says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sloburn.duration import DAY, MINUTE, SECOND
from sloburn.outputs.wording import iso_text
from sloburn.slo.annotation import MAX_TEXT, Annotation, Kind

MAX_AHEAD_NS = 5 * MINUTE
MAX_AGE_NS = 400 * DAY

_KEYS = ("text", "service", "kind", "at")
_KINDS = (Kind.DEPLOY.value, Kind.NOTE.value)


def read_annotation(body: bytes, now: int) -> Annotation:
    """Read an annotation from the body of a request.

    Args:
        body: A JSON object with ``text`` and, if wanted, ``service``, ``kind`` and ``at``.
        now: Nanoseconds since the epoch: when it happened unless it says so.

    Raises:
        ValueError: Something is wrong; the message names the key, what was found and what was expected.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON that can be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError('found something else than an object; expected for instance {"text": "v1.2.3"}')
    unknown = sorted(found.keys() - set(_KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; expected {', '.join(_KEYS)}")
    kind = found.get("kind", Kind.DEPLOY.value)
    if kind not in _KINDS:
        raise ValueError(f"kind: found {kind!r}; expected {' or '.join(_KINDS)}")
    text, service = _text("text", found.get("text")), found.get("service", "")
    return Annotation(
        at_unix_nano=_moment(found.get("at"), now),
        kind=Kind(kind),
        text=text,
        service=_text("service", service) if service else "",
    )


def _text(key: str, value: Any) -> str:  # noqa: ANN401  what JSON is
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable() and value.strip():
        return value.strip()
    raise ValueError(f"{key}: found {_short(value)}; expected 1 to {MAX_TEXT} characters in one line")


def _short(value: Any) -> str:  # noqa: ANN401  what JSON is
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{len(value)} characters"
    return "nothing" if value is None else json.dumps(value)[:MAX_TEXT]


def _moment(value: Any, now: int) -> int:  # noqa: ANN401  what JSON is
    if value is None:
        return now
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"at: found {_short(value)}; expected a time like 2026-11-21T14:05:00Z") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    moment = int(at.replace(microsecond=0).timestamp()) * SECOND + at.microsecond * 1_000
    if not now - MAX_AGE_NS <= moment <= now + MAX_AHEAD_NS:
        raise ValueError(f"at: found {value}; expected a time in the last 400 days, at most 5 minutes ahead")
    return moment


def annotation_document(annotation: Annotation) -> dict[str, Any]:
    """Return an annotation as the API shows it."""
    return {
        "at": iso_text(annotation.at_unix_nano),
        "at_unix_nano": annotation.at_unix_nano,
        "kind": annotation.kind.value,
        "text": annotation.text,
        "service": annotation.service,
    }
