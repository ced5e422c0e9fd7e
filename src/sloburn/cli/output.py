"""What a compiler says of its SLOs, and where its text goes: a file, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sloburn.errors import ConfigError

Remark = tuple[str, str]
"""The name of an SLO, and what is to be said of it."""


def may_write(refused: Sequence[Remark], notes: Sequence[Remark], *, is_partial: bool) -> bool:
    """Say what was refused and noted; return whether the rest may be written.

    Args:
        refused: SLOs that have no counterpart, each with the reason.
        notes: What else there is to know.
        is_partial: Whether the rest is wanted without them.
    """
    for name, text in (*refused, *notes):
        print(f"{name}: {text}", file=sys.stderr)
    if not refused or is_partial:
        return True
    slos = "1 SLO" if len(refused) == 1 else f"{len(refused)} SLOs"
    print(f"nothing written: {slos} refused; --partial leaves them out", file=sys.stderr)
    return False


def write_output(output: str | None, text: str) -> None:
    """Write text to a file; to standard output if there is none, or it is ``-``.

    Raises:
        ConfigError: The file cannot be written.
    """
    if output in (None, "-"):
        print(text, end="")
        return
    try:
        Path(str(output)).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {output}: cannot be written: {error.strerror}") from error
