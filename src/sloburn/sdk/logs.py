"""One stream for structlog and the standard library: to standard output, to a file and by OTLP, each event once."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from typing import cast

import structlog
from structlog.typing import FilteringBoundLogger

from sloburn.sdk.config import TelemetryConfig
from sloburn.sdk.log_context import carry_context, log_context
from sloburn.sdk.log_events import Console, Emitter, EventFinisher, Sinks
from sloburn.sdk.log_files import LOST_LINES, LineFile, LostLines, write_line
from sloburn.sdk.log_handlers import HandlerKeeper
from sloburn.sdk.log_levels import Levels
from sloburn.sdk.log_records import RecordHandler
from sloburn.sdk.log_structlog import configure_structlog, follow_structlog, join_structlog, rejoin_structlog
from sloburn.sdk.redaction import Redactor, use_redactor

__all__ = [
    "LOST_LINES", "Emitter", "LogSetup", "LostLines", "carry_context", "configure_logs", "get_logger", "log_context",
    "look_after_logs",
]  # fmt: skip


class StdoutLogger:
    """What structlog wraps: knows its name and its level and writes finished lines to standard output.

    Args:
        name: The logger's name.
    """

    def __init__(self, name: str = "root") -> None:
        self.name = name
        self._levels = _STREAM.levels
        self._threshold = self._levels.of(name)

    @property
    def threshold(self) -> int:
        """The lowest level that passes; looked up again when telemetry was configured anew."""
        if self._levels is not _STREAM.levels:
            self._levels = _STREAM.levels
            self._threshold = self._levels.of(self.name)
        return self._threshold

    def msg(self, line: str) -> None:
        """Write one line; standard output that is closed or full is the host's business, not a reason to raise."""
        write_line(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


@dataclass(slots=True)
class _Stream:
    """The one stream of this process; telemetry that is configured anew changes it in place."""

    finisher: EventFinisher = field(default_factory=lambda: EventFinisher(Sinks(service_name="unknown_service")))
    levels: Levels = field(default_factory=Levels)
    setup: LogSetup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSetup:
    """What was set up on the standard library's loggers.

    Args:
        keeper: Keeps our handlers there.
    """

    keeper: HandlerKeeper

    @property
    def handler(self) -> RecordHandler:
        """Our handler of the root logger."""
        return self.keeper.handler

    @property
    def is_owner(self) -> bool:
        """Whether it is the one that writes; False when the host has handlers of its own."""
        return self.handler.is_writing

    def attach(self) -> None:
        """Put the handler back after somebody has replaced the root logger's handlers."""
        self.keeper.look()

    def set_level(self, level: int | str | None) -> None:
        """Let the root logger pass this level and above; None changes nothing."""
        self.attach()
        if level is not None:
            logging.getLogger().setLevel(level)

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        file = _STREAM.finisher.sinks.file
        if file is not None:
            file.after_fork()


_STREAM = _Stream()


def configure_logs(config: TelemetryConfig, emitter: Emitter | None) -> LogSetup | None:
    """Set up structlog and the standard library, or change what was set up before.

    A structlog that the host has configured keeps its look and gets ids and export; root handlers of the host stay the
    only ones that write.

    Returns:
        What was put on the root logger; None when logs are left alone.
    """
    redactor = _redactor(config)
    use_redactor(redactor)
    if not config.configure_logs:
        return None
    if _STREAM.finisher.sinks.file is not None:
        _STREAM.finisher.sinks.file.close()
    _STREAM.finisher.sinks = _sinks(config, redactor, emitter)
    _set_levels(Levels(config.log_level, config.log_stream.levels))
    if _STREAM.setup is None:
        if structlog.is_configured():
            join_structlog(_STREAM.finisher)
        else:
            configure_structlog(_STREAM.finisher, StdoutLogger)
        follow_structlog(_STREAM.finisher)
        _STREAM.setup = LogSetup(keeper=HandlerKeeper(_STREAM.finisher))
        _STREAM.setup.keeper.begin()
    if _STREAM.setup.is_owner:
        logging.getLogger().setLevel(_STREAM.levels.default)
    return _STREAM.setup


def _redactor(config: TelemetryConfig) -> Redactor:
    settings = config.redaction
    return Redactor(
        is_enabled=settings.is_enabled,
        keys=settings.keys,
        patterns=settings.patterns,
        callback=settings.callback,
    )


def _sinks(config: TelemetryConfig, redactor: Redactor, emitter: Emitter | None) -> Sinks:
    settings = config.log_stream
    file = LineFile(settings.file, max_bytes=settings.file_bytes, count=settings.file_count) if settings.file else None
    return Sinks(
        service_name=config.service_name,
        redactor=redactor,
        emitter=emitter,
        console=_console(config.log_stream.format),
        file=file,
    )


def _console(wanted: str) -> Console | None:
    is_terminal = bool(getattr(sys.stdout, "isatty", bool)())
    if wanted == "json" or (wanted == "auto" and not is_terminal):
        return None
    return cast("Console", structlog.dev.ConsoleRenderer(colors=is_terminal))


def _set_levels(levels: Levels) -> None:
    _STREAM.levels = levels
    levels.apply()


def look_after_logs() -> None:
    """Join again when the host has configured logging or structlog anew. Cheap: a worker calls it every second."""
    if _STREAM.setup is not None:
        _STREAM.setup.attach()
        rejoin_structlog(_STREAM.finisher)


def get_logger(name: str | None = None) -> FilteringBoundLogger:
    """Return a logger whose events are JSON lines with trace ids once `init_telemetry` has run.

    Args:
        name: Under which name it logs; that of the calling module when absent.
    """
    caller = name or str(sys._getframe(1).f_globals.get("__name__", "root"))
    logger: FilteringBoundLogger = structlog.get_logger(caller)
    return logger
