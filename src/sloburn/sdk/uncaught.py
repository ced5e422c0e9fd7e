"""Exceptions that end the program or a thread: one event in the stream of logs, before Python prints them as ever."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from sloburn.sdk.handle import Telemetry
from sloburn.sdk.logs import LogSetup

LOGGER = "sloburn.uncaught"
# Both are how people end a program.
_MEANT = (SystemExit, KeyboardInterrupt)

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]
ThreadHook = Callable[[threading.ExceptHookArgs], object]


def watch_uncaught(telemetry: Telemetry, logs: LogSetup) -> None:
    """Log what nobody catches for as long as telemetry runs.

    Args:
        telemetry: Whose end takes the hooks away again.
        logs: Where the event goes; what the host's own handlers print stays as it is.
    """
    watch = _UncaughtWatch(logs.handler)
    watch.begin()
    telemetry.when_ended(watch.end)
    telemetry.when_reconfigured(lambda _: watch.begin())
    telemetry.when_failed(lambda error: watch.log(error, threading.current_thread().name))


class _UncaughtWatch:
    """Hooks of Python that log and go on to the hooks that were there before.

    Args:
        handler: Brings a record into the stream, and nowhere else.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        self._is_watching = False
        self._previous: Hook | None = None
        self._previous_of_threads: ThreadHook | None = None

    def begin(self) -> None:
        """Put the hooks in front, unless they are somewhere in the chain already."""
        self._is_watching = True
        if self._previous is None:
            self._previous, sys.excepthook = sys.excepthook, self._see
        if self._previous_of_threads is None:
            self._previous_of_threads, threading.excepthook = threading.excepthook, self._see_in_thread

    def end(self) -> None:
        """Take the hooks away; one that the host has put another in front of stays, and only hands on."""
        self._is_watching = False
        if self._previous is not None and sys.excepthook == self._see:
            sys.excepthook, self._previous = self._previous, None
        if self._previous_of_threads is not None and threading.excepthook == self._see_in_thread:
            threading.excepthook, self._previous_of_threads = self._previous_of_threads, None

    def log(self, error: BaseException | None, thread_name: str) -> None:
        """Log one exception. Never raises."""
        if not self._is_watching or error is None or isinstance(error, _MEANT):
            return
        with contextlib.suppress(Exception):
            if logging.getLogger(LOGGER).isEnabledFor(logging.ERROR):
                self._handler.handle(_record(error, thread_name))

    def _see(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self.log(error, threading.current_thread().name)
        (self._previous or sys.__excepthook__)(kind, error, trace)

    def _see_in_thread(self, given: threading.ExceptHookArgs) -> None:
        self.log(given.exc_value, given.thread.name if given.thread else "")
        (self._previous_of_threads or threading.__excepthook__)(given)


def _record(error: BaseException, thread_name: str) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord(LOGGER, logging.ERROR, __file__, 0, "uncaught exception", None, info)
    vars(record)["thread.name"] = thread_name
    return record
