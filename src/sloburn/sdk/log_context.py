"""Fields that every event carries while some work goes on: `log_context`.

They live in context variables (structlog's own, so that hosts which use `structlog.contextvars` see the same fields):
asyncio tasks inherit them, threads and executors once `init_telemetry` has run (`sloburn.sdk.log_threads`);
`carry_context` takes them along to whatever else runs a function.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import structlog
from opentelemetry import baggage, context

from sloburn.sdk.redaction import printed

P = ParamSpec("P")
Result = TypeVar("Result")

# The one field that leaves the process with outgoing calls and Celery messages; the others may be personal.
REQUEST_ID = "request_id"
REQUEST_ID_BAGGAGE = "request.id"


class log_context:
    """Add fields to every event of a block or of a function, sync or async, whoever logs it.

    ``request_id`` also becomes baggage (``request.id``), so that Celery tasks and called services log it too.

    Args:
        **fields: What is added; the innermost wins, and a field of the event itself wins over all.
    """

    def __init__(self, /, **fields: object) -> None:
        self._fields = fields
        self._tokens: Mapping[str, contextvars.Token[Any]] = {}
        self._baggage: contextvars.Token[context.Context] | None = None

    def __enter__(self) -> Self:
        self._tokens = structlog.contextvars.bind_contextvars(**self._fields)
        given = self._fields.get(REQUEST_ID)
        request_id = "" if given is None else printed(given)
        if request_id:
            self._baggage = context.attach(baggage.set_baggage(REQUEST_ID_BAGGAGE, request_id))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._baggage is not None:
            context.detach(self._baggage)
            self._baggage = None
        # Elsewhere than where it began, as in a generator that another task finishes, there is nothing to take back.
        with contextlib.suppress(ValueError):
            structlog.contextvars.reset_contextvars(**self._tokens)

    def __call__(self, function: Callable[P, Result]) -> Callable[P, Result]:
        """Decorate a function or a coroutine function.

        Raises:
            TypeError: It is a generator, whose fields would leak into its caller between two items.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"log_context cannot decorate the generator {function.__qualname__}: use it inside")
        fields = self._fields
        if inspect.iscoroutinefunction(function):
            wait = cast("Callable[P, Awaitable[Any]]", function)

            @functools.wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> object:
                with log_context(**fields):
                    return await wait(*args, **kwargs)

            return cast("Callable[P, Result]", run_async)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> Result:
            with log_context(**fields):
                return function(*args, **kwargs)

        return run


def carry_context(function: Callable[P, Result]) -> Callable[P, Result]:
    """Return a function that runs in a copy of the present context: for whatever starts with none.

    All context variables come along, fields, span and baggage among them: ``pool.submit(carry_context(work), order)``.
    """
    present = contextvars.copy_context()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        # A copy for each call: a context cannot be entered by two threads at once.
        return present.copy().run(function, *args, **kwargs)

    return run
