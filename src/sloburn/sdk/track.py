"""Business metrics in one line: how often, how long, how it ended."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from sloburn.clock import monotonic
from sloburn.sdk.cardinality import Label
from sloburn.sdk.measures import MEASURES

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class Run:
    """One run of what is tracked.

    Args:
        name: Of the metric.
        labels: What is known at the beginning.
    """

    def __init__(self, name: str, labels: dict[str, Label]) -> None:
        self._name = name
        self._labels = labels
        self._outcome: str | None = None
        self._started = monotonic()

    def label(self, **labels: Label) -> None:
        """Add labels that are known only now; a label that is None is left out."""
        self._labels |= labels

    def outcome(self, outcome: str) -> None:
        """Say how it ends, for instance ``declined``; otherwise the absence of an exception is a ``success``."""
        self._outcome = outcome

    def end(self, error: BaseException | None) -> None:
        """Count it. Never raises."""
        labels = {**self._labels, "outcome": self._outcome or _outcome(error)}
        if error is not None:
            labels["error.type"] = _type_name(error)
        MEASURES.record(self._name, monotonic() - self._started, labels)


class Tracker:
    """Tracks a block, a function, a coroutine function or a generator function.

    Args:
        name: Of the metric.
        labels: What is always so.
    """

    def __init__(self, name: str, labels: dict[str, Label]) -> None:
        self._name = name
        self._labels = labels
        # One tracker may be entered again before it is left, by recursion or by other threads and tasks.
        self._open: list[tuple[object, Run]] = []

    def __enter__(self) -> Run:
        run = self._begin()
        self._open.append((_owner(), run))
        return run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        owner = _owner()
        entered = next((one for one in reversed(self._open) if one[0] == owner), self._open[-1])
        self._open.remove(entered)
        entered[1].end(error)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        """Track every call of a function; of a generator, from its first step to its last."""
        if inspect.isasyncgenfunction(function):
            wrapped: Callable[..., Any] = self._wrap_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            wrapped = self._wrap_generator(function)
        elif inspect.iscoroutinefunction(function):
            wrapped = self._wrap_coroutine(function)
        else:
            wrapped = self._wrap_function(function)
        return cast("Callable[Parameters, Returned]", functools.wraps(function)(wrapped))

    def _wrap_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any signature
            with _Ending(self._begin()):
                return function(*arguments, **options)

        return tracked

    def _wrap_coroutine(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def tracked(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any signature
            with _Ending(self._begin()):
                return await function(*arguments, **options)

        return tracked

    def _wrap_generator(self, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
        def tracked(*arguments: Any, **options: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 - any signature
            with _Ending(self._begin()):
                return (yield from function(*arguments, **options))

        return tracked

    def _wrap_async_generator(self, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
        async def tracked(*arguments: Any, **options: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - any signature
            with _Ending(self._begin()):
                async with aclosing(function(*arguments, **options)) as inner:
                    step = anext(inner)
                    while True:
                        try:
                            value = await step
                        except StopAsyncIteration:
                            return
                        try:
                            sent = yield value
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            step = inner.athrow(error)
                        else:
                            step = inner.asend(sent)

        return tracked

    def _begin(self) -> Run:
        return Run(self._name, dict(self._labels))


class _Ending:
    """Ends a run with the block."""

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run.end(error)


def track(name: str, **labels: Label) -> Tracker:
    """Count what runs, how long it takes and how it ends, as a decorator or around a block.

    ``checkout.payment`` becomes the counter ``checkout.payment`` and the histogram ``checkout.payment.duration`` in
    seconds, both with ``outcome`` (``success``, ``failure``, ``cancelled`` or your own) and, after an exception,
    ``error.type``. Works before `init_telemetry`, where it does nothing. Never raises.

    Args:
        name: Of the metric, with dots. It must not hold values: those are labels.
        labels: Few values each; from the 101st different value on a label is ``__overflow__``.

    Returns:
        A decorator for functions, coroutine functions and generators of both kinds, and a context manager.
    """
    return Tracker(name, labels)


def count(name: str, amount: float = 1, /, *, unit: str = "", **labels: Label) -> None:
    """Add to a counter. Never raises.

    Args:
        name: Of the metric.
        amount: How much, not negative.
        unit: UCUM, for instance ``By``.
        labels: Few values each, as with `track`.
    """
    MEASURES.count(name, amount, labels, unit)


def gauge(name: str, value: float, /, *, unit: str = "", **labels: Label) -> None:
    """Set a gauge to a value. Never raises.

    Args:
        name: Of the metric.
        value: What it is now.
        unit: UCUM, for instance ``By``.
        labels: Few values each, as with `track`.
    """
    MEASURES.set(name, value, labels, unit)


def _owner() -> object:
    """Return who is running: a task, or a thread outside of tasks."""
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:
        return threading.get_ident()


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "success"
    return "cancelled" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "failure"


def _type_name(error: BaseException) -> str:
    """Return an exception's type as ``error.type`` wants it: with its module, unless it is built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
