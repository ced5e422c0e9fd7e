"""Set structlog up, or join one that the host has set up: before `init_telemetry` or after it."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Sequence

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sloburn.sdk.log_events import EventFinisher
from sloburn.sdk.log_levels import make_leveled_logger

logger = logging.getLogger("sloburn")


def configure_structlog(finisher: EventFinisher, logger_factory: Callable[..., WrappedLogger]) -> None:
    """Let every event end in our one processor."""
    structlog.configure(
        processors=[finisher],
        wrapper_class=make_leveled_logger(),
        logger_factory=logger_factory,
        cache_logger_on_first_use=True,
    )


def follow_structlog(finisher: EventFinisher) -> None:
    """Join again whenever the host calls ``structlog.configure``, which replaces what was there.

    Its look stays the host's; without this its events would lose their ids and no longer be exported.
    """
    original = structlog.configure
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def configure(*arguments: object, **settings: object) -> None:
        original(*arguments, **settings)  # type: ignore[arg-type]
        with contextlib.suppress(Exception):
            rejoin_structlog(finisher)

    structlog.configure = configure


def rejoin_structlog(finisher: EventFinisher) -> None:
    """Join again, and say so, when the host has configured structlog anew under whatever name it has for that."""
    if join_structlog(finisher):
        logger.info("structlog was configured anew: its look stays, ids and export were added")


def join_structlog(finisher: EventFinisher) -> bool:
    """Put ids and export before the host's renderer, in place, because loggers in use hold this very list.

    Returns:
        Whether they were missing.
    """
    settings = structlog.get_config()
    processors: Sequence[Processor] = settings["processors"]
    if not processors or any(processor is finisher or isinstance(processor, _Joined) for processor in processors):
        return False
    joined: list[Processor] = [_Joined(finisher.clean_in_place)]
    # What reaches the standard library is exported there.
    if not isinstance(settings["logger_factory"], structlog.stdlib.LoggerFactory):
        joined.append(_Joined(finisher.export, copies=True))
    if isinstance(processors, list):
        processors[-1:-1] = joined
    else:
        structlog.configure(processors=[*processors[:-1], *joined, processors[-1]])
    return True


class _Joined:
    """A processor of ours among the host's.

    Args:
        act: What it does with an event.
        copies: Whether the host goes on with the event as it was.
    """

    def __init__(self, act: Callable[[EventDict], None], *, copies: bool = False) -> None:
        self._act = act
        self._copies = copies

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Process one event; never raises."""
        with contextlib.suppress(Exception):
            self._process(logger, method, event)
        return event

    def _process(self, logger: WrappedLogger, method: str, event: EventDict) -> None:
        seen = dict(event) if self._copies else event
        if self._copies:
            seen.setdefault("level", method)
            seen.setdefault("logger", getattr(logger, "name", "root"))
        self._act(seen)
