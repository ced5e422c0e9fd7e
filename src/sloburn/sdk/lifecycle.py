"""The ends and beginnings of processes: exit, SIGTERM and fork."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from sloburn.sdk.handle import Telemetry
from sloburn.sdk.import_hook import when_imported

logger = logging.getLogger("sloburn")

# A server that owns SIGTERM goes on serving after it: its event loop must not stand still for a Collector that hangs.
_SERVER_FLUSH_SECONDS = 0.5


def follow_process(telemetry: Telemetry, *, handle_sigterm: bool, after_fork: Sequence[Callable[[], None]]) -> None:
    """Flush when the process ends and begin anew in its forked children.

    Args:
        telemetry: What to flush.
        handle_sigterm: Whether SIGTERM flushes.
        after_fork: What else begins anew in a child, called in order after the telemetry.
    """
    atexit.register(_attempt, telemetry.shutdown_at_exit)
    if handle_sigterm:
        flush_on_sigterm(telemetry)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _begin_anew(telemetry, after_fork))
    when_imported("multiprocessing.util", lambda: _flush_in_multiprocessing(telemetry))


def flush_on_sigterm(telemetry: Telemetry) -> None:
    """Flush on SIGTERM, then let the previous handler act.

    Does nothing outside the main thread, where Python allows no handlers, and where SIGTERM is ignored on purpose.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or previous in (signal.SIG_IGN, None):
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if callable(previous):
            _attempt(lambda: telemetry.flush_at_end(_SERVER_FLUSH_SECONDS))
            _attempt(telemetry.hurry)
            previous(number, frame)
            return
        _attempt(telemetry.shutdown_at_exit)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)


def _attempt(act: Callable[[], object]) -> None:
    """Do something in a signal handler, if it can be done there: gevent forbids to wait in its event loop."""
    with contextlib.suppress(Exception):
        act()


def _begin_anew(telemetry: Telemetry, after_fork: Sequence[Callable[[], None]]) -> None:
    for act in (telemetry.after_fork, *after_fork):
        try:
            act()
        except Exception as error:
            logger.warning("telemetry is incomplete in a forked process: %s: %s", type(error).__name__, error)


def _flush_in_multiprocessing(telemetry: Telemetry) -> None:
    """Flush at the end of forked `multiprocessing` children, which leave without running atexit."""
    from multiprocessing import util

    util.register_after_fork(telemetry, lambda forked: util.Finalize(None, forked.shutdown_at_exit, exitpriority=0))
