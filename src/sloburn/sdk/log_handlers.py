"""Our handlers on the standard library's loggers, and how they stay there when the host configures logging anew."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from sloburn.sdk.import_hook import when_imported
from sloburn.sdk.log_events import EventFinisher
from sloburn.sdk.log_records import RecordHandler, RedactingFilter
from sloburn.sdk.log_servers import ToRoot, join_servers

logger = logging.getLogger("sloburn")

_OURS = (RecordHandler, ToRoot)
_CONFIGURATION = "logging.config"


class HandlerKeeper:
    """Keeps one handler on the root logger, and one that only exports on each logger that hands nothing on to it.

    ``dictConfig``, ``fileConfig`` and ``basicConfig(force=True)`` remove every handler that they find, and the host
    means those that it knows of. Ours comes back with the first of the host's, which are the ones that write from then
    on, as if they had been there first.

    Args:
        finisher: Completes, exports and renders events.
    """

    def __init__(self, finisher: EventFinisher) -> None:
        self._root = logging.getLogger()
        self._is_contested = False
        self.handler = RecordHandler(finisher, is_writing=not self._root.handlers)
        # One of each for all loggers: threads look at the same time, and what is there already is not added again.
        self._exporter = RecordHandler(finisher, is_writing=False)
        self._filter = RedactingFilter(finisher)

    def begin(self) -> None:
        """Put the handlers on."""
        self._root.addHandler(self.handler)
        self._follow_additions()
        when_imported(_CONFIGURATION, self._follow_configurations)
        join_servers(lambda: self.handler.is_writing)
        self.look()

    def look(self) -> None:
        """Put back what has been taken away, and take care of handlers that have come since the last look. Cheap."""
        if self.handler not in self._root.handlers:
            self._is_contested = True
            self._root.addHandler(self.handler)
        self._guard(self._root)
        for other in _loggers():
            self._join(other)
        if self._is_contested and any(_others(self._root)):
            self._yield()

    def _follow_additions(self) -> None:
        """Look at once when the root logger gets a handler: an event before the next regular look would be lost.

        On the object itself, because a name that was imported from `logging.config` cannot be wrapped.
        """
        add = self._root.addHandler

        @functools.wraps(add)
        def add_and_look(handler: logging.Handler) -> None:
            add(handler)
            if handler is not self.handler:
                self._try_to_look()

        self._root.addHandler = add_and_look  # type: ignore[method-assign, assignment]

    def _follow_configurations(self) -> None:
        """Look at once when other loggers get theirs, wherever the names that the host calls were imported from.

        Both are looked up in their place whenever `dictConfig` or `fileConfig` runs.
        """
        module = sys.modules[_CONFIGURATION]
        self._look_after(module.DictConfigurator, "configure")
        self._look_after(module, "_install_loggers")

    def _look_after(self, owner: object, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(original)
        def act_and_look(*args: object, **kwargs: object) -> object:
            answer = original(*args, **kwargs)
            self._try_to_look()
            return answer

        setattr(owner, name, act_and_look)

    def _try_to_look(self) -> None:
        with contextlib.suppress(Exception):
            self.look()

    def _yield(self) -> None:
        """Let the host's handlers write."""
        self._is_contested = False
        was_writing, self.handler.is_writing = self.handler.is_writing, False
        if was_writing:
            logger.info("logging was configured anew: the new handlers write from now on, export and ids stay")

    def _join(self, other: logging.Logger) -> None:
        """Export what a logger does not hand on; one whose only handlers do nothing was silenced on purpose."""
        if other.disabled and other.name.partition(".")[0] == logger.name:
            other.disabled = False
        if not other.handlers:
            return
        self._guard(other)
        is_joined = other.propagate or any(isinstance(handler, ToRoot) for handler in other.handlers)
        if is_joined or not any(_others(other)):
            other.removeHandler(self._exporter)
        else:
            other.addHandler(self._exporter)

    def _guard(self, owner: logging.Logger) -> None:
        for handler in _others(owner):
            handler.addFilter(self._filter)


def _loggers() -> list[logging.Logger]:
    """Return all loggers but the root, in a list of its own: threads add to theirs."""
    return [known for known in list(logging.root.manager.loggerDict.values()) if isinstance(known, logging.Logger)]


def _others(owner: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the host's handlers that do something."""
    return (handler for handler in owner.handlers if not isinstance(handler, (logging.NullHandler, *_OURS)))
