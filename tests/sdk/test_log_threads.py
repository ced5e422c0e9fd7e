"""Threads and executors log and trace in the context of whoever uses them; threads of libraries do not."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import pytest
from opentelemetry import baggage, context
from structlog.contextvars import get_contextvars

from sloburn.sdk.log_context import log_context
from sloburn.sdk.log_threads import ThreadFollower

PATIENCE_SECONDS = 60

Seen = dict[str, object]


def look() -> Seen:
    """Return what of the context is ours here: fields and baggage."""
    return get_contextvars() | {f"baggage {key}": value for key, value in baggage.get_all().items()}


HERE: Seen = {"request_id": "r-1", "baggage request.id": "r-1"}


@pytest.fixture
def follower() -> Iterator[ThreadFollower]:
    """Follow threads for the time of a test."""
    following = ThreadFollower()
    following.begin()
    yield following
    following.end()


def ran(make: Callable[[Callable[[], None]], threading.Thread]) -> Seen:
    """Start a thread, wait for its end and return what it saw."""
    seen: list[Seen] = []
    thread = make(lambda: seen.append(look()))
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return seen[0]


class Looking(threading.Thread):
    """A thread with a ``run`` of its own, which calls no other."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act = act

    def run(self) -> None:
        """Run."""
        self.act()


@pytest.mark.parametrize(
    "make",
    [
        lambda act: threading.Thread(target=act),
        lambda act: threading.Thread(target=act, daemon=True),
        lambda act: threading.Timer(0.0, act),
        Looking,
    ],
    ids=["thread", "daemon", "timer", "subclass"],
)
@pytest.mark.usefixtures("follower")
def test_threads_follow(make: Callable[[Callable[[], None]], threading.Thread]) -> None:
    """A thread of any kind has the fields and the baggage of whoever started it; one started outside has none."""
    with log_context(request_id="r-1"):
        assert ran(make) == HERE
    assert ran(make) == {}


@pytest.mark.usefixtures("follower")
def test_fields_outlive_the_block() -> None:
    """A thread keeps its fields when the block that it was started in is over."""
    go = threading.Event()
    seen: list[Seen] = []

    def wait() -> None:
        go.wait(PATIENCE_SECONDS)
        seen.append(look())

    with log_context(request_id="r-1"):
        thread = threading.Thread(target=wait)
        thread.start()
    go.set()
    thread.join(PATIENCE_SECONDS)
    assert seen == [HERE]


@pytest.mark.usefixtures("follower")
def test_executors_follow_each_task() -> None:
    """Each task has the context that it was submitted in and nothing of the task, or of the request, before it."""
    with ThreadPoolExecutor(1) as pool:
        with log_context(request_id="r-1"):
            first = pool.submit(look)
            mapped = list(pool.map(lambda _: look(), range(3)))
        with log_context(order="o"):
            second = pool.submit(look)
        assert [first.result(), *mapped, second.result(), pool.submit(look).result()] == [
            HERE, HERE, HERE, HERE, {"order": "o"}, {},
        ]  # fmt: skip


@pytest.mark.usefixtures("follower")
def test_asyncio_executors_follow() -> None:
    """`asyncio`'s executor follows, too, both ways of using it."""

    async def ask() -> list[Seen]:
        loop = asyncio.get_running_loop()
        with log_context(request_id="r-1"):
            return [await loop.run_in_executor(None, look), await asyncio.to_thread(look)]

    assert asyncio.run(ask()) == [HERE, HERE]


@pytest.mark.usefixtures("follower")
def test_task_that_fails_leaves_its_thread_clean() -> None:
    """An exception of a task reaches its future, and the thread is as it was before."""
    with ThreadPoolExecutor(1) as pool:
        with log_context(request_id="r-1"):
            failed = pool.submit(int, "x")
        assert isinstance(failed.exception(), ValueError)
        assert pool.submit(look).result() == {}


@pytest.mark.usefixtures("follower")
def test_pools_of_the_standard_library_begin_with_nothing() -> None:
    """Workers that a pool starts within a request do not carry the request."""
    with log_context(request_id="r-1"), ThreadPool(1) as pool:
        assert pool.apply(look) == {}


_LIBRARY = """
import threading
def start(act):
    thread = threading.Thread(target=act)
    thread.start()
    return thread
"""


def library(path: str, name: str = "kafka_client") -> Callable[[Callable[[], None]], threading.Thread]:
    """Return a function that starts a thread and lives in a module that is installed in some folder."""
    names: dict[str, Callable[[Callable[[], None]], threading.Thread]] = {"__name__": name}  # type: ignore[dict-item]
    exec(compile(_LIBRARY, path, "exec"), names)
    return names["start"]


def started_by(start: Callable[[Callable[[], None]], threading.Thread]) -> Seen:
    """Let a library start a thread within a request and return what it saw."""
    seen: list[Seen] = []
    with log_context(request_id="r-1"):
        start(lambda: seen.append(look())).join(PATIENCE_SECONDS)
    return seen[0]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/v/lib/python3.12/site-packages/kafka_client/io.py", "kafka_client.io", {}),
        ("/usr/lib/python3/dist-packages/kafka_client.py", "kafka_client", {}),
        ("/app/shop/mail.py", "shop.mail", HERE),
        ("/v/lib/python3.12/site-packages/ours/mail.py", "ours.mail", HERE),
        ("/v/lib/python3.12/site-packages/sentry_sdk/x.py", "sentry_sdk.integrations.threading", HERE),
    ],
)
def test_threads_of_libraries_begin_with_nothing(path: str, name: str, expected: Seen) -> None:
    """What a library starts for itself has nothing of the request; an application may be installed like a library."""
    following = ThreadFollower("ours")
    following.begin()
    try:
        assert started_by(library(path, name)) == expected
    finally:
        following.end()


class Inheriting(threading.Thread):
    """A thread as a free-threaded Python 3.14 starts them: in a copy of the context."""

    def start(self) -> None:
        """Start."""
        run, copied = self.run, contextvars.copy_context()
        self.run = lambda: copied.run(run)  # type: ignore[method-assign]
        super().start()


@pytest.mark.usefixtures("follower")
def test_inherited_context_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python lets threads inherit their context, an application's thread has it and a library's has none."""
    flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if not name.startswith("_")}
    monkeypatch.setattr(sys, "flags", SimpleNamespace(**flags | {"thread_inherit_context": 1}))
    seen: list[Seen] = []
    with log_context(request_id="r-1"):
        assert ran(lambda act: Inheriting(target=act)) == HERE
        of_library = Inheriting(target=lambda: seen.append(look()))
        exec(
            compile("start(thread)", "/v/site-packages/kafka.py", "eval"),
            {"__name__": "kafka", "start": threading.Thread.start, "thread": of_library},
        )
        of_library.join(PATIENCE_SECONDS)
    assert seen == [{}]


def test_wraps_once_and_unwraps() -> None:
    """Beginning twice wraps once; at the end everything is as it was, and begins again when asked."""
    before = threading.Thread.start, ThreadPoolExecutor.submit
    following = ThreadFollower()
    following.begin()
    wrapped = threading.Thread.start, ThreadPoolExecutor.submit
    following.begin()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == wrapped
    assert wrapped != before
    following.end()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before
    following.begin()
    with log_context(request_id="r-1"):
        assert ran(lambda act: threading.Thread(target=act)) == HERE
    following.end()


def test_wrapper_of_another_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody else wraps in turn keeps working after the end, only without us."""
    following = ThreadFollower()
    following.begin()
    ours = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: ours(thread))
    following.end()
    with log_context(request_id="r-1"):
        assert ran(lambda act: threading.Thread(target=act)) == {}
    monkeypatch.undo()
    following.begin()
    following.end()


@pytest.mark.usefixtures("follower")
def test_thread_that_allows_nothing_runs() -> None:
    """A thread whose class forbids to replace its ``run`` runs as without telemetry; one started twice says so."""

    class Sealed(threading.Thread):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "run":
                raise AttributeError(name)
            super().__setattr__(name, value)

    with log_context(request_id="r-1"):
        assert ran(lambda act: Sealed(target=act)) == {}
        thread = threading.Thread(target=look)
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        thread.join(PATIENCE_SECONDS)


@pytest.mark.usefixtures("follower")
def test_thread_holds_nothing_when_it_has_ended() -> None:
    """A thread object that is kept keeps nothing of the request alive once it runs."""
    with log_context(request_id="r-1"):
        thread = threading.Thread(target=look)
        thread.start()
    thread.join(PATIENCE_SECONDS)
    assert "run" not in vars(thread)


class Retrying(threading.Thread):
    """A thread that runs itself again when it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []

    def run(self) -> None:
        """Fail twice."""
        self.seen.append(look())
        if len(self.seen) < 3:
            self.run()


def wrapped(thread: threading.Thread) -> threading.Thread:
    """Return a thread whose ``run`` was replaced on the object, as profilers do."""
    run = thread.run
    thread.run = lambda: run()  # type: ignore[method-assign]
    return thread


@pytest.mark.parametrize("make", [lambda thread: thread, wrapped])
@pytest.mark.usefixtures("follower")
def test_thread_may_run_itself_again(make: Callable[[threading.Thread], threading.Thread]) -> None:
    """A thread that calls its own ``run`` again does all of its work, and has back what it had under that name."""
    thread = Retrying()
    before = vars(make(thread)).get("run")
    with log_context(request_id="r-1"):
        thread.start()
    thread.join(PATIENCE_SECONDS)
    assert thread.seen == [HERE] * 3
    assert vars(thread).get("run") is before


@pytest.mark.usefixtures("follower")
def test_wrapper_within_the_start_runs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wraps our ``run`` while the thread starts may call it again."""
    start = threading.Thread._bootstrap  # type: ignore[attr-defined]
    monkeypatch.setattr(threading.Thread, "_bootstrap", lambda thread: start(wrapped(thread)))
    thread = Retrying()
    with log_context(request_id="r-1"):
        thread.start()
    thread.join(PATIENCE_SECONDS)
    assert thread.seen == [HERE] * 3


@pytest.mark.usefixtures("follower")
def test_exception_that_ends_a_thread_is_reported_in_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reports it, as `threading.excepthook`, has the fields and the baggage of the thread."""
    seen: list[Seen] = []
    monkeypatch.setattr(threading, "excepthook", lambda _: seen.append(look()))
    with log_context(request_id="r-1"):
        ended = threading.Thread(target=int, args=("x",))
        ended.start()
    ended.join(PATIENCE_SECONDS)
    assert seen == [HERE]


def test_thread_that_does_not_start_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread left, a host that calls ``run`` by itself keeps its own context."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    following = ThreadFollower()
    following.begin()
    try:
        thread = threading.Thread(target=look)
        with log_context(request_id="r-1"), pytest.raises(RuntimeError, match="new thread"):
            thread.start()
        assert "run" not in vars(thread)
    finally:
        following.end()


def test_context_is_the_one_of_the_start() -> None:
    """What is attached after a task was submitted does not reach it."""
    following = ThreadFollower()
    following.begin()
    with ThreadPoolExecutor(1) as pool:
        token = context.attach(baggage.set_baggage("tenant", "a"))
        future = pool.submit(look)
        context.detach(token)
        assert future.result() == {"baggage tenant": "a"}
    following.end()
