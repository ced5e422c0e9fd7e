"""Bring servers' own loggers into the stream: uvicorn, gunicorn and hypercorn write past the root logger."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from importlib import import_module

from sloburn.sdk.import_hook import when_imported

_SERVERS = ("uvicorn", "uvicorn.access", "uvicorn.error", "gunicorn.error", "gunicorn.access", "hypercorn.error",
            "hypercorn.access")  # fmt: skip


def join_servers(make_exporter: Callable[[], logging.Handler] | None) -> None:
    """Let servers' loggers write through the root logger, now and whenever uvicorn sets up its logging again.

    Args:
        make_exporter: Makes a handler that only exports, for hosts that keep their own look: then servers keep theirs.
            None when lines are ours.
    """
    _join_all(make_exporter)
    when_imported("uvicorn.config", lambda: _follow_uvicorn(make_exporter))


def _join_all(make_exporter: Callable[[], logging.Handler] | None) -> None:
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if make_exporter is None:
            _take_over(logger)
        elif logger.handlers and not logger.propagate:
            _add_once(logger, make_exporter())


def _take_over(logger: logging.Logger) -> None:
    """Let what writes to the standard streams write through the root logger; a file that the host wants stays.

    In place, as loggers share lists: under gunicorn uvicorn's worker gives `uvicorn.error` the list of
    `gunicorn.error`, and does so again in each worker. A logger without handlers that does not propagate was silenced
    on purpose.
    """
    handlers = logger.handlers
    if not any(_is_standard(handler) or isinstance(handler, ToRoot) for handler in handlers):
        return
    kept = [handler for handler in handlers if not _is_standard(handler) and not isinstance(handler, ToRoot)]
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


def _add_once(logger: logging.Logger, handler: logging.Handler) -> None:
    if not any(type(known) is type(handler) for known in logger.handlers):
        logger.addHandler(handler)


def _follow_uvicorn(make_exporter: Callable[[], logging.Handler] | None) -> None:
    """Join again after uvicorn has replaced its handlers, as it does when a program calls `uvicorn.run`."""
    # Not `import uvicorn.config`: the package gets the attribute only after this hook has run.
    config = import_module("uvicorn.config").Config
    original = config.configure_logging

    @functools.wraps(original)
    def configure_logging(self: object) -> None:
        original(self)
        _join_all(make_exporter)

    config.configure_logging = configure_logging
