"""Calls of the command line inside the test's own process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from sloburn.cli import main


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave."""

    status: int
    out: str
    err: str


def call(*arguments: str) -> Result:
    """Run ``sloburn`` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return Result(status, out.getvalue(), err.getvalue())
