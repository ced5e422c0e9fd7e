"""What a team asks of its logs: fields of the work at hand, levels by name, a look, hosts that log as well."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
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
from sloburn.sdk.log_events import EventFinisher, Sinks
from sloburn.sdk.log_files import LOST_LINES, write_line
from sloburn.sdk.log_levels import Levels, word
from sloburn.sdk.log_records import event_of
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed


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
        barrier.wait(60)
        return fields()

    with log_context(request_id="r-1"), ThreadPoolExecutor(3) as pool:
        carried = carry_context(look)
        assert [seen.result() for seen in [pool.submit(carried) for _ in range(3)]] == [{"request_id": "r-1"}] * 3
        assert [seen.result() for seen in [pool.submit(look) for _ in range(3)]] == [{}] * 3
        assert asyncio.run(asyncio.wait_for(asyncio.to_thread(fields), 60)) == {"request_id": "r-1"}


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
