"""Let threads and executors work in the context of whoever uses them: fields of `log_context`, span and baggage.

A thread starts with no context at all (one of a free-threaded Python 3.14 with all of it). What an application starts
gets our part of it; other context variables stay what Python makes of them. The work that an executor is given gets it
for as long as it runs. Threads that libraries and the standard library start for themselves get none: workers of a
pool, an exporter or a listener that is started within the first request would carry its ids and its span for ever.
So do the processes of a pool: a forked one is born with all of the context.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from opentelemetry import context
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars, reset_contextvars

from sloburn.sdk.handle import Telemetry
from sloburn.sdk.import_hook import when_imported

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from multiprocessing.process import BaseProcess

P = ParamSpec("P")
Result = TypeVar("Result")

_EXECUTORS = "concurrent.futures.thread"
_PROCESSES = "multiprocessing.process"
# Who wraps `Thread.start` as well, and so stands between it and whoever called it.
_WRAPPERS = ("sentry_sdk.integrations.threading", "opentelemetry.instrumentation.threading", "wrapt.wrappers")
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What is ours of a context.

    Args:
        fields: Those of `log_context`.
        context: OpenTelemetry's: span and baggage.
    """

    fields: Mapping[str, object]
    context: context.Context

    @classmethod
    def here(cls) -> Self:
        """Return what is ours of the present context."""
        return cls(fields=get_contextvars(), context=context.get_current())

    def is_empty(self) -> bool:
        """Tell whether there is nothing to carry."""
        return not self.fields and not self.context

    def enter(self) -> None:
        """Stay in it."""
        bind_contextvars(**self.fields)
        context.attach(self.context)

    def run(self, function: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Result:
        """Call a function in it, and leave the thread as it was."""
        fields = bind_contextvars(**self.fields)
        token = context.attach(self.context)
        try:
            return function(*args, **kwargs)
        finally:
            context.detach(token)
            reset_contextvars(**fields)


def _enter_nothing() -> None:
    """Leave what is ours of an inherited context."""
    clear_contextvars()
    context.attach(context.Context())


class _Run:
    """Stands in for the ``run`` of one thread, whatever its class, until it has begun.

    Args:
        thread: The thread.
        enter: Brings the thread's context about, for good: what reports an exception that ends it needs it, too.
    """

    def __init__(self, thread: threading.Thread, enter: Callable[[], None]) -> None:
        self._names = vars(thread)
        self._own: Callable[[], None] | None = self._names.get("run")
        self._run = thread.run
        self._enter: Callable[[], None] | None = enter
        thread.run = self  # type: ignore[method-assign]

    def __call__(self) -> None:
        """Run the thread; whoever wrapped this in turn may call it again."""
        self.put_back()
        enter, self._enter = self._enter, None
        if enter is not None:
            enter()
        del enter
        return self._run()

    def put_back(self) -> None:
        """Give the thread its own ``run`` back, unless somebody has replaced ours: it may call it by name."""
        if self._names.get("run") is not self:
            return
        if self._own is None:
            del self._names["run"]
        else:
            self._names["run"] = self._own


class _Wrapped:
    """A method of a class that is wrapped until it is restored.

    Args:
        owner: The class.
        name: The method's.
        wrap: Makes the wrapper of the original.
    """

    def __init__(self, owner: type, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._owner, self._name = owner, name
        self._original: Callable[..., Any] = getattr(owner, name)
        self._wrapper = functools.wraps(self._original)(wrap(self._original))
        setattr(owner, name, self._wrapper)

    def restore(self) -> bool:
        """Unwrap it, unless somebody else has wrapped it in turn: then it stays, and only hands on."""
        is_ours = getattr(self._owner, self._name) is self._wrapper
        if is_ours:
            setattr(self._owner, self._name, self._original)
        return is_ours


class ThreadFollower:
    """Wraps the start of threads and the work of executors.

    Args:
        application: The package whose threads are the application's even where it is installed like a library.
    """

    def __init__(self, application: str = "") -> None:
        self._application = application
        self._is_following = False
        self._wrapped: dict[tuple[type, str], _Wrapped] = {}

    def begin(self) -> None:
        """Wrap what is not wrapped yet."""
        self._is_following = True
        self._wrap(threading.Thread, "start", self._wrap_start)
        when_imported(_EXECUTORS, self._begin_executors)
        when_imported(_PROCESSES, self._begin_processes)

    def end(self) -> None:
        """Unwrap."""
        self._is_following = False
        self._wrapped = {place: wrapped for place, wrapped in self._wrapped.items() if not wrapped.restore()}

    def _begin_executors(self) -> None:
        if self._is_following:
            self._wrap(sys.modules[_EXECUTORS].ThreadPoolExecutor, "submit", self._wrap_submit)

    def _begin_processes(self) -> None:
        if self._is_following:
            self._wrap(sys.modules[_PROCESSES].BaseProcess, "start", self._wrap_start_of_process)

    def _wrap(self, owner: type, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        if (owner, name) not in self._wrapped:
            self._wrapped[owner, name] = _Wrapped(owner, name, wrap)

    def _wrap_start(self, original: Callable[..., None]) -> Callable[..., None]:
        def start(thread: threading.Thread) -> None:
            run = self._prepare(thread, sys._getframe(1)) if self._is_following else None
            try:
                original(thread)
            except RuntimeError:
                # It runs already, or the system has no thread left: then a host may call `run` by itself.
                if run is not None:
                    run.put_back()
                raise

        return start

    def _wrap_start_of_process(self, original: Callable[..., None]) -> Callable[..., None]:
        def start(process: BaseProcess) -> None:
            if self._is_following and _is_library(sys._getframe(1), self._application):
                contextvars.copy_context().run(_start_with_nothing, original, process)
            else:
                original(process)

        return start

    def _wrap_submit(self, original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
        def submit(pool: Executor, function: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
            if self._is_following:
                carried = Carried.here()
                function = function if carried.is_empty() else functools.partial(carried.run, function)
            return original(pool, function, *args, **kwargs)

        return submit

    def _prepare(self, thread: threading.Thread, caller: FrameType) -> _Run | None:
        """Let a thread run in the present context, or in none; never raises."""
        try:
            carried = Carried.here()
            if carried.is_empty():
                return None
            if not _is_library(caller, self._application):
                return _Run(thread, carried.enter)
            if getattr(sys.flags, "thread_inherit_context", 0):
                return _Run(thread, _enter_nothing)
        except Exception:
            # A thread of a class that forbids it runs as it would without telemetry.
            return None
        return None


def follow_threads(telemetry: Telemetry, application: str) -> None:
    """Follow threads for as long as telemetry runs, if its settings want it.

    Args:
        telemetry: Whose end unwraps.
        application: The package that the host consists of.
    """
    follower = ThreadFollower(application)
    if telemetry.config.log_stream.follows_threads:
        follower.begin()
    telemetry.when_ended(follower.end)
    telemetry.when_reconfigured(lambda config: follower.begin() if config.log_stream.follows_threads else None)


def _start_with_nothing(start: Callable[[BaseProcess], None], process: BaseProcess) -> None:
    _enter_nothing()
    start(process)


def _is_library(caller: FrameType, application: str) -> bool:
    """Tell whether a library starts something for itself: one that is installed, or of the standard library."""
    frame: FrameType | None = caller
    while frame is not None and frame.f_globals.get("__name__") in _WRAPPERS:
        frame = frame.f_back
    if frame is None:
        return False
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if package == application:
        return False
    return (
        package == "sloburn"
        or package in sys.stdlib_module_names
        or any(folder in frame.f_code.co_filename for folder in _INSTALLED)
    )
