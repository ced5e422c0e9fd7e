"""Levels by logger name, for structlog and the standard library alike, changeable while loggers are in use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from structlog.typing import FilteringBoundLogger

from sloburn.sdk.log_events import EventFinisher

_METHODS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "msg": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
_NAMES = {"msg": "info", "warn": "warning", "fatal": "critical"}
_WORDS = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class Levels:
    """The lowest level that passes, by logger name; a name stands for itself and all that is below it.

    Args:
        default: For loggers without a level of their own, a name of the standard library.
        by_name: The others.
    """

    def __init__(self, default: str = "INFO", by_name: tuple[tuple[str, str], ...] = ()) -> None:
        numbers = logging.getLevelNamesMapping()
        self.default = numbers[default]
        self.by_name = {name: numbers[level] for name, level in by_name}

    def of(self, name: str) -> int:
        """Return the level of a logger: its own, else that of the nearest name above it."""
        while name:
            if name in self.by_name:
                return self.by_name[name]
            name = name.rpartition(".")[0]
        return self.default

    def apply(self) -> None:
        """Set the levels of the standard library's loggers, the root logger left out."""
        for name, level in self.by_name.items():
            logging.getLogger(name).setLevel(level)


def word(number: int) -> str:
    """Return the name of the level at or below a number: custom levels such as NOTICE (25) count as the one below."""
    return next((name for least, name in _WORDS if number >= least), "debug")


class Leveled(Protocol):
    """What structlog wraps here: knows the lowest level that passes."""

    @property
    def threshold(self) -> int:
        """The lowest level that passes."""
        ...


def make_leveled_logger() -> type[FilteringBoundLogger]:
    """Return a structlog logger class that asks the wrapped logger for its level at every call.

    structlog's own filter is fixed when the class is made: one level for all names, for ever.
    """
    base = structlog.make_filtering_bound_logger(logging.NOTSET)
    methods: dict[str, Any] = {name: _method(_NAMES.get(name, name), level) for name, level in _METHODS.items()}
    methods |= {f"a{name}": _async_method(getattr(base, f"a{name}"), level) for name, level in _METHODS.items()}
    methods["log"], methods["alog"] = _log, _async_log(base.alog)
    methods["is_enabled_for"] = lambda self, level: level >= self._logger.threshold
    methods["get_effective_level"] = lambda self: self._logger.threshold
    return type("LeveledLogger", (base,), methods)


def _method(name: str, level: int) -> Callable[..., Any]:
    def method(self: Any, event: str, *args: Any, **fields: Any) -> Any:  # noqa: ANN401 - structlog's signature
        if level < self._logger.threshold:
            return None
        return _emit(self, name, _filled(event, args) if args else event, fields)

    method.__name__ = name
    return method


def _emit(bound: Any, name: str, event: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - structlog's signature
    """Do what structlog does; the short way where our processor, which drops nothing, is the only one."""
    processors, logger = bound._processors, bound._logger
    if len(processors) != 1 or type(processors[0]) is not EventFinisher or event is None:
        return bound._proxy_to_logger(name, event, **fields)
    return getattr(logger, name)(processors[0](logger, name, {**bound._context, **fields, "event": event}))


def _async_method(emit: Callable[..., Any], level: int) -> Callable[..., Any]:
    async def method(self: Any, event: str, *args: Any, **fields: Any) -> Any:  # noqa: ANN401 - structlog's signature
        return await emit(self, event, *args, **fields) if level >= self._logger.threshold else None

    return method


def _log(self: Any, level: int, event: str, *args: Any, **fields: Any) -> Any:  # noqa: ANN401 - structlog's signature
    if level < self._logger.threshold:
        return None
    return _emit(self, word(level), _filled(event, args), fields)


def _async_log(emit: Callable[..., Any]) -> Callable[..., Any]:
    async def alog(self: Any, level: int, event: str, *args: Any, **fields: Any) -> Any:  # noqa: ANN401 - see above
        return await emit(self, level, event, *args, **fields) if level >= self._logger.threshold else None

    return alog


def _filled(event: str, args: tuple[Any, ...]) -> str:
    """Fill an event's placeholders like the standard library does; what does not fit must not raise into the host."""
    if not args:
        return event
    try:
        return event % (args[0] if len(args) == 1 and isinstance(args[0], dict) and args[0] else args)
    except Exception:
        return f"{event} {args!r:.200}"
