"""Settle the settings of logs, redaction and audit trail: arguments over ``SLOBURN_*`` variables over defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from sloburn.sdk import values
from sloburn.sdk.config import Arguments
from sloburn.sdk.redaction import RedactionCallback
from sloburn.sdk.stream_config import AuditSettings, LogFormat, LogSettings, RedactionSettings

Value = TypeVar("Value")

_FORMATS: dict[str, LogFormat] = {"json": "json", "console": "console", "auto": "auto"}
_NO_LEVELS: tuple[tuple[str, str], ...] = ()
_NOTHING: tuple[str, ...] = ()


class Pick(Protocol):
    """Returns the first source of a setting that makes sense: `Resolver.pick`."""

    def __call__(
        self, given: tuple[str, object], names: tuple[str, ...], read: Callable[[object], Value], default: Value
    ) -> Value:
        """Return the first of argument and variables that is set and can be read, else the default."""
        ...


def log_settings(pick: Pick, given: Arguments) -> LogSettings:
    """Settle how log lines look and where they go."""
    default = LogSettings()
    return LogSettings(
        format=pick(("log_format", given.log_format), ("SLOBURN_LOG_FORMAT",), values.one_of(_FORMATS), default.format),
        levels=pick(("log_levels", given.log_levels), ("SLOBURN_LOG_LEVELS",), levels, _NO_LEVELS),
        file=pick(("log_file", given.log_file), ("SLOBURN_LOG_FILE",), path, "") or None,
        file_bytes=pick(
            ("log_file_max_bytes", given.log_file_max_bytes), ("SLOBURN_LOG_FILE_MAX_BYTES",), size, default.file_bytes
        ),
        file_count=pick(
            ("log_file_count", given.log_file_count), ("SLOBURN_LOG_FILE_COUNT",), values.count, default.file_count
        ),
        follows_threads=pick(
            ("follow_threads", given.follow_threads), ("SLOBURN_FOLLOW_THREADS",), values.boolean, default=True
        ),
    )


def redaction_settings(pick: Pick, given: Arguments) -> RedactionSettings:
    """Settle what is kept out of everything that leaves the process."""
    return RedactionSettings(
        is_enabled=pick(("redact", given.redact), ("SLOBURN_REDACT",), values.boolean, default=True),
        keys=pick(("redact_keys", given.redact_keys), ("SLOBURN_REDACT_KEYS",), names, _NOTHING),
        # A pattern may hold a comma: several of them are an argument's business.
        patterns=pick(("redact_patterns", given.redact_patterns), ("SLOBURN_REDACT_PATTERN",), patterns, _NOTHING),
        callback=pick(("redact_callback", given.redact_callback), (), _callback, None),
    )


def audit_settings(pick: Pick, given: Arguments) -> AuditSettings:
    """Settle where audit records go."""
    return AuditSettings(
        file=pick(("audit_file", given.audit_file), ("SLOBURN_AUDIT_FILE",), path, "") or None,
        key_file=pick(("audit_key_file", given.audit_key_file), ("SLOBURN_AUDIT_KEY_FILE",), path, "") or None,
        is_synced=pick(("audit_sync", given.audit_sync), ("SLOBURN_AUDIT_SYNC",), values.boolean, default=False),
    )


def levels(raw: object) -> tuple[tuple[str, str], ...]:
    """Read ``sqlalchemy=WARNING,shop.cart=DEBUG``, or a mapping."""
    return tuple(sorted((name, values.level(level)) for name, level in values.pairs(raw)))


def path(raw: object) -> str:
    """Read the path of a file, text or anything with ``__fspath__``."""
    return values.text(raw if isinstance(raw, str) else raw.__fspath__() if hasattr(raw, "__fspath__") else raw)


def size(raw: object) -> int:
    """Read a number of bytes, 1 KiB to 1 TiB."""
    if isinstance(raw, bool) or not isinstance(raw, (int, str)) or not str(raw).strip().isdigit():
        raise ValueError("is not a number of bytes")
    if not 2**10 <= int(raw) <= 2**40:
        raise ValueError(f"{raw} is not between 1024 and {2**40} bytes")
    return int(raw)


def names(raw: object) -> tuple[str, ...]:
    """Read ``iban,tax_number``, or any iterable of names."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, Iterable) or isinstance(parts, Mapping):
        raise ValueError("is not a list of names such as iban,tax_number")
    found = tuple(str(part).strip() for part in parts)
    if not all(any(map(str.isalnum, name)) for name in found):
        raise ValueError("holds a name without a letter")
    return found


def patterns(raw: object) -> tuple[str, ...]:
    """Read one regular expression, or any iterable of them, as text or compiled."""
    parts = [raw] if isinstance(raw, (str, re.Pattern)) else raw
    if not isinstance(parts, Iterable):
        raise ValueError("is not a list of regular expressions")
    found = tuple(part.pattern if isinstance(part, re.Pattern) else str(part) for part in parts)
    for pattern in found:
        try:
            is_eager = re.compile(pattern).match("") is not None
        except re.error as error:
            raise ValueError(f"{pattern[:60]!r} is not a regular expression: {error}") from error
        if is_eager:
            raise ValueError(f"{pattern[:60]!r} matches nothing at all, and so everywhere")
    return found


def _callback(raw: object) -> RedactionCallback | None:
    if not callable(raw):
        raise ValueError("cannot be called")
    return raw
