"""One check that can be asked at any time: it answers within its timeout, whatever the checked thing does.

A blocking function runs on a daemon thread of its own and a coroutine function as a task of the loop that asks. At most
one run is on its way: while it hangs, whoever asks hears at once that it hangs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import cast

from sloburn.clock import monotonic
from sloburn.sdk.health.model import CheckResult
from sloburn.sdk.redaction import redact_text
from sloburn.sdk.threads import start

# Returns None or True when all is well, text that says how it goes, or False; or raises. May be asynchronous.
Act = Callable[[], object]

_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """How a check is run and what it means.

    Args:
        is_critical: Whether the process is of no use while it fails.
        is_live: Whether a restart helps when it fails.
        timeout_seconds: The longest that anybody waits for it.
        ttl_seconds: How long a result is good for.
    """

    is_critical: bool = True
    is_live: bool = False
    timeout_seconds: float = 2.0
    ttl_seconds: float = 5.0


@dataclass(slots=True, kw_only=True)
class Run:
    """A run on its way: it ends in a verdict and never in an exception."""

    verdict: Future[tuple[bool, str]]
    started: float
    task: asyncio.Task[None] | None = None
    ended: float | None = None


class Check:
    """A function that says whether something is well, with timeout and cache.

    Args:
        name: Under which it is reported.
        act: The function.
        settings: How it is run and what it means.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, name: str, act: Act, settings: CheckSettings, now: Callable[[], float] = monotonic) -> None:
        self.name = name
        self.settings = settings
        self.is_async = inspect.iscoroutinefunction(act)
        self.last: CheckResult | None = None
        self._act = act
        self._now = now
        self._lock = threading.Lock()
        self._run: Run | None = None

    async def ask(self) -> CheckResult:
        """Return a result that is fresh, within the timeout."""
        fresh = self._fresh()
        if fresh is not None:
            return fresh
        run = self._begin(can_use_loop=True)
        if not run.verdict.done():
            await asyncio.wait({asyncio.wrap_future(run.verdict)}, timeout=self._left(run))
        return self._settle(run)

    def begin(self) -> CheckResult | Run:
        """Begin a run without an event loop, unless there is a fresh result."""
        return self._fresh() or self._begin(can_use_loop=False)

    def wait(self, begun: CheckResult | Run) -> CheckResult:
        """Return what `begin` has begun, within the timeout."""
        if isinstance(begun, CheckResult):
            return begun
        concurrent.futures.wait([begun.verdict], timeout=self._left(begun))
        return self._settle(begun)

    def poke(self) -> None:
        """Begin a run if there is no fresh result, and do not wait for it."""
        if self._fresh() is None:
            run = self._begin(can_use_loop=False)
            if run.verdict.done() or not self._left(run):
                self._settle(run)

    def begin_anew(self) -> None:
        """Forget what the parent process was doing, in a forked child."""
        self._lock = threading.Lock()
        self._run = self.last = None

    def _fresh(self) -> CheckResult | None:
        last = self.last
        is_fresh = last is not None and self._now() - last.checked_seconds < self.settings.ttl_seconds
        return last if is_fresh else None

    def _begin(self, *, can_use_loop: bool) -> Run:
        with self._lock:
            if self._run is None or self._is_too_late(self._run):
                self._run = self._start(can_use_loop=can_use_loop)
            return self._run

    def _is_too_late(self, run: Run) -> bool:
        """Tell whether a run has ended that nobody waited for: what it found out is old."""
        return run.ended is not None and run.ended - run.started > self.settings.timeout_seconds

    def _start(self, *, can_use_loop: bool) -> Run:
        started = self._now()
        if self.is_async and can_use_loop:
            verdict: Future[tuple[bool, str]] = Future()
            verdict.set_running_or_notify_cancel()
            task = asyncio.get_running_loop().create_task(_judge_async(self._act, verdict))
            run = Run(verdict=verdict, started=started, task=task)
        else:
            run = Run(verdict=start(lambda: _judge(self._act), f"sloburn-check-{self.name}"), started=started)
        run.verdict.add_done_callback(lambda _: setattr(run, "ended", self._now()))
        return run

    def _left(self, run: Run) -> float:
        return max(0.0, run.started + self.settings.timeout_seconds - self._now())

    def _settle(self, run: Run) -> CheckResult:
        is_done = run.verdict.done()
        ended = run.ended if is_done and run.ended is not None else self._now()
        is_passed, detail = run.verdict.result() if is_done else (False, self._hangs(ended - run.started))
        result = CheckResult(
            is_passed=is_passed, detail=detail, duration_seconds=ended - run.started, checked_seconds=ended
        )
        with self._lock:
            # A thread that hangs stays the one run; a task is told to stop, and a loop that is gone never will be.
            if self._run is run and (is_done or run.task is not None):
                self._run = None
            self.last = result
        if run.task is not None and not is_done:
            run.task.get_loop().call_soon_threadsafe(run.task.cancel)
        return result

    def _hangs(self, seconds: float) -> str:
        return f"no answer within {self.settings.timeout_seconds:g} s (asked {seconds:.1f} s ago)"


def _judge(act: Act) -> tuple[bool, str]:
    """Run a check on this thread; one that turns out to be asynchronous gets a loop of its own."""
    try:
        answer = act()
        if inspect.isawaitable(answer):
            answer = asyncio.run(_awaited(answer))
    except BaseException as error:
        return False, _in_words(error)
    return _verdict(answer)


async def _judge_async(act: Act, verdict: Future[tuple[bool, str]]) -> None:
    try:
        found = _verdict(await cast("Awaitable[object]", act()))
    except BaseException as error:
        found = False, _in_words(error)
    verdict.set_result(found)


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer


def _verdict(answer: object) -> tuple[bool, str]:
    if isinstance(answer, str):
        return True, clean(answer)
    return answer is not False, ""


def _in_words(error: BaseException) -> str:
    return clean(f"{type(error).__name__}: {error}".removesuffix(": "))


def clean(text: str) -> str:
    """Return a text that may be shown: one short line without secrets."""
    try:
        shown = redact_text(" ".join(text.split()))
    except Exception:
        return "[could not be redacted]"
    return shown if len(shown) <= _LONGEST_DETAIL else f"{shown[:_LONGEST_DETAIL]}…"
