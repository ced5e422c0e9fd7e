"""What a team asks of its logs: fields of the work at hand, levels by name, a look, a file, servers in one stream."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry import baggage

from sloburn.sdk.log_context import carry_context, log_context
from sloburn.sdk.log_errors import error_frames, remember_ids, remembered_ids, stacktrace
from sloburn.sdk.log_events import EventFinisher, Sinks
from sloburn.sdk.log_files import LOST_LINES, LineFile, write_line
from sloburn.sdk.log_levels import Levels, word
from sloburn.sdk.log_records import event_of
from tests.sdk.collector import Collector
from tests.sdk.processes import free_port, get, started, stop, succeed, wait_until


def fields() -> dict[str, object]:
    """Return the fields that an event would get right now."""
    return structlog.contextvars.get_contextvars()


def events(output: str) -> list[dict[str, object]]:
    """Return every line of an output, each of which must be JSON."""
    return [json.loads(line) for line in output.splitlines()]


def test_context_nests_and_ends() -> None:
    """Fields hold for a block, the innermost wins, and what was there before is back afterwards."""
    with log_context(request_id="r-1", user_id=7):
        with log_context(user_id=8, order="o"):
            assert fields() == {"request_id": "r-1", "user_id": 8, "order": "o"}
        assert fields() == {"request_id": "r-1", "user_id": 7}
    assert fields() == {}


def test_context_ends_when_the_block_fails() -> None:
    """An exception takes the fields away like a normal end."""
    with pytest.raises(ValueError, match="no"), log_context(request_id="r-1"):
        raise ValueError("no")
    assert fields() == {}
    assert baggage.get_baggage("request.id") is None


def test_request_id_becomes_baggage_and_nothing_else_does() -> None:
    """The request id travels on to other services and tasks; who the user is does not."""
    with log_context(request_id="r-1", user_id=7):
        assert dict(baggage.get_all()) == {"request.id": "r-1"}


class Hostile:
    """Fails whenever it is looked at."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Fail, as `isinstance` asks for it."""
        raise RuntimeError


class _Emitter:
    """Keeps what is exported."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def emit(self, **event: Any) -> None:
        """Keep an event."""
        self.events.append(event)


def test_hostile_values_harm_nobody() -> None:
    """A value that fails when it is looked at leaves a mark in its line, and nothing reaches the host."""
    finisher = EventFinisher(Sinks(service_name="shop"))
    with log_context(request_id=Hostile(), user_id=Hostile()):
        line = json.loads(finisher(None, "info", {"event": "sold", "item": 7}))
        event: dict[str, object] = {"event": "sold", "n": Hostile()}
        finisher.clean_in_place(event)
    mark = "<Hostile that cannot be shown>"
    assert (line["event"], line["item"], line["request_id"], line["user_id"]) == ("sold", 7, mark, mark)
    assert event["n"] == mark
    assert fields() == {}


@pytest.mark.parametrize("name", ["logger", "level", "timestamp"])
def test_head_of_a_line_that_fails_costs_no_event(name: str) -> None:
    """A logger's name, a level or a time that cannot be shown leaves a mark in a line that is written and exported."""
    emitter = _Emitter()
    finisher = EventFinisher(Sinks(service_name="shop", emitter=emitter))
    line = json.loads(finisher(None, "info", {"event": "sold", name: Hostile()}))
    finisher.export({"event": "sold too", name: Hostile()})
    assert (line["event"], line[name]) == ("sold", "<Hostile that cannot be shown>")
    assert [event["body"] for event in emitter.events] == ["sold", "sold too"]


def test_context_that_ends_elsewhere_raises_nothing() -> None:
    """A block that ends in another context than it began in, as FastAPI's dependencies may, ends quietly."""
    here = log_context(user_id=7)
    contextvars.copy_context().run(here.__enter__)
    here.__exit__(None, None, None)
    assert fields() == {}


def test_decorated_functions() -> None:
    """As a decorator it covers a call of a function, sync or async, recursive or concurrent."""

    @log_context(job="nightly")
    def run(depth: int) -> dict[str, object]:
        return run(depth - 1) if depth else fields()

    @log_context(job="async")
    async def wait(number: int) -> dict[str, object]:
        with log_context(number=number):
            await asyncio.sleep(0)
            return fields()

    async def many() -> list[dict[str, object]]:
        return await asyncio.gather(*(wait(number) for number in range(5)))

    assert run(2) == {"job": "nightly"}
    assert asyncio.run(many()) == [{"job": "async", "number": number} for number in range(5)]
    assert fields() == {}


def test_generator_is_refused() -> None:
    """A generator, whose fields would leak into its caller, is refused when it is decorated."""
    with pytest.raises(TypeError, match="log_context cannot decorate the generator"):

        @log_context(job="x")
        def items() -> Iterator[int]:
            yield 1


def test_context_can_be_carried_by_hand() -> None:
    """Without `init_telemetry` a thread starts without fields; `carry_context` takes them along to any number."""
    barrier = threading.Barrier(3)

    def look() -> dict[str, object]:
        barrier.wait(10)
        return fields()

    with log_context(request_id="r-1"), ThreadPoolExecutor(3) as pool:
        carried = carry_context(look)
        assert [seen.result() for seen in [pool.submit(carried) for _ in range(3)]] == [{"request_id": "r-1"}] * 3
        assert [seen.result() for seen in [pool.submit(look) for _ in range(3)]] == [{}] * 3
        assert asyncio.run(asyncio.wait_for(asyncio.to_thread(fields), 10)) == {"request_id": "r-1"}


def test_context_is_in_every_line_and_record() -> None:
    """Fields are in events of structlog and of the standard library, on standard output and by OTLP."""
    with Collector() as collector:
        done = succeed(
            """
import logging
from sloburn import get_logger, init_telemetry, log_context
init_telemetry()
with log_context(request_id="r-1", user_id=7):
    get_logger().info("ours", user_id=8)
    logging.getLogger("a").info("theirs")
get_logger().info("after")
""",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        )
    ours, theirs, after = events(done.stdout)[-3:]
    assert (ours["request_id"], ours["user_id"]) == ("r-1", 8)
    assert (theirs["request_id"], theirs["user_id"]) == ("r-1", 7)
    assert not {"request_id", "user_id"} & set(after)
    records = {record.body: record.attributes for record in collector.arrivals.logs}
    assert (records["ours"], records["theirs"]) == (
        {"request_id": "r-1", "user_id": 8}, {"request_id": "r-1", "user_id": 7},
    )  # fmt: skip


def test_logger_is_named_after_its_module(tmp_path: Path) -> None:
    """`get_logger()` without a name takes that of the calling module."""
    (tmp_path / "cart.py").write_text("from sloburn import get_logger\nlog = get_logger()\n")
    done = succeed(
        f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from sloburn import init_telemetry
import cart
init_telemetry(logs=False, traces=False, metrics=False)
cart.log.info("added")
"""
    )
    assert events(done.stdout)[-1]["logger"] == "cart"


def test_levels_by_name() -> None:
    """A level holds for a name and all below it, for structlog as for the standard library, up as well as down."""
    done = succeed(
        """
import logging
from sloburn import get_logger, init_telemetry
early = get_logger("shop.cart")
init_telemetry(log_level="WARNING", log_levels={"shop": "DEBUG", "shop.noisy": "ERROR"}, logs=False, traces=False,
               metrics=False)
for name in ("shop.cart", "shop.noisy.deep", "other"):
    for log in (get_logger(name), logging.getLogger(name)):
        log.debug("debug"), log.warning("warning"), log.error("error")
early.debug("early")
assert early.is_enabled_for(logging.DEBUG) and not get_logger("other").is_enabled_for(logging.INFO)
""",
    )
    seen = [(event["logger"], event["event"]) for event in events(done.stdout)]
    assert seen == [
        *[("shop.cart", level) for level in ("debug", "warning", "error")] * 2,
        ("shop.noisy.deep", "error"),
        ("shop.noisy.deep", "error"),
        *[("other", level) for level in ("warning", "error")] * 2,
        ("shop.cart", "early"),
    ]


def test_nearest_name_decides() -> None:
    """The longest name that covers a logger decides; a name that merely begins alike does not."""
    levels = Levels("INFO", (("a", "ERROR"), ("a.b", "DEBUG")))
    assert [levels.of(name) for name in ("a.b.c", "a.x", "ab", "")] == [10, 40, 20, 20]
    assert [word(number) for number in (5, 10, 25, 35, 60)] == ["debug", "debug", "info", "warning", "critical"]


def test_console_is_for_people() -> None:
    """The console look has no JSON, no colours off a terminal, a readable traceback, and no secret either."""
    done = succeed(
        """
from sloburn import get_logger, init_telemetry
init_telemetry(log_format="console", logs=False, traces=False, metrics=False)
get_logger("cart").info("added", item=7)
try:
    raise ValueError("password=hunter2")
except ValueError:
    get_logger("cart").exception("failed")
"""
    )
    assert "[info     ] added                          [cart] item=7" in done.stdout
    assert "ValueError: password=[redacted]" in done.stdout
    assert "\x1b[" not in done.stdout


@pytest.mark.parametrize("look", ["json", "console"])
def test_file_gets_json_lines(tmp_path: Path, look: str) -> None:
    """The file holds one JSON line for each event, whatever standard output looks like."""
    path = tmp_path / "logs" / "app.log"
    done = succeed(
        f"""
from sloburn import get_logger, init_telemetry
init_telemetry(log_format={look!r}, log_file={str(path)!r}, logs=False, traces=False, metrics=False)
get_logger("cart").info("added", item=7)
"""
    )
    lines = events(path.read_text())
    assert [event["event"] for event in lines if event["logger"] == "cart"] == ["added"]
    assert done.stdout.count("added") == 1


def test_processes_share_a_file_that_rotates(tmp_path: Path) -> None:
    """Four processes write one file: it rotates by size, keeps its count, and no line is torn, lost or doubled."""
    path = tmp_path / "app.log"
    succeed(
        f"""
import os
from sloburn import get_logger, init_telemetry
init_telemetry(log_file={str(path)!r}, log_file_max_bytes=60_000, log_file_count=30, logs=False, traces=False,
               metrics=False)
processes = []
for writer in range(4):
    process = os.fork()
    if process == 0:
        for number in range(500):
            get_logger("writer").info("line", writer=writer, number=number)
        os._exit(0)
    processes.append(process)
for process in processes:
    os.waitpid(process, 0)
"""
    )
    files = sorted(tmp_path.glob("app.log*"))
    parts = [file for file in files if file.suffix != ".lock"]
    seen = [event for part in parts for event in events(part.read_text()) if event["logger"] == "writer"]
    assert sorted((event["writer"], event["number"]) for event in seen) == [
        (writer, number) for writer in range(4) for number in range(500)
    ]
    assert len(parts) > 3
    assert max(part.stat().st_size for part in parts) < 61_000


def test_file_keeps_its_count(tmp_path: Path) -> None:
    """The oldest file goes when there are as many as wanted; one that somebody moved away is begun anew."""
    file = LineFile(tmp_path / "app.log", max_bytes=1024, count=3)
    for number in range(100):
        file.write(f"{number:099d}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "app.log.1", "app.log.2", "app.log.lock"]
    assert int((tmp_path / "app.log").read_text().splitlines()[-1]) == 99
    (tmp_path / "app.log").rename(tmp_path / "moved")
    file.write("next")
    assert (tmp_path / "app.log").read_text() == "next\n"
    file.close()


@pytest.mark.parametrize("call", ["stat", "replace"])
def test_file_is_written_within_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A signal handler that logs while the file is written, or rotated, neither waits for ever nor loses its line."""
    file = LineFile(tmp_path / "app.log", max_bytes=1024, count=3)
    file.write("a" * 1000)
    real, inner = getattr(os, call), iter(["inner"])

    def interrupted(*arguments: Any, **settings: Any) -> object:
        for line in inner:
            file.write(line)
        return real(*arguments, **settings)

    monkeypatch.setattr(os, call, interrupted)
    writing = threading.Thread(target=file.write, args=("outer" * 20,), daemon=True)
    writing.start()
    writing.join(30)
    assert not writing.is_alive()
    lines = [line for path in tmp_path.glob("app.log*") for line in path.read_text().splitlines()]
    assert sorted(lines) == ["a" * 1000, "inner", "outer" * 20]


def test_stream_that_refuses_costs_a_line_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output that refuses in any way, as it does within its own write, is counted and raises nothing."""

    class Refusing:
        def write(self, _: str) -> None:
            raise RuntimeError("reentrant call")

    lost = LOST_LINES.count
    monkeypatch.setattr(sys, "stdout", Refusing())
    write_line("x")
    monkeypatch.undo()
    assert LOST_LINES.count == lost + 1
    LOST_LINES.count = lost


def test_fields_named_like_the_head_of_a_line_are_kept() -> None:
    """A field of ``extra`` that is named like what every line begins with is kept under another name."""
    record = logging.makeLogRecord(
        {"name": "shop", "levelno": 20, "msg": "sold", "event": "order_paid", "level": 3, "customer": "c"}
    )
    line = json.loads(EventFinisher(Sinks(service_name="shop")).finish(event_of(record)))
    assert {key: line[key] for key in ("event", "extra.event", "extra.level", "customer", "logger")} == {
        "event": "sold", "extra.event": "order_paid", "extra.level": 3, "customer": "c", "logger": "shop",
    }  # fmt: skip


def test_file_that_cannot_be_written_costs_no_event(tmp_path: Path) -> None:
    """A file that cannot be opened is counted, as a metric too; the line is still on standard output."""
    with Collector() as collector:
        done = succeed(
            f"""
from sloburn import get_logger, init_telemetry
init_telemetry(log_file={str(tmp_path)!r}, logs=False, traces=False)
get_logger("cart").info("added")
""",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        )
    assert "added" in {event["event"] for event in events(done.stdout)}
    assert collector.total("sloburn.log.lines.lost") >= 1


_WEB = """
import logging
from fastapi import FastAPI
from sloburn import init_telemetry
app = FastAPI()
@app.get("/boom")
def boom(): raise ValueError("kaput")
@app.get("/items")
def items(): logging.getLogger("shop").info("listing"); return []
"""


@pytest.mark.parametrize("first", ["server", "telemetry"])
def test_uvicorn_writes_only_json(tmp_path: Path, first: str) -> None:
    """Under uvicorn all of standard output is JSON, its own access and error lines too, whoever is configured first."""
    port = free_port()
    start = "init_telemetry(logs=False, traces=False, metrics=False)\n"
    command: tuple[str, ...]
    if first == "server":
        (tmp_path / "web.py").write_text(_WEB + start)
        command = ("-m", "uvicorn", "--app-dir", str(tmp_path), "web:app", "--port", str(port))
    else:
        run = f"import uvicorn\nuvicorn.run(app, port={port})\n"
        (tmp_path / "web.py").write_text(_WEB + start + run)
        command = (str(tmp_path / "web.py"),)
    with started(*command) as process:
        wait_until(lambda: get(f"http://127.0.0.1:{port}/items?token=abc"), process)
        assert get(f"http://127.0.0.1:{port}/boom") == 500
        done = stop(process)
    seen = events(done.stdout)
    access = next(event for event in seen if event["logger"] == "uvicorn.access")
    assert (access["http.request.method"], access["url.path"], access["http.response.status_code"]) == (
        "GET", "/items?token=[redacted]", 200,
    )  # fmt: skip
    (failed,) = [event for event in seen if event.get("exception.type") == "ValueError"]
    assert (failed["logger"], failed["exception.message"]) == ("uvicorn.error", "kaput")
    assert [event["event"] for event in seen].count("listing") == 1


@pytest.mark.parametrize("look", ["", "logging.basicConfig(level=20)\n"], ids=["ours", "host"])
def test_server_logs_an_exception_with_the_ids_of_its_request(tmp_path: Path, look: str) -> None:
    """uvicorn's line about an exception that nobody caught has request id and trace ids, printed and exported."""
    port = free_port()
    (tmp_path / "web.py").write_text(_WEB.replace("\nfrom", f"\n{look}from", 1) + "init_telemetry()\n")
    command = ("-m", "uvicorn", "--app-dir", str(tmp_path), "web:app", "--port", str(port))
    with Collector() as collector:
        with started(*command, extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}) as process:
            wait_until(lambda: get(f"http://127.0.0.1:{port}/items") == 200, process)
            assert get(f"http://127.0.0.1:{port}/boom") == 500
            done = stop(process)
        span = collector.span("GET /boom")
        (sent,) = [record for record in collector.arrivals.logs if "Exception in ASGI" in str(record.body)]
    assert (sent.trace_id, sent.span_id) == (span.trace_id, span.span_id)
    assert len(sent.attributes["request_id"]) == 32
    if not look:
        (line,) = [line for line in events(done.stdout) if "Exception in ASGI" in str(line["event"])]
        assert [line[key] for key in ("trace_id", "span_id", "request_id")] == [
            span.trace_id, span.span_id, sent.attributes["request_id"],
        ]  # fmt: skip


def test_ids_of_an_exception_yield_to_those_of_the_present() -> None:
    """An exception carries its request's ids, can still be pickled, and yields to the ids of what goes on by then."""
    error = ValueError("kaput")
    remember_ids(error, {"trace_id": "1" * 32, "span_id": "2" * 16, "request_id": "r-1"})
    assert remembered_ids(pickle.loads(pickle.dumps(error))) == remembered_ids(error)
    finisher = EventFinisher(Sinks(service_name="shop"))
    line = json.loads(finisher.finish({"event": "failed", "level": "error", "logger": "a", "exc_info": error}))
    assert (line["trace_id"], line["request_id"]) == ("1" * 32, "r-1")
    with log_context(request_id="r-2"):
        line = json.loads(finisher.finish({"event": "failed", "level": "error", "logger": "a", "exc_info": error}))
    assert (line.get("trace_id"), line["request_id"]) == (None, "r-2")


def test_host_handlers_do_not_show_secrets() -> None:
    """A host that keeps its own handlers keeps their look, each line once, and without secrets."""
    done = succeed(
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, level="INFO", format="host %(message)s")
from sloburn import init_telemetry
init_telemetry(logs=False, traces=False, metrics=False)
logging.getLogger("a").info("password=%s", "hunter2")
logging.getLogger("a").info("plain %d", 7)
"""
    )
    assert [line for line in done.stdout.splitlines() if "telemetry" not in line] == [
        "host password=[redacted]", "host plain 7",
    ]  # fmt: skip


@pytest.mark.parametrize("argument", ["'x'", "Hostile()"])
def test_message_that_cannot_be_made_harms_nobody(argument: str) -> None:
    """A log call whose arguments do not fit returns, as it does without telemetry; the next one is written."""
    done = succeed(
        f"""
import logging, sys
logging.basicConfig(stream=sys.stdout, level="INFO", format="host %(message)s")
from sloburn import init_telemetry
init_telemetry(logs=False, traces=False, metrics=False)
class Hostile:
    def __str__(self): raise RuntimeError("hostile")
    __index__ = __str__
logging.getLogger("bad").info("fmt %d", {argument})
logging.getLogger("bad").info("next")
"""
    )
    assert done.stdout.splitlines()[-1] == "host next"
    assert "--- Logging error ---" in done.stderr


def _dive(depth: int) -> None:
    if depth:
        _dive(depth - 1)
    raise ValueError("bottom")


def test_frames_are_bounded() -> None:
    """A deep stack shows its first and last frames and says how many are left out; causes are shown, too."""
    try:
        try:
            _dive(200)
        except ValueError as error:
            raise RuntimeError("top") from error
    except RuntimeError as caught:
        found = error_frames(caught, str)
        text = stacktrace(caught, str)
    assert [frame["function"] for frame in found["exception.frames"]] == ["test_frames_are_bounded"]  # type: ignore[attr-defined]
    causes: Any = found["exception.causes"]
    (cause,) = causes
    assert (cause["exception.type"], cause["exception.message"]) == ("ValueError", "bottom")
    assert (len(cause["exception.frames"]), cause["exception.frames_left_out"]) == (50, 152)
    assert cause["exception.frames"][-1]["function"] == "_dive"
    assert text.endswith("RuntimeError: top\n")


def test_group_of_exceptions_shows_its_parts() -> None:
    """The parts of an exception group are among its causes."""
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    causes = error_frames(group, str)["exception.causes"]
    assert [cause["exception.type"] for cause in causes] == ["ValueError", "KeyError"]  # type: ignore[attr-defined]


def test_root_logger_of_this_process_is_untouched() -> None:
    """Importing all of this configures nothing."""
    assert not [handler for handler in logging.getLogger().handlers if "sloburn" in type(handler).__module__]
    assert not hasattr(sys.stdout, "sloburn")


def test_logs_can_be_configured_anew(tmp_path: Path) -> None:
    """With ``reconfigure=True`` level, file and name change for loggers that are in use, and no event is doubled."""
    path = tmp_path / "app.log"
    done = succeed(
        f"""
import logging
from sloburn import get_logger, init_telemetry
quiet = dict(logs=False, traces=False, metrics=False)
init_telemetry(service_name="one", **quiet)
log = get_logger("cart")
log.debug("unseen")
init_telemetry(service_name="two", log_level="DEBUG", log_file={str(path)!r}, reconfigure=True, **quiet)
log.debug("seen")
logging.getLogger("a").debug("seen too")
"""
    )
    last = [(event["event"], event["service.name"]) for event in events(done.stdout)[-2:]]
    assert last == [("seen", "two"), ("seen too", "two")]
    assert [event["event"] for event in events(path.read_text())][-2:] == ["seen", "seen too"]
    assert "unseen" not in done.stdout
