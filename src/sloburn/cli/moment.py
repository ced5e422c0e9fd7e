"""Moments on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from sloburn.duration import SECOND
from sloburn.errors import CallError


def read_moment(text: str, flag: str = "--at") -> int:
    """Read a moment (ISO 8601; UTC unless it says otherwise); return nanoseconds since the epoch.

    Raises:
        CallError: It is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CallError(f"{flag}: found {text!r}; expected a time like 2026-11-21T14:05:00Z") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    whole = at.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + at.microsecond * 1_000
