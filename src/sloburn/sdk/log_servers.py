"""Bring servers' own loggers into the stream: uvicorn, gunicorn and hypercorn write past the root logger."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from importlib import import_module

from sloburn.sdk.import_hook import when_imported
from sloburn.sdk.log_records import RecordHandler

_SERVERS = ("uvicorn", "uvicorn.access", "uvicorn.error", "gunicorn.error", "gunicorn.access", "hypercorn.error",
            "hypercorn.access")  # fmt: skip


def join_servers(is_writing: Callable[[], bool]) -> None:
    """Let servers' loggers write through the root logger, now and whenever uvicorn sets up its logging again.

    Args:
        is_writing: Whether lines are ours. Where a host keeps its own look servers keep theirs, and are exported as
            any logger that hands nothing on.
    """
    _join_all(is_writing)
    when_imported("uvicorn.config", lambda: _follow_uvicorn(is_writing))


def _join_all(is_writing: Callable[[], bool]) -> None:
    if is_writing():
        for name in _SERVERS:
            _take_over(logging.getLogger(name))


def _take_over(logger: logging.Logger) -> None:
    """Let what writes to the standard streams write through the root logger; a file that the host wants stays.

    In place, as loggers share lists: under gunicorn uvicorn's worker gives `uvicorn.error` the list of
    `gunicorn.error`, and does so again in each worker. A logger without handlers that does not propagate was silenced
    on purpose.
    """
    handlers = logger.handlers
    if not any(_is_standard(handler) or isinstance(handler, ToRoot) for handler in handlers):
        return
    kept = [known for known in handlers if not _is_standard(known) and not isinstance(known, (ToRoot, RecordHandler))]
    handlers[:] = [*kept, ToRoot()]
    logger.propagate = False


class ToRoot(logging.NullHandler):
    """Hands records to the handlers of the root logger, as propagation would."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand on one record; whoever writes it holds the locks."""
        logging.getLogger().callHandlers(record)
        return True


def _is_standard(handler: logging.Handler) -> bool:
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return False
    return handler.stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


def _follow_uvicorn(is_writing: Callable[[], bool]) -> None:
    """Join again after uvicorn has replaced its handlers, as it does when a program calls `uvicorn.run`."""
    # Not `import uvicorn.config`: the package gets the attribute only after this hook has run.
    config = import_module("uvicorn.config").Config
    original = config.configure_logging

    @functools.wraps(original)
    def configure_logging(self: object) -> None:
        original(self)
        _join_all(is_writing)

    config.configure_logging = configure_logging
