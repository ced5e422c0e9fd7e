"""An exception as fields that can be searched: type, message, frames, causes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType

_FIRST_FRAMES, _LAST_FRAMES = 10, 40
_MOST_CAUSES = 5
_LONGEST_STACKTRACE = 16_384
_LONGEST_MESSAGE = 4096

# Where an exception carries the ids of the request that it has left, in texts, so that it can still be pickled.
_IDS = "_sloburn_ids"

Fields = dict[str, object]


def take_error(event: MutableMapping[str, object]) -> BaseException | None:
    """Take ``exc_info`` out of an event and return the exception that it stands for."""
    info = event.pop("exc_info", None)
    if isinstance(info, BaseException):
        return info
    if not _is_asked_for(info):
        return None
    error = info[1] if isinstance(info, tuple) and len(info) == 3 else sys.exc_info()[1]
    return error if isinstance(error, BaseException) else None


def _is_asked_for(info: object) -> bool:
    """Tell whether an exception is wanted; what cannot say yes or no stands for the one that is handled now."""
    try:
        return bool(info)
    except Exception:
        return True


def remember_ids(error: BaseException, ids: dict[str, str]) -> None:
    """Let an exception carry the ids of the request that it leaves: its server logs it when the request is over.

    On the exception itself, as built-in ones cannot be referenced weakly. Never raises.
    """
    try:
        vars(error)[_IDS] = ids
    except Exception:
        return


def remembered_ids(error: BaseException | None) -> dict[str, str]:
    """Return the ids that an exception carries; none when it left no request."""
    ids = None if error is None else vars(error).get(_IDS)
    return ids if isinstance(ids, dict) else {}


def error_head(error: BaseException, clean: Callable[[str], str]) -> Fields:
    """Return type and message under OpenTelemetry's names.

    Args:
        error: The exception.
        clean: Takes secrets out of a text.
    """
    return {"exception.type": type_name(error), "exception.message": clean(message_of(error))}


def error_frames(error: BaseException, clean: Callable[[str], str]) -> Fields:
    """Return where it was raised, outermost call first, and what it was caused by, bounded."""
    fields = _frames(error, "exception.frames")
    causes = [
        {**error_head(cause, clean), **_frames(cause, "exception.frames")}
        for cause, _ in zip(_causes(error), range(_MOST_CAUSES), strict=False)
    ]
    return {**fields, "exception.causes": causes} if causes else fields


def stacktrace(error: BaseException, clean: Callable[[str], str]) -> str:
    """Return the stack trace as Python prints it; of a long one the end, where the reason stands."""
    try:
        text = clean("".join(traceback.format_exception(error, limit=-_LAST_FRAMES)))
    except Exception as failure:
        return f"(the stack trace cannot be shown: {type(failure).__name__})"
    return text if len(text) <= _LONGEST_STACKTRACE else f"...{text[-_LONGEST_STACKTRACE:]}"


def type_name(error: BaseException) -> str:
    """Return an exception's type with its module, unless it is built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """Return an exception's message; making it may fail in any way."""
    try:
        return str(error)[:_LONGEST_MESSAGE]
    except Exception:
        return "(its message cannot be shown)"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an exception stems from: the parts of a group, then the chain of causes, each once."""
    seen = {id(error)}
    waiting = _next_causes(error)
    while waiting:
        cause = waiting.pop(0)
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += _next_causes(cause)


def _next_causes(error: BaseException) -> list[BaseException]:
    parts = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    # Not by their truth: an exception may define its own, which may even raise.
    cause = error.__context__ if error.__cause__ is None and not error.__suppress_context__ else error.__cause__
    return [*parts, cause] if cause is not None else parts


def _frames(error: BaseException, name: str) -> Fields:
    frames = list(_walk(error.__traceback__))
    if len(frames) <= _FIRST_FRAMES + _LAST_FRAMES:
        return {name: frames}
    left_out = len(frames) - _FIRST_FRAMES - _LAST_FRAMES
    return {name: [*frames[:_FIRST_FRAMES], *frames[-_LAST_FRAMES:]], f"{name}_left_out": left_out}


def _walk(where: TracebackType | None) -> Iterator[Fields]:
    while where is not None:
        code = where.tb_frame.f_code
        yield {"file": code.co_filename, "line": where.tb_lineno, "function": code.co_qualname}
        where = where.tb_next
