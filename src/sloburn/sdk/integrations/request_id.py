"""The correlation id of a request: taken from its header or made, returned, in logs and in baggage.

Through baggage it reaches other services and Celery tasks, under the key `BAGGAGE_KEY`.
"""

from __future__ import annotations

import random
import re
from contextvars import ContextVar, Token
from typing import Any

import structlog
from opentelemetry import baggage
from opentelemetry.context import Context

BAGGAGE_KEY = "request.id"
LOG_KEY = "request_id"

# Not the module's own functions: a host may have seeded those. Not the kernel's either, which costs ten times as much.
_RANDOM = random.Random()
# What may go into logs, headers and baggage as it is. Anything else could forge a log line or fill memory.
_is_sane = re.compile(r"[A-Za-z0-9._:/=+@-]{1,128}").fullmatch


def choose(given: str | None, context: Context) -> str:
    """Return the id of a request: the client's if it is sane, else the one in baggage, else a new one.

    Args:
        given: What the header says.
        context: Holds the baggage of the request.
    """
    if given and _is_sane(given):
        return given
    carried = baggage.get_baggage(BAGGAGE_KEY, context)
    if isinstance(carried, str) and _is_sane(carried):
        return carried
    return f"{_RANDOM.getrandbits(128):032x}"


def after_fork() -> None:
    """Draw other ids than the parent."""
    _RANDOM.seed()


def into_context(request_id: str, context: Context) -> Context:
    """Return the context with the id in its baggage."""
    return baggage.set_baggage(BAGGAGE_KEY, request_id, context)


def into_logs(request_id: str) -> Token[Any]:
    """Let every log line of this task and its children carry the id.

    Returns:
        What `out_of_logs` wants.
    """
    return _LOG_VARIABLE.set(request_id)


def out_of_logs(token: Token[Any]) -> None:
    """Take the id away again: what serves the next request of a connection may run in the same context."""
    _LOG_VARIABLE.reset(token)


def _log_variable() -> ContextVar[Any]:
    """Return structlog's own variable for the id: setting it directly costs a tenth of a call into structlog."""
    token = structlog.contextvars.bind_contextvars(**{LOG_KEY: ""})[LOG_KEY]
    token.var.reset(token)
    return token.var


_LOG_VARIABLE = _log_variable()
