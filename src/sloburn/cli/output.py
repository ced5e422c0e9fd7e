"""Where compiled text goes: a file, or standard output."""

from __future__ import annotations

from pathlib import Path

from sloburn.errors import ConfigError


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
