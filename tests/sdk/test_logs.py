"""One stream: each event once on standard output and once by OTLP, whoever configured what before."""

from __future__ import annotations

import json

import pytest

from tests.sdk.collector import Collector, SeenLog
from tests.sdk.processes import Finished, succeed


def logs_of(code: str) -> tuple[Finished, list[SeenLog]]:
    """Run code in its own process; return what it printed and the log records that arrived, ours left out."""
    with Collector() as collector:
        done = succeed("import logging, sys\n" + code, extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    return done, [record for record in collector.arrivals.logs if record.logger != "sloburn"]


_HOST_CHAIN = """
import structlog
structlog.configure(
    processors=[structlog.stdlib.add_log_level, {last}],
    logger_factory={factory},
    wrapper_class=structlog.stdlib.BoundLogger,
)
"""


@pytest.mark.parametrize(
    ("before", "printed"),
    [
        ("", 1),
        ("logging.basicConfig(stream=sys.stdout, level='INFO')", 1),
        (_HOST_CHAIN.format(last="structlog.processors.JSONRenderer()", factory="structlog.PrintLoggerFactory()"), 1),
        (
            _HOST_CHAIN.format(last="structlog.processors.JSONRenderer()", factory="structlog.stdlib.LoggerFactory()")
            + "logging.basicConfig(stream=sys.stdout, level='INFO', format='%(message)s')",
            1,
        ),
        (
            _HOST_CHAIN.format(
                last="structlog.stdlib.ProcessorFormatter.wrap_for_formatter",
                factory="structlog.stdlib.LoggerFactory()",
            ),
            1,
        ),
    ],
    ids=[
        "nothing",
        "root handler",
        "structlog to stdout",
        "structlog to stdlib",
        "structlog through ProcessorFormatter",
    ],
)
def test_structlog_event_arrives_once(before: str, printed: int) -> None:
    """A structlog event is printed once and exported once with its span's ids, whatever the host had configured."""
    done, records = logs_of(
        f"""
{before}
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry()
with telemetry.tracer.start_as_current_span("work") as span:
    get_logger("shop").info("paid", amount=3)
print(f"{{span.get_span_context().trace_id:032x}}")
"""
    )
    trace_id = done.stdout.splitlines()[-1]
    assert done.stdout.count("paid") == printed
    (record,) = [record for record in records if "paid" in str(record.body)]
    assert record.trace_id == trace_id


@pytest.mark.parametrize("before", ["", "logging.basicConfig(stream=sys.stdout, level='INFO')"])
def test_stdlib_record_arrives_once(before: str) -> None:
    """A record of the standard library is printed once and exported once, with its extra fields."""
    done, records = logs_of(
        f"""
{before}
from sloburn import init_telemetry
init_telemetry()
logging.getLogger("shop").info("paid %d", 3, extra={{"customer": "c"}})
"""
    )
    assert done.output.count("paid 3") == 1
    (record,) = records
    assert (record.body, record.logger, record.severity, record.attributes) == (
        "paid 3",
        "shop",
        "INFO",
        {"customer": "c"},
    )


def test_line() -> None:
    """A line is JSON with time, level, logger and event first, and service and trace last."""
    done, _ = logs_of(
        """
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry(service_name="shop")
with telemetry.tracer.start_as_current_span("work"):
    get_logger("cart").warning("slow: %s", "db", seconds=1.5)
"""
    )
    line = json.loads(done.stdout.splitlines()[-1])
    assert list(line) == [
        "timestamp", "level", "logger", "event", "seconds", "service.name", "trace_id", "span_id",
    ]  # fmt: skip
    assert (line["level"], line["logger"], line["event"]) == ("warning", "cart", "slow: db")
    assert line["service.name"] == "shop"


@pytest.mark.parametrize("logger", ["get_logger('a')", "logging.getLogger('a')"])
def test_exception_is_in_fields(logger: str) -> None:
    """An exception becomes type, message and frames in the line, and OpenTelemetry's three fields in the record."""
    done, records = logs_of(
        f"""
from sloburn import get_logger, init_telemetry
init_telemetry()
try:
    1 / 0
except ZeroDivisionError:
    {logger}.exception("failed")
"""
    )
    line = json.loads(done.stdout.splitlines()[-1])
    (record,) = records
    assert (line["event"], line["level"], record.severity) == ("failed", "error", "ERROR")
    assert line["exception.frames"] == [{"file": "<string>", "line": 6, "function": "<module>"}]
    assert 'File "<string>", line 6' in record.attributes["exception.stacktrace"]
    for fields in (line, record.attributes):
        assert (fields["exception.type"], fields["exception.message"]) == ("ZeroDivisionError", "division by zero")


def test_levels() -> None:
    """What is below the level is neither printed nor exported."""
    done, records = logs_of(
        """
from sloburn import get_logger, init_telemetry
init_telemetry(log_level="warning")
get_logger().info("quiet")
logging.getLogger("a").info("quiet")
get_logger().warning("loud")
"""
    )
    assert "quiet" not in done.output
    assert [record.body for record in records] == ["loud"]


def test_nothing_that_is_logged_raises() -> None:
    """Values that cannot be shown, numbers that do not fit and a closed stream cost at most a line."""
    done, records = logs_of(
        """
from sloburn import get_logger, init_telemetry
init_telemetry()
class Hostile:
    def __str__(self): raise RuntimeError
    __repr__ = __str__
get_logger().info("hostile", value=Hostile())
logging.getLogger("a").info("hostile %s", Hostile())
get_logger().info("odd", big=2**70, mapping={1: {2, 3}}, bytes=b"\\xff", nothing=None)
sys.stdout.close()
get_logger().info("unseen")
sys.stdout = None
get_logger().info("unseen")
"""
    )
    bodies = [record.body for record in records]
    assert bodies.count("odd") == 1
    assert bodies.count("unseen") == 2
    assert bodies.count("hostile") == 1
    assert '"value": "<Hostile that cannot be shown>"' in done.stdout
    assert "hostile %s (its arguments do not fit: RuntimeError)" in bodies


def test_logger_that_is_older_than_the_configuration() -> None:
    """A logger that a module got before `init_telemetry` speaks JSON after it."""
    done, records = logs_of(
        """
from sloburn import get_logger, init_telemetry
log = get_logger("early")
init_telemetry()
log.info("hello")
"""
    )
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "hello"
    assert [(record.logger, record.body) for record in records] == [("early", "hello")]


_HOST_LOOKS = {
    "print": "processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()]",
    "tuple": "processors=(structlog.processors.add_log_level, structlog.processors.JSONRenderer())",
    "standard library": "processors=[structlog.stdlib.add_log_level, structlog.processors.JSONRenderer()], "
    "logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger",
}


@pytest.mark.parametrize("look", _HOST_LOOKS)
@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_structlog_of_the_host(look: str, is_late: bool) -> None:
    """Whether the host configures structlog before us or after us: its look, our ids, one export of each event."""
    calls = [f"structlog.configure({_HOST_LOOKS[look]})", "telemetry = init_telemetry(endpoint=sys.argv[1])"]
    first, second = reversed(calls) if is_late else calls
    code = f"""
import logging, structlog, sys
from sloburn import init_telemetry
{"logging.basicConfig(format='%(message)s', stream=sys.stdout, level='INFO')" if look == "standard library" else ""}
{first}
{second}
structlog.configure(cache_logger_on_first_use=True)
with telemetry.tracer.start_as_current_span("work"):
    structlog.get_logger("shop").info("sold", item=7, password="hunter2")
"""
    with Collector() as collector:
        done = succeed(code, collector.endpoint)
        span = collector.span("work")
        records = [record for record in collector.arrivals.logs if record.trace_id]
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if '"sold"' in line]
    assert (line["trace_id"], line["span_id"], line["item"]) == (span.trace_id, span.span_id, 7)
    assert "timestamp" not in line
    assert [record.trace_id for record in records] == [span.trace_id]
    assert "hunter2" not in done.output + str(records)
