"""What logs, redaction and the audit trail run with: frozen, part of `TelemetryConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sloburn.sdk.redaction import RedactionCallback

LogFormat = Literal["json", "console", "auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where log lines go and how they look.

    Args:
        format: JSON lines, lines for people, or lines for people when standard output is a terminal.
        levels: The lowest level by logger name; a name stands for itself and all that is below it.
        file: JSON lines go here too; None writes no file.
        file_bytes: The size at which the file is rotated.
        file_count: How many files are kept, the current one included.
        follows_threads: Whether threads and executors log, and trace, in the context of whoever uses them.
    """

    format: LogFormat = "json"
    levels: tuple[tuple[str, str], ...] = ()
    file: str | None = None
    file_bytes: int = 50_000_000
    file_count: int = 5
    follows_threads: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionSettings:
    """What is kept out of everything that leaves the process.

    Args:
        is_enabled: False lets secrets through.
        keys: Further names of fields that hold secrets.
        patterns: Further regular expressions that find secrets.
        callback: Has the last word about everything that is about to be redacted.
    """

    is_enabled: bool = True
    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    callback: RedactionCallback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Where audit records go.

    Args:
        file: The audit trail; None leaves only OTLP.
        key_file: Holds the key of the chain; without one the chain is a plain hash, which a forger can compute.
        is_synced: Whether every record is forced to the disk before the call returns.
    """

    file: str | None = None
    key_file: str | None = None
    is_synced: bool = False
